"""Policies x tasks x seeds with equal budgets: what is done, and what is left.

WORKDIR/
  config.json  corpus/  results.jsonl  study.json  masks.jsonl  recall.jsonl  report/
  base/SEED  policies/POLICY-TASK/SEED  pretrain/VARIANT/SEED
  finetune/TASK/VARIANT/SEED

A variant is POLICY[-POLICY_TASK]-TARGET. Every stage leaves files of its own, so
that a study that was interrupted, however rudely, goes on where it was.
"""

import datetime
import functools
import pathlib
from typing import Any

import jax

from masklearn import models, policies, tasks
from masklearn.data import array_files
from masklearn.io import checkpoint
from masklearn.io import workdir as working_directory
from masklearn.io.progress import Progress
from masklearn.policies import POLICIES
from masklearn.policies.capacity import word_capacity
from masklearn.policies.counts import Sources
from masklearn.study import (
  build,
  count,
  mask_rows,
  parts,
  plan,
  pool,
  preflight,
  results,
  settings,
  setup,
  stage,
  supervise,
  worker,
)
from masklearn.study.finetune import Finetuning, finetune
from masklearn.study.learn import first_theta, learn_policy
from masklearn.study.pretrain import Denoising, Objective, denoise
from masklearn.training import mesh
from masklearn.training.context import StageContext
from masklearn.training.steps import Start
from masklearn.types import Impossible

DONE = 'passages.jsonl', 'store.json', 'done.json'  # what marks a stage as finished
SHOWN = 5  # unusable records that are printed; all are in the work directory


