"""Policies x tasks x seeds with equal budgets: what is done, and what is left.

WORKDIR/
  config.json  corpus/  results.jsonl  study.json  masks.jsonl  recall.jsonl  report/
  base/SEED  policies/POLICY-TASK/SEED  pretrain/VARIANT/SEED
  finetune/TASK/VARIANT/SEED

A variant is POLICY[-POLICY_TASK]-TARGET. Every stage leaves files of its own, so
that a study that was interrupted, however rudely, goes on where it was.
"""

import datetime
import os
import pathlib
from typing import Any

import jax

from masklearn import policies, tasks
from masklearn.data import array_files
from masklearn.io import checkpoint, provenance
from masklearn.io.progress import Progress
from masklearn.meta import estimators
from masklearn.policies import pretraining
from masklearn.policies.capacity import word_capacity
from masklearn.study import learn, plan, results, settings, setup, stages, supervise
from masklearn.text import collocations
from masklearn.types import InputError

DONE = 'passages.jsonl', 'store.json', 'done.json'  # what marks a stage as finished
SHOWN = 5  # unusable records that are printed; all are in the work directory


def run_study(config, workdir: str | os.PathLike, until: str = plan.STAGES[-1]) -> None:
  """Runs what is left of a study, up to a stage.

  Args:
    config: see configs/world.py.
    workdir: where everything goes.
    until: one of plan.STAGES; the last also writes what the report reads.

  Raises:
    InputError: unknown names, an unusable corpus or task, or a work directory that
      another config made. Nothing is overwritten then.
  """
  began = datetime.datetime.now(datetime.UTC)
  whole = until == plan.STAGES[-1]
  study = Study(config, pathlib.Path(workdir))
  with Progress() as progress:
    study.claim()
    if (study.workdir / 'study.json').exists():
      progress.say(f'{workdir} holds this study, finished: nothing to do')
      return
    before = study.finished()
    try:
      study.prepare(progress)
      if until != plan.STAGES[0]:
        study.encode()
    except InputError:
      provenance.disclaim(study.workdir)
      raise
    study.run(progress, until)
    if not whole and study.finished() == before:
      progress.say(f'{workdir} holds everything up to {until}: nothing to do')
  if whole:
    results.write_masks(study)
    results.write_recall(study)
    results.write_study(study, began)


