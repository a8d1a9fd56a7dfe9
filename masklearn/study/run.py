"""Policies x tasks x seeds with equal budgets: what is done, and what is left.

WORKDIR/
  config.json  corpus/  results.jsonl  study.json  masks.jsonl  recall.jsonl  report/
  base/SEED  policies/POLICY-TASK/SEED  pretrain/VARIANT/SEED
  finetune/TASK/VARIANT/SEED  forgetting/VARIANT/SEED  forgetting/base/SEED

A variant is POLICY[-POLICY_TASK]-TARGET[-SETTING]. Every stage leaves files of its own,
so that a study that was interrupted, however rudely, goes on where it was.
"""

import datetime
import functools
import pathlib
import time
from typing import Any

from masklearn import policies, tasks
from masklearn.io import workdir as working_directory
from masklearn.io.progress import Progress
from masklearn.policies import POLICIES
from masklearn.policies.capacity import word_capacity
from masklearn.policies.counts import Sources
from masklearn.study import (
  build,
  compute,
  corpora,
  count,
  excess,
  forgetting,
  mask_rows,
  parameters,
  plan,
  pool,
  preflight,
  results,
  settings,
  stage,
  supervise,
  worker,
)
from masklearn.study.finetune import Finetuning, finetune
from masklearn.study.learn import first_theta, learn_policy
from masklearn.study.pretrain import Denoising, Objective, denoise
from masklearn.study.unknown import keep_unknown
from masklearn.training import mesh
from masklearn.training.context import StageContext
from masklearn.types import Impossible

DONE = 'passages.jsonl', 'store.json', 'done.json'  # what marks a stage as finished

