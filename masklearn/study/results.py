"""What a study leaves for its reader: its results, and how it was run."""

import collections
import datetime
import pathlib
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from masklearn import data
from masklearn.evaluation import baselines
from masklearn.evaluation import results as schema
from masklearn.evaluation.results import Display, LearnedRecord, StageRecord, TaskRecord
from masklearn.io import checksums, files, provenance, secrets
from masklearn.policies import POLICIES, sampling
from masklearn.study import plan, settings
from masklearn.study.plan import Cell, Job
from masklearn.study.setup import Setup
from masklearn.tasks.splits import SPLITS
from masklearn.training import clock
from masklearn.types import Batch, Task

AT_ONCE = 8_192  # passages
_COMMAND = 'python', '-m', 'experiments.study'
# Of a cell, as they are.
_KEPT = (
  'corpus', 'updates', 'exposures', 'masked_words', 'kept_loss', 'forgotten',
  'learning_rate', 'trials', 'commit',
)  # fmt: skip


def write_results(
  path: pathlib.Path,
  scores: Mapping[Cell, Mapping[str, Any]],
  *,
  config: str,
  base: str,
) -> None:
  """Writes results.jsonl: a line for each finished cell and split, in their order.

  Args:
    path: of the file.
    scores: of each cell, what fine-tuning left and what was spent.
    config: name of the study's config.
    base: name of the model.
  """
  rows = []
  for cell, done in scores.items():
    for split in ('validation', 'test'):
      own = dict(done[split])
      rows.append(
        schema.ResultRow(
          **cell._asdict(),
          base=base,
          split=split,
          **{name: own.pop(name) for name in ('em', 'f1', 'n')},
          metrics=own,
          overlaps=done['overlaps'] if split == 'test' else None,
          **{name: done[name] for name in _KEPT},
          **{name: round(done[name], 2) for name in ('seconds', 'learning_seconds')},
          config=config,
        )
      )
  files.write_jsonl(path, (row.to_json() for row in rows), parents=False)


def write_study(
  workdir: pathlib.Path,
  config: Any,
  tasks: Mapping[str, Sequence[Task]],
  setup: Setup,
  encoded: Batch,
  began: datetime.datetime,
  left_out: Sequence[schema.ImpossibleRecord] = (),
) -> None:
  """Writes study.json: data, budget, command, machine, and the time of each stage.

  Args:
    workdir: of the study.
    config: of the study.
    tasks: by name, in order, the task of each seed.
    setup: the corpus.
    encoded: its passages, [P, L].
    began: when this call did.
    left_out: see `impossible`.
  """
  c, count = config, len(setup.passages)
  words, hidden = _sizes(encoded, c.policy.rate)
  ended = datetime.datetime.now(datetime.UTC)
  record = schema.StudyRecord(
    config=c.name,
    command=shlex.join([*_COMMAND, *secrets.redact_arguments(sys.argv[1:])]),
    commit=provenance.commit(),
    hardware=provenance.hardware(),
    started=began.isoformat(timespec='seconds'),
    seconds=(ended - began).total_seconds(),
    seeds=list(range(c.seed, c.seed + c.study.seeds)),
    tasks={name: _task(seeds) for name, seeds in tasks.items()},
    corpus=schema.CorpusRecord(c.corpus.name, count, words, setup.skipped),
    budget=schema.BudgetRecord(c.policy.rate, hidden / count),
    policies=_learned(workdir, c),
    stages=_stages(workdir),
    display=display(_kinds(c)),
    impossible=list(left_out),
    primary=list(settings.names(c.study.primary)),
    margin=c.study.margin,
  )
  names = 'results.jsonl', 'masks.jsonl', 'recall.jsonl'
  there = [name for name in names if (workdir / name).exists()]
  # To be published, as the report is; config.json keeps all, to be compared.
  said = secrets.redact(record.to_json())
  checksums.seal(workdir / 'study.json', said, there)