class Study:
  """The stages of a study, wired to each other by its config."""

  def __init__(self, config, workdir: pathlib.Path):
    """Checks all names before anything is written."""
    self.config, self.workdir = config, workdir
    c = config
    self.seeds = range(c.seed, c.seed + c.study.seeds)
    self.policy_names = settings.names(c.policy.names)
    self.task_names = settings.names(c.task.names)
    settings.check(c)
    targets = dict(
      zip(settings.names(c.study.targets), c.study.target_seeds, strict=True)
    )
    self.cells = plan.cells(
      self.task_names,
      self.policy_names,
      targets,
      self.seeds,
      c.study.learned_seeds,
      c.study.transfer_seeds,
      c.policy.reference,
    )
    self.others = plan.others(
      self.task_names,
      c.study.ablations,
      self.seeds[: c.study.ablation_seeds],
      c.study.trials,
    )
    self.tasks = {
      (name, seed): tasks.for_study(name, seed, c.task)
      for name in self.task_names
      for seed in self.seeds
    }

  def claim(self) -> None:
    """Makes the work directory this config's, or checks that it is."""
    provenance.claim(self.workdir, self.config)

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
      model=dict(c.model),
      say=progress.say,
      stopped=progress.stop.is_set,
      **settings.corpus(c),
    )
    for problem in self.setup.problems[:SHOWN]:
      progress.say(f'skipped {problem}')
    if self.setup.skipped:
      progress.say(f'{self.setup.skipped} records of the corpus were skipped')

  def encode(self) -> None:
    """What the model's stages need of the corpus, on disk."""
    c = self.config
    units = None
    if 'pmi_span' in self.policy_names:
      path = self.workdir / 'corpus' / 'collocations.json'
      units = collocations.load_or_count(path, self.setup.passages).units
    # The asked spans are those of a task's labels, which are the same in all seeds.
    asked = {name: self.tasks[name, c.seed].asked for name in self.task_names}
    self.passages = array_files.load_or_encode(
      self.workdir / 'corpus' / 'encoded',
      self.workdir / 'corpus' / setup.TOKENS,
      self.setup.passages,
      self.setup.tokenizer,
      c.corpus.annotator,
      asked,
      c.corpus.longest,
      units,
    )
    self.policies, self.specs = settings.make_policies(c, self.setup)

  def run(self, progress: Progress, until: str) -> None:
    """Runs all stages up to `until`; results.jsonl grows with every finished cell."""
    if until == plan.STAGES[0]:
      return
    self.progress = progress
    depth = plan.STAGES.index(until)
    jobs = plan.jobs(self.cells, self.others, depth, self.config.policy.reference)
    scores: dict[plan.Cell, dict[str, Any]] = {}

    def run(job, *results):
      return getattr(self, job.stage)(*job.arguments, *results)

    workers = self.config.study.workers
    for job, result in plan.execute(jobs, run, workers, progress.stop.set):
      if job.stage == 'finetune':
        scores[job.arguments[0]] = result
        done = {cell: scores[cell] for cell in self.cells if cell in scores}
        results.write_results(self, done)

  def base(self, seed: int) -> dict[str, Any]:
    """The base model of a seed: random spans, the whole corpus, the main format."""
    c, options = self.config, dict(self.config.base)
    params = self.setup.params
    if not options['updates']:  # A published model has had its training.
      return {'params': params, 'seconds': 0.0, 'masked_words': 0.0}
    if params is None:
      params = stages.first_params(self.setup.model, seed)
    rate = options.pop('rate')
    passages = self.passages[self.task_names[0]]
    return stages.denoise(
      self.setup,
      passages,
      stages.uniform(rate, c.policy.longest),
      {},
      params,
      self.workdir / 'base' / str(seed),
      title=f'base, seed {seed}',
      progress=self.progress,
      save_every=c.study.save_every,
      seed=seed,
      target='spans',
      capacity=word_capacity(passages, rate, self.setup.tokenizer.specials),
      saving=c.saving,
      **options,
    )

  def follow(self, task: str, seed: int, kind: str, base, *tried) -> dict[str, Any]:
    """A policy learned as the one of another seed with the best validation score."""
    best = max(tried, key=lambda result: result['score'])
    del kind
    return self.learn(task, seed, best['kind'], base)

  def learn(self, task: str, seed: int, kind: str, base) -> dict[str, Any]:
    """A learned policy; see `learning` for what `kind` can be."""
    c = self.config
    options = settings.learning(c, kind)
    questions = self.tasks[task, seed]
    if options.pop('shuffled'):
      questions = tasks.shuffled(questions, seed)
    numbers = {name: options.pop(name) for name in estimators.Estimator._fields}
    directory = self.workdir / 'policies' / f'{kind}-{task}' / str(seed)
    done = learn.learn_policy(
      self.setup,
      questions,
      self.passages[task],
      self.policies['learned'],
      base['params'],
      directory,
      title=f'{kind} policy, {task}, seed {seed}',
      progress=self.progress,
      save_every=c.study.save_every,
      seed=seed,
      rate=c.policy.rate,
      longest=c.policy.longest,
      target='spans',
      estimator=estimators.Estimator(**numbers),
      **options,
    )
    policies.complete_policy(directory, self.specs['learned'], self.setup.tokenizer)
    return {**done, 'kind': kind}

  def supervise(self, task: str, seed: int, base) -> dict[str, Any]:
    """A policy that is trained to find the answers of a task, or of other questions."""
    c, options = self.config, dict(self.config.supervised)
    del options['top']
    training, validation = supervise.pairs(
      options.pop('pairs'),
      self.tasks[task, seed],
      self.setup.passages,
      self.setup.tokenizer,
      c.corpus.longest,
      c.seed,  # All seeds keep the same articles of a file for the test.
    )
    policy = self.policies['supervised']
    directory = self.workdir / 'policies' / f'supervised-{task}' / str(seed)
    done = supervise.train_policy(
      policy,
      policies.with_words(
        policy.init(jax.random.key(seed)), base['params']['shared']['embedding']
      ),
      training,
      validation,
      directory,
      title=f'supervised policy, {task}, seed {seed}',
      progress=self.progress,
      save_every=c.study.save_every,
      seed=seed,
      **options,
    )
    policies.complete_policy(directory, self.specs['supervised'], self.setup.tokenizer)
    return done

  def pretrain(
    self, policy, policy_task, target, seed, base, trained=None
  ) -> dict[str, Any]:
    """The base model, pre-trained further on what a policy hides."""
    c, cell = self.config, plan.Cell('', policy, policy_task, target, seed)
    passages = self.passages[policy_task or self.task_names[0]]
    ids = self.setup.tokenizer.specials
    # The original objective has a rate of its own.
    if policy == 'original':
      capacity = pretraining.target_capacity(passages, c.policy.rate, ids)
    elif policy == 'random_token':
      capacity = pretraining.token_capacity(passages, c.policy.rate, ids)
    else:
      capacity = word_capacity(passages, c.policy.rate, ids)
    return stages.denoise(
      self.setup,
      passages,
      self.policies[policy],
      trained['theta'] if trained else {},
      base['params'],
      self.workdir / 'pretrain' / cell.variant / str(seed),
      title=f'pre-training, {cell.variant}, seed {seed}',
      progress=self.progress,
      save_every=c.study.save_every,
      seed=seed,
      target=target,
      capacity=capacity,
      saving=c.saving,
      **c.pretrain,
    ) | {'learning_seconds': trained['seconds'] if trained else 0.0}

  def finetune(self, cell: plan.Cell, start) -> dict[str, Any]:
    """Scores of a cell, and what its pre-training used up."""
    c = self.config
    done = stages.finetune(
      self.setup,
      self.tasks[cell.task, cell.seed],
      start['params'],
      self.workdir / 'finetune' / cell.task / cell.variant / str(cell.seed),
      title=f'fine-tuning, {cell.task}, {cell.variant}, seed {cell.seed}',
      progress=self.progress,
      save_every=c.study.save_every,
      seed=cell.seed,
      saving=c.saving,
      **c.finetune,
    )
    spent = start if cell.policy != plan.UNTRAINED else {'seconds': 0.0}
    return done | {
      'seconds': done['seconds'] + spent['seconds'],
      'masked_words': spent.get('masked_words', 0.0),
      'learning_seconds': spent.get('learning_seconds', 0.0),
    }

  def theta(self, policy: str, task: str, seed: int):
    """The parameters of a policy; None where they are still to be learned."""
    taught = plan.teacher(policy, self.config.policy.reference)
    if not taught:
      return {}
    directory = self.workdir / 'policies' / f'{taught}-{task}' / str(seed) / 'theta'
    if not directory.exists():
      return None
    like = self.policies[taught].init(jax.random.key(0))
    return checkpoint.restore(directory, like)