# What a cell has from its pre-training, 0 where there was none.
SPENT = 'masked_words', 'learning_seconds', 'exposures'


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
    self.settings = settings.pretraining(c)
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
    given = self.config, self.workdir / 'corpus', progress
    self.setup = corpora.prepare(*given)
    self.unrelated = corpora.prepare_unrelated(*given)

  def encode(self, progress: Progress) -> None:
    """Encodes the corpus for the model, on disk, and makes the policies."""
    c, made, folder = self.config, (self.setup, self.unrelated), self.workdir / 'corpus'
    self.corpora = corpora.encode(c, *made, self.tasks, folder, progress)
    self.passages = self.corpora.own
    kinds = [plan.policy_of(ablation.kind) for ablation in self.ablations]
    names = dict.fromkeys((*self.policy_names, *kinds))
    self.policies, self.specs = build.make_policies(c, names, self.setup)
    given = self.workdir, self.setup, self.layout, self.policies
    options = bool(c.base.updates), c.policy.reference
    self.params = parameters.Parameters(*given, *options)

  def run(self, progress: Progress, until: str) -> None:
    """Runs all stages up to `until`; results.jsonl grows with every finished cell."""
    c, self.progress = self.config, progress
    jobs, _ = plan.without(self.jobs(until), self.impossible)
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
        results.write_results(path, done, config=c.name, base=base)

  def run_job(self, job: plan.Job, *needed) -> Any:
    """Runs a stage, given what those that it needs have noted down."""
    stages = {
      'base': self.base,
      'count': self.count,
      'learn': self.learn,
      'learn_best': self.learn_best,
      'score': self.score,
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
    for job in self.jobs(until):
      if job.stage not in ('count', 'learn', 'learn_best', 'supervise'):
        continue
      kind, task, seed = job.arguments
      directory = self.workdir / 'policies' / plan.folder(kind, task) / str(seed)
      if (directory / 'done.json').exists():
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
        of = f'{kind} for {task}' if task else kind
        progress.say(f'left out: {of}, seed {seed}: {error}')
    self.impossible = plan.without(self.jobs(until), found)[1]

  def write_files(self, began: datetime.datetime) -> None:
    """Writes what the report reads beside the results."""
    c, first, seed = self.config, self.task_names[0], self.seeds[0]
    used = {n: self.policies[n] for n in self.policy_names if n in self.policies}
    thetas = {name: self.params.theta(name, first, seed) for name in used}
    made = {n: (used[n], theta) for n, theta in thetas.items() if theta is not None}
    path, passages = self.workdir / 'masks.jsonl', self.passages[first]
    task, sizes = self.tasks[first, seed], (c.study.draws, c.study.workers)
    mask_rows.write_masks(path, task, self.setup, passages, made, seed, *sizes)
    options = dict(c.recall)
    if paths := settings.names(options.pop('path')):
      top_k = c.supervised.top_k
      mask_rows.write_recall(
        self.workdir / 'recall.jsonl',
        mask_rows.scored(used, self.task_names, self.seeds, self.params.theta, top_k),
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
    options = dict(self.config.base)
    every = [setting.corpus for setting in self.settings.values()]
    kept = functools.partial(self._forgetting, 'base', seed, corpora=every)
    if not options['updates']:  # A published model has had its training.
      spent = {'seconds': 0.0, 'masked_words': 0.0}
      return spent | kept(self.params.base(seed))
    del options['apart'], options['rate'], options['varied']
    passages = self.corpora.base(self.task_names[0])
    done = denoise(
      self.setup,
      passages,
      self._random_spans(passages),
      self.params.first(seed),
      Denoising(**options),
      self._context(f'base, seed {seed}', 'base', seed),
      self.saving,
    )
    return done | kept(self.params.base(seed))

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
    start = self.params.base(seed)
    done = learn_policy(
      self.setup, questions, passages, policy, start, learning, context
    )
    policies.complete_policy(context.directory, self.specs[name], self.setup.tokenizer)
    return {**done, 'kind': kind}

  def supervise(self, name: str, task: str, seed: int, base) -> dict[str, Any]:
    """A policy that is trained to find the answers of a task, or of other questions."""
    del base  # has been trained
    options = dict(self.config.supervised)
    least = options.pop('least_loss')
    del options['top_k'], options['pairs']
    (pairs, spent), policy = self._pairs(task, seed), self.policies[name]
    context, start = self._policy_context(name, task, seed), self.params.base(seed)
    if POLICIES[name].unknown and not stage.finished(context.directory, 'theta'):
      target, began = settings.names(self.config.study.targets)[0], time.monotonic()
      given = self.setup, start, target, least, options['batch_size'], context
      pairs = tuple(keep_unknown(part, *given) for part in pairs)
      spent += time.monotonic() - began
    theta = first_theta(policy, start, seed)
    training = supervise.Supervision(**options)
    done = supervise.train_policy(policy, theta, pairs, training, context, spent)
    policies.complete_policy(context.directory, self.specs[name], self.setup.tokenizer)
    return done

  def count(self, name: str, task: str | None, seed: int) -> dict[str, Any]:
    """A policy whose n-grams are counted in the corpus, and in training questions."""
    used, context = self.setup.tokenizer, self._policy_context(name, task, seed)
    passages, encoded = self.setup.passages, self.passages[task or self.task_names[0]]
    questions = self.tasks[task, seed].train if task else ()
    sources = Sources(questions, passages, encoded, used)
    sizes = self.config.policy.longest, self.config.policy.entries
    weights = POLICIES[name].counted
    done = count.count_policy(weights, sources, *sizes, context)
    policies.complete_policy(context.directory, self.specs[name], used)
    return done

  def score(self, name: str, task, seed: int, base, reference) -> dict[str, Any]:
    """A policy of the words that another pre-training teaches the base model.

    It is charged with that pre-training, too, though the study may use it besides.
    """
    del base  # has been trained
    c, spec = self.config, self.specs[name]
    target = settings.names(c.study.targets)[0]
    other = plan.Cell('', POLICIES[name].after, None, target, seed)
    context = self._policy_context(name, task, seed)
    done = excess.score_passages(
      self.setup,
      self.corpora.pretraining(task or self.task_names[0]),
      (self.params.base(seed), self.params.pretrained(other)),
      target,
      (spec['passages'], spec['words']),
      excess.Scoring(**c.score),
      context,
    )
    policies.complete_policy(context.directory, spec, self.setup.tokenizer)
    return done | {'seconds': done['seconds'] + reference['seconds']}

  def pretrain(
    self, policy, policy_task, target, seed, setting, base, trained=None
  ) -> dict[str, Any]:
    """The base model, pre-trained further on what a policy hides."""
    c, cell = self.config, plan.Cell('', policy, policy_task, target, seed, setting)
    chosen, task = self.settings[setting], policy_task or self.task_names[0]
    passages = self.corpora.pretraining(task, chosen.corpus)
    ids = self.setup.tokenizer.specials
    entry = plan.entry(policy)
    capacity = entry.longest_targets(passages, c.policy.rate, ids)
    # An ablation has learned as the best of what was tried.
    kind = trained.get('kind', policy) if trained else ''
    theta = self.params.theta(kind, policy_task, seed) if trained else {}
    title = f'pre-training, {cell.variant}, seed {seed}'
    context = self._context(title, f'pretrain/{cell.variant}', seed)
    training, count = Denoising(**c.pretrain), len(passages.tokens)
    training = training.exposed(chosen.exposures, count)
    if entry.equal == 'compute' and not stage.finished(context.directory):
      training = training._replace(updates=self._updates_with_learning(target))
    done = denoise(
      self.setup,
      passages,
      Objective(self.policies[plan.policy_of(policy)], theta, target, capacity),
      self.params.base(seed),
      training,
      context,
      self.saving,
    )
    given = cell.variant, seed, self.params.pretrained(cell), [chosen.corpus]
    training = training._replace(updates=done.get('updates', training.updates))
    return {
      **done,
      **self._forgetting(*given, base.get('kept_loss')),
      'corpus': chosen.corpus,
      'updates': training.updates,
      'exposures': training.exposures(count),
      'learning_seconds': trained['seconds'] if trained else 0.0,
    }

  def finetune(self, cell: plan.Cell, start) -> dict[str, Any]:
    """Scores of a cell, and what its pre-training used up."""
    title = f'fine-tuning, {cell.task}, {cell.variant}, seed {cell.seed}'
    done = finetune(
      self.setup,
      self.tasks[cell.task, cell.seed],
      self.params.pretrained(cell),
      Finetuning(**self.config.finetune),
      self._context(title, f'finetune/{cell.task}/{cell.variant}', cell.seed),
      self.saving,
    )
    spent = start if plan.entry(cell.policy).make else {'seconds': 0.0}
    return done | {
      'seconds': done['seconds'] + spent['seconds'],
      **{name: spent.get(name, 0.0) for name in SPENT},
      **{name: start.get(name) for name in ('kept_loss', 'forgotten')},
      'corpus': spent.get('corpus', 'own'),
      'updates': spent.get('updates', 0),
    }

  def _forgetting(self, name, seed, params, corpora, before=None) -> dict[str, Any]:
    """What a model has kept; nothing if pre-training on these corpora sees it all."""
    passages = self.corpora.kept(self.task_names[0], corpora)
    if passages is None:
      return {}
    title = f'forgetting, {name}, seed {seed}'
    context = self._context(title, f'forgetting/{name}', seed)
    given = self.setup, passages, params, self._random_spans(passages)
    return forgetting.measure(*given, context, before)

  def _random_spans(self, passages) -> Objective:
    """What the base model restores."""
    c = self.config.base
    spans = stage.uniform(c.rate, self.config.policy.longest, c.varied)
    capacity = word_capacity(passages, c.rate, self.setup.tokenizer.specials)
    return Objective(spans, {}, 'spans', capacity)

  def jobs(self, until: str) -> dict[plan.Job, tuple[plan.Job, ...]]:
    """The stages up to `until`, each with those that it needs."""
    c, depth = self.config, plan.STAGES.index(until)
    return plan.jobs(self.cells, self.ablations, depth, c.policy.reference)

  @functools.cache  # noqa: B019 (a study lives as long as its process)
  def _updates_with_learning(self, target):
    asked = [self.tasks[name, self.seeds[0]] for name in self.task_names]
    passages = self.corpora.pretraining(self.task_names[0])
    return compute.with_learning(self.config, self.setup, passages, asked, target)

  @functools.cache  # noqa: B019
  def _pairs(self, task, seed):
    """What a supervised policy learns from, and the seconds that finding it took."""
    began = time.monotonic()
    found = supervise.pairs(
      self.config.supervised.pairs,
      self.tasks[task, seed],
      self.setup.passages,
      self.setup.tokenizer,
      self.config.corpus.longest,
      self.config.seed,  # All seeds keep the same articles of a file for the test.
    )
    return found, time.monotonic() - began

  def _context(self, title: str, path: str, seed: int) -> StageContext:
    directory = self.workdir / path / str(seed)
    every = self.config.study.save_every
    dtype = self.setup.model.config.dtype
    given = directory, title, self.progress, every, seed, dtype
    profile = self.config.study.profile
    return StageContext(*given, profile=profile, layout=self.layout)

  def _policy_context(self, kind: str, task: str | None, seed: int) -> StageContext:
    title = ', '.join(filter(None, (f'{kind} policy', task, f'seed {seed}')))
    return self._context(title, f'policies/{plan.folder(kind, task)}', seed)