def impossible(
  cells: Iterable[Cell], reasons: Mapping[Job, str]
) -> list[schema.ImpossibleRecord]:
  """The cells of a study that its data do not allow, one for all seeds of a variant.

  Args:
    cells: of the study.
    reasons: see `plan.without`.
  """
  found: dict[tuple, list] = {}
  for cell in cells:
    reason = reasons.get(Job('finetune', (cell,)))
    if reason and not cell.setting:  # It is the same in all settings.
      key = cell.task, cell.policy, cell.policy_task, cell.target, reason
      found.setdefault(key, []).append(cell.seed)
  return [schema.ImpossibleRecord(*key, seeds) for key, seeds in found.items()]


def display(names: Iterable[str]) -> dict[str, Display]:
  """How the report shows some policies, or kinds of them.

  >>> display(['salient'])
  {'salient': Display(title='salient spans', role='heuristic', equal='updates')}
  """
  entries = ((name, plan.title(name), plan.entry(name)) for name in names)
  return {name: Display(title, e.role, e.equal) for name, title, e in entries}


def _kinds(config) -> list[str]:
  """The policies of a study, and the ablations that are deployed like these."""
  ablations = config.study.ablations if config.study.deploy_ablations else ()
  return [*settings.names(config.policy.names), *map(plan.ablation_kind, ablations)]


def _task(seeds: Sequence[Task]) -> TaskRecord:
  splits = {split: seeds[0].split(split) for split in SPLITS}
  majority = {
    split: [baselines.majority_baseline(task, split) for task in seeds]
    for split in ('validation', 'test')
  }
  return TaskRecord(
    questions={split: len(examples) for split, examples in splits.items()},
    groups={split: len({e.group for e in es}) for split, es in splits.items()},
    majority_em={split: float(np.mean(em)) for split, em in majority.items()},
    kinds=dict(collections.Counter(e.label for e in splits['test'])),
    metric=seeds[0].metric,
  )


def _sizes(passages: Batch, rate: float) -> tuple[int, int]:
  """Words of all passages, and how many of them are hidden."""
  words, hidden, count = 0, 0, len(passages.tokens)
  for rows in np.array_split(np.arange(count), count // AT_ONCE + 1):
    part = data.take(passages, rows)
    words += int(sampling.word_count(part).sum())
    hidden += int(sampling.budget(part, rate).sum())
  return words, hidden


def _learned(workdir: pathlib.Path, config: Any) -> list[LearnedRecord]:
  """What learning gave, for each policy, task and seed, and how it was set up."""
  rows = []
  for name in (n for n, entry in POLICIES.items() if entry.trained_by == 'learn'):
    own = settings.learning(config, name)
    for path in sorted((workdir / 'policies').glob(f'{name}*/*/done.json')):
      policy, seed = path.parts[-3:-1]
      options = settings.learning(config, policy.rpartition('-')[0])
      history = files.read_jsonl(path.parent / 'history.jsonl')
      ratios = [point['snr'] for point in history if 'snr' in point]
      row = {
        **files.read_object(path),
        'policy': policy,
        'seed': int(seed),
        'settings': {k: v for k, v in options.items() if v != own[k]},
        'snr': float(np.mean(ratios)) if ratios else None,
      }
      rows.append(LearnedRecord.from_json(row, str(path)))
  return rows


def _stages(workdir: pathlib.Path) -> list[StageRecord]:
  """Seconds of every finished stage, without those of the stages before it."""
  rows = []
  for stage in ('base', 'policies', 'pretrain', 'forgetting', 'finetune'):
    for path in sorted((workdir / stage).rglob('done.json')):
      *names, seed = path.relative_to(workdir / stage).parts[:-1]
      task = names.pop(0) if stage == 'finetune' else ''
      seconds = round(files.read_object(path, ['seconds'])['seconds'], 2)
      policy = names[0] if names else ''
      parts = _parts(path.parent)
      rows.append(StageRecord(stage, policy, task, int(seed), seconds, parts))
  return rows


def _parts(directory):
  """Where the time of a stage went, its warm-up and all learning rates included."""
  logged = (files.read_jsonl(path) for path in directory.rglob('history.jsonl'))
  rows = [row for history in logged for row in history]
  sums = {p: sum(row.get(f'seconds_{p}', 0.0) for row in rows) for p in clock.PARTS}
  return {part: round(seconds, 2) for part, seconds in sums.items()}