class Study:
  """The stages of a study, wired to each other by its config."""

  def __init__(self, config, workdir: pathlib.Path):
    """Plans, and reads the tasks; nothing is written."""
    self.config, self.workdir = config, workdir
    self.layout = mesh.make_layout(**settings.mesh(config, mesh.count()))
    c = config
    self.seeds = range(c.seed, c.seed + c.study.seeds)
    self.policy_names = settings.names(c.policy.names)
    self.task_names = settings.names(c.task.names)
    self.cells, self.ablations = build.planned(c)
    self.saving = stage.Saving(**c.saving)
    self.impossible: dict[plan.Job, str] = {}  # see `check_jobs`
    self.tasks = {
      (name, seed): tasks.for_study(name, seed, c.task)
      for name in self.task_names
      for seed in self.seeds
    }

  def finished(self) -> set[pathlib.Path]:
    """The files that mark what is finished."""
    return {path for name in DONE for path in self.workdir.rglob(name)}

  def prepare(self, progress: Progress) -> None:
    """Makes the corpus, or reads it."""
    c = self.config
    self.setup = setup.prepare(
      self.workdir / 'corpus',
      seed=c.seed,
      name=c.corpus.name,
      longest=c.corpus.longest,
      tokenizer=c.corpus.tokenizer,
      vocabulary=c.corpus.vocabulary,
      model=settings.model(c),
      say=progress.say,
      stopped=progress.stop.is_set,
      **settings.corpus(c),
    )
    for problem in self.setup.problems[:SHOWN]:
      progress.say(f'skipped {problem}')
    if self.setup.skipped:
      progress.say(f'{self.setup.skipped} records of the corpus were skipped')

  def encode(self, progress: Progress) -> None:
    """Encodes the corpus for the model, on disk, and makes the policies."""
    c, units, folder = self.config, None, self.workdir / 'corpus'
    if any('collocations' in POLICIES[name].needs for name in self.policy_names):
      units = setup.units(folder, self.setup.passages)
    # The asked spans are those of a task's labels, which are the same in all seeds.
    asked = {name: self.tasks[name, c.seed].asked for name in self.task_names}
    self.passages = array_files.load_or_encode(
      folder / 'encoded',
      folder / setup.TOKENS,
      self.setup.passages,
      self.setup.tokenizer,
      c.corpus.annotator,
      asked,
      c.corpus.longest,
      units,
      progress.check,
    )
    kinds = [plan.policy_of(ablation.kind) for ablation in self.ablations]
    names = dict.fromkeys((*self.policy_names, *kinds))
    self.policies, self.specs = build.make_policies(c, names, self.setup)
    if c.base.apart:
      self.parts = parts.Parts(self.setup.passages, self.tasks.values())

  def run(self, progress: Progress, until: str) -> None:
    """Runs all stages up to `until`; results.jsonl grows with every finished cell."""
    c, self.progress = self.config, progress
    jobs, _ = plan.without(self._jobs(until), self.impossible)
    path, base = self.workdir / 'results.jsonl', f'{c.model.name}-{c.model.size}'
    scores: dict[plan.Cell, dict[str, Any]] = {}
    if scheduler := c.study.scheduler:
      run = functools.partial(
        worker.run, Study, c.to_json(), str(self.workdir.absolute())
      )
      ended = pool.execute(jobs, run, self.workdir, scheduler, progress)
    else:
      # Stages side by side would have their devices talk at cross purposes, and be in
      # one trace.
      workers = c.study.workers if self.layout.is_one and not c.study.profile else 1
      ended = plan.execute(jobs, self.run_job, workers, progress.stop.set)
    for job, result in ended:
      if job.stage == 'finetune':
        scores[job.arguments[0]] = result
        done = {cell: scores[cell] for cell in self.cells if cell in scores}
        results.write_results(
          path, done, config=c.name, base=base, updates=c.pretrain.updates
        )

  def run_job(self, job: plan.Job, *needed) -> Any:
    """Runs a stage, given what those that it needs have noted down."""
    stages = {
      'base': self.base,
      'count': self.count,
      'learn': self.learn,
      'learn_best': self.learn_best,
      'supervise': self.supervise,
      'pretrain': self.pretrain,
      'finetune': self.finetune,
    }
    working_directory.check_there(self.workdir)
    with stage.memory_errors(f'The stage {job.stage}'):
      return stages[job.stage](*job.arguments, *needed)

  def check_jobs(self, until: str, progress: Progress) -> None:
    """Refuses what can be known to fail in a stage, before the first one begins.

    A policy that these data cannot give is left out, with all that waits for it.
    """
    self.progress, found = progress, {}
    for job in self._jobs(until):
      if job.stage not in ('count', 'learn', 'learn_best', 'supervise'):
        continue
      kind, task, seed = job.arguments
      if (self.workdir / f'policies/{kind}-{task}/{seed}/done.json').exists():
        continue
      try:
        if job.stage == 'supervise':
          self._pairs(task, seed)
        elif job.stage == 'count':  # It takes as long as to find out whether it can.
          self.run_job(job)
        else:
          preflight.check_joined(self.tasks[task, seed], self.setup.passages, seed)
      except Impossible as error:
        found[job] = str(error)
        progress.say(f'left out: {kind} for {task}, seed {seed}: {error}')
    self.impossible = plan.without(self._jobs(until), found)[1]

  def write_files(self, began: datetime.datetime) -> None:
    """Writes what the report reads beside the results."""
    c, first, seed = self.config, self.task_names[0], self.seeds[0]
    used = {n: self.policies[n] for n in self.policy_names if n in self.policies}
    thetas = {name: self.theta(name, first, seed) for name in used}
    made = {n: (used[n], theta) for n, theta in thetas.items() if theta is not None}
    path, passages = self.workdir / 'masks.jsonl', self.passages[first]
    task, sizes = self.tasks[first, seed], (c.study.draws, c.study.workers)
    mask_rows.write_masks(path, task, self.setup, passages, made, seed, *sizes)
    options = dict(c.recall)
    if paths := settings.names(options.pop('path')):
      top_k = c.supervised.top_k
      mask_rows.write_recall(
        self.workdir / 'recall.jsonl',
        mask_rows.scored(used, self.task_names, self.seeds, self.theta, top_k),
        paths,
        settings.names(c.supervised.pairs),
        self.setup,
        c.corpus.longest,
        c.seed,
        **options,
      )
    asked = {n: [self.tasks[n, seed] for seed in self.seeds] for n in self.task_names}
    left_out = results.impossible(self.cells, self.impossible)
    given = self.workdir, c, asked, self.setup, passages, began
    results.write_study(*given, left_out)

  def base(self, seed: int) -> dict[str, Any]:
    """The base model of a seed: random spans, the whole corpus, the main format."""
    c, options = self.config, dict(self.config.base)
    if not options['updates']:  # A published model has had its training.
      return {'seconds': 0.0, 'masked_words': 0.0}
    rate = options.pop('rate')
    del options['apart']
    passages = self._part(self.task_names[0], asked=False)
    capacity = word_capacity(passages, rate, self.setup.tokenizer.specials)
    random_spans = stage.uniform(rate, c.policy.longest)
    return denoise(
      self.setup,
      passages,
      Objective(random_spans, {}, 'spans', capacity),
      self._first_params(seed),
      Denoising(**options),
      self._context(f'base, seed {seed}', 'base', seed),
      self.saving,
    )

  def learn_best(self, kind: str, task: str, seed: int, base, *tried) -> dict[str, Any]:
    """A policy learned as the one of another seed with the best validation score."""
    del kind
    best = max(tried, key=lambda result: result['score'])
    return self.learn(best['kind'], task, seed, base)

  def learn(self, kind: str, task: str, seed: int, base) -> dict[str, Any]:
    """A policy learned from the task's loss; see `settings.learning` for its kind."""
    del base  # has been trained
    learning, shuffled = build.learning_of(self.config, kind)
    questions = self.tasks[task, seed]
    if shuffled:
      questions = tasks.shuffled(questions, seed)
    name = plan.policy_of(kind)
    context = self._policy_context(kind, task, seed)
    policy, passages = self.policies[name], self.passages[task]
    start = self._base_params(seed)
    done = learn_policy(
      self.setup, questions, passages, policy, start, learning, context
    )
    policies.complete_policy(context.directory, self.specs[name], self.setup.tokenizer)
    return {**done, 'kind': kind}

  def supervise(self, name: str, task: str, seed: int, base) -> dict[str, Any]:
    """A policy that is trained to find the answers of a task, or of other questions."""
    del base  # has been trained
    options = dict(self.config.supervised)
    del options['top_k'], options['pairs']
    pairs = self._pairs(task, seed)
    policy = self.policies[name]
    theta = first_theta(policy, self._base_params(seed), seed)
    training = supervise.Supervision(**options)
    context = self._policy_context(name, task, seed)
    done = supervise.train_policy(policy, theta, pairs, training, context)
    policies.complete_policy(context.directory, self.specs[name], self.setup.tokenizer)
    return done

  def count(self, name: str, task: str, seed: int) -> dict[str, Any]:
    """A policy whose n-grams are counted in the training questions and the corpus."""
    used, context = self.setup.tokenizer, self._policy_context(name, task, seed)
    passages, encoded = self.setup.passages, self.passages[task]
    sources = Sources(self.tasks[task, seed].train, passages, encoded, used)
    sizes = self.config.policy.longest, self.config.policy.entries
    weights = POLICIES[name].counted
    done = count.count_policy(weights, sources, *sizes, context)
    policies.complete_policy(context.directory, self.specs[name], used)
    return done

  def pretrain(
    self, policy, policy_task, target, seed, base, trained=None
  ) -> dict[str, Any]:
    """The base model, pre-trained further on what a policy hides."""
    del base  # has been trained
    c, cell = self.config, plan.Cell('', policy, policy_task, target, seed)
    passages = self._part(policy_task or self.task_names[0], asked=True)
    ids = self.setup.tokenizer.specials
    capacity = plan.entry(policy).longest_targets(passages, c.policy.rate, ids)
    # An ablation has learned as the best of what was tried.
    kind = trained.get('kind', policy) if trained else ''
    theta = self.theta(kind, policy_task, seed) if trained else {}
    title = f'pre-training, {cell.variant}, seed {seed}'
    return denoise(
      self.setup,
      passages,
      Objective(self.policies[plan.policy_of(policy)], theta, target, capacity),
      self._base_params(seed),
      Denoising(**c.pretrain),
      self._context(title, f'pretrain/{cell.variant}', seed),
      self.saving,
    ) | {'learning_seconds': trained['seconds'] if trained else 0.0}

  def finetune(self, cell: plan.Cell, start) -> dict[str, Any]:
    """Scores of a cell, and what its pre-training used up."""
    title = f'fine-tuning, {cell.task}, {cell.variant}, seed {cell.seed}'
    params = self._base_params(cell.seed)
    hides = plan.entry(cell.policy).make
    if hides:
      params = self._params(f'pretrain/{cell.variant}/{cell.seed}')
    done = finetune(
      self.setup,
      self.tasks[cell.task, cell.seed],
      params,
      Finetuning(**self.config.finetune),
      self._context(title, f'finetune/{cell.task}/{cell.variant}', cell.seed),
      self.saving,
    )
    spent = start if hides else {'seconds': 0.0}
    return done | {
      'seconds': done['seconds'] + spent['seconds'],
      'masked_words': spent.get('masked_words', 0.0),
      'learning_seconds': spent.get('learning_seconds', 0.0),
    }

  def theta(self, policy: str, task: str, seed: int):
    """The parameters of a kind of policy; None where they are still to be learned."""
    taught = plan.teacher(policy, self.config.policy.reference)
    if not taught:
      return {}
    directory = self.workdir / 'policies' / f'{taught}-{task}' / str(seed) / 'theta'
    if not directory.exists():
      return None
    init = self.policies[plan.policy_of(taught)].init
    shapes = jax.eval_shape(init, jax.random.key(0))
    return stage.saved(directory, shapes, self.layout).read()

  def _part(self, task: str, asked: bool):
    """The passages of a stage: all, or those that tasks ask about, or the others."""
    passages = self.passages[task]
    return self.parts.take(passages, asked) if self.config.base.apart else passages

  def _first_params(self, seed: int) -> Start:
    """What the base model is trained from."""
    if published := self.setup.params:
      like = self.layout.shapes(self._shapes)
      return Start(self._shapes, lambda: checkpoint.restore(published, like))
    init = functools.partial(models.init_params, self.setup.model)
    return Start(self._shapes, lambda: self.layout.init(init, jax.random.key(seed)))

  def _base_params(self, seed: int) -> Start:
    """Those of the base model."""
    if not self.config.base.updates:
      return self._first_params(seed)
    return self._params(f'base/{seed}')

  def _params(self, directory: str) -> Start:
    """Those of a finished stage."""
    path = self.workdir / directory / 'params'
    return stage.saved(path, self._shapes, self.layout)

  @functools.cached_property
  def _shapes(self):
    return models.param_shapes(self.setup.model)

  def _jobs(self, until):
    c, depth = self.config, plan.STAGES.index(until)
    return plan.jobs(self.cells, self.ablations, depth, c.policy.reference)

  @functools.cache  # noqa: B019 (a study lives as long as its process)
  def _pairs(self, task, seed):
    return supervise.pairs(
      self.config.supervised.pairs,
      self.tasks[task, seed],
      self.setup.passages,
      self.setup.tokenizer,
      self.config.corpus.longest,
      self.config.seed,  # All seeds keep the same articles of a file for the test.
    )

  def _context(self, title: str, path: str, seed: int) -> StageContext:
    directory = self.workdir / path / str(seed)
    every = self.config.study.save_every
    dtype = self.setup.model.config.dtype
    given = directory, title, self.progress, every, seed, dtype
    profile = self.config.study.profile
    return StageContext(*given, profile=profile, layout=self.layout)

  def _policy_context(self, kind: str, task: str, seed: int) -> StageContext:
    title = f'{kind} policy, {task}, seed {seed}'
    return self._context(title, f'policies/{kind}-{task}', seed)
