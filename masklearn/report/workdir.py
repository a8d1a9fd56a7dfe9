"""A work directory, read: what a run has not made yet is empty."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from masklearn.evaluation import results
from masklearn.evaluation.results import Display, MaskRow, RecallRow, ResultRow
from masklearn.io import checksums, files
from masklearn.types import InputError

# Stage -> how many folders name one of its runs, above the seed.
DEPTHS = {'base': 0, 'policies': 1, 'pretrain': 1, 'finetune': 2}


@dataclasses.dataclass(frozen=True)
class History:
  """What a stage logged in `WORKDIR/stage/*names/seed[/part]/history.jsonl`."""

  stage: str
  names: tuple[str, ...]
  seed: str
  points: tuple[dict, ...]
  part: str = ''  # of a stage with several loops: its warm-up, or a learning rate


@dataclasses.dataclass(frozen=True)
class Prediction:
  """One answer of one run, with what would have been right."""

  task: str
  variant: str  # name of the run's folder
  seed: str
  label: str  # kind of question
  answer: str
  targets: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Workdir:
  """The content of a work directory, as far as a report shows it."""

  rows: list[ResultRow]  # of several for the same run the last
  study: results.StudyRecord
  recall: list[RecallRow]
  passages: list[MaskRow]
  histories: list[History]  # in the order of the stages
  predictions: list[Prediction]
  display: dict[str, Display]  # by policy, in the order in which they are shown


def read(path: pathlib.Path, display: Mapping[str, Any]) -> Workdir:
  """Returns the content of a work directory.

  Args:
    path: of the directory.
    display: by policy, anything with `title` and `role`, for those of which study.json
      does not say them.

  Raises:
    InputError: a file cannot be used; the message names file, line and field.
  """
  if not path.is_dir():
    raise InputError(f'no work directory {str(path)!r}: run a study first.')
  if (path / 'study.json').exists():  # What still runs has none of its own yet.
    with files.remade(path / 'study.json'):
      checksums.check(path)
  study = results.read_study(path / 'study.json')
  rows = result_rows(path)
  recall = results.read_lines(path / 'recall.jsonl', RecallRow.from_json)
  passages = results.read_lines(path / 'masks.jsonl', MaskRow.from_json)
  names = [row.policy for row in [*rows, *recall]]
  names += [name for passage in passages for name in passage.policies]
  shown = dict(study.display)
  for name in names:
    if name not in shown and name in display:
      shown[name] = Display(display[name].title, display[name].role)
  logged, answers = histories(path), predictions(path)
  return Workdir(rows, study, recall, passages, logged, answers, shown)


def result_rows(path: pathlib.Path) -> list[ResultRow]:
  """Returns the rows of results.jsonl; of rows for the same run the last counts."""
  rows = results.read_lines(path / 'results.jsonl', ResultRow.from_json)
  keys = ('task', 'policy', 'policy_task', 'target', 'base', 'seed', 'split')
  return list({tuple(getattr(row, key) for key in keys): row for row in rows}.values())


def histories(path: pathlib.Path) -> list[History]:
  """Returns the logged histories, in the order of the stages.

  Of the learning rates that a finished fine-tuning has tried, the chosen one alone; of
  those that a policy was learned with, the one that most seeds have.
  """
  found = []
  for stage, depth in DEPTHS.items():
    for file in sorted((path / stage).rglob('history.jsonl')):
      folders = file.parent.relative_to(path / stage).parts
      if len(folders) <= depth:
        continue  # not the work of a study
      names, seed, rest = folders[:depth], folders[depth], folders[depth + 1 :]
      part = '/'.join(rest)
      if _rejected(file.parents[1], part):
        continue
      points = results.read_lines(file, results.history_point)
      if points:
        found.append(History(stage, names, seed, tuple(points), part))
  return without_rejected_trials(found)


def without_rejected_trials(found: Sequence[History]) -> list[History]:
  """Returns the histories without the trials that no other seed has repeated.

  A trial is called NAME@RATE-TASK; the one that most seeds have is NAME-TASK here.
  """
  trials: dict[tuple, list[History]] = {}
  for history in found:
    trials.setdefault((history.stage, history.names, history.part), []).append(history)
  best: dict[tuple, list[History]] = {}
  for (stage, names, part), seeds in trials.items():
    own = tuple(re.sub(r'@[\d.]+(e-?\d+)?', '', name) for name in names)
    if len(seeds) > len(best.get((stage, own, part), [])):
      best[stage, own, part] = [dataclasses.replace(h, names=own) for h in seeds]
  return [history for seeds in best.values() for history in seeds]


def predictions(path: pathlib.Path) -> list[Prediction]:
  """Returns the answers in `finetune/TASK/VARIANT/SEED/predictions.jsonl`."""
  found = []
  for file in sorted(path.glob('finetune/*/*/*/predictions.jsonl')):
    run = file.parent.relative_to(path).parts[1:]
    found += results.read_lines(file, lambda r, place, run=run: _answer(run, r, place))
  return found


def variant(policy: str, policy_task: str | None, target: str) -> str:
  """Returns the name of the folder of a run.

  >>> variant('learned', 'civics', 'spans')
  'learned-civics-spans'
  """
  return '-'.join(name for name in (policy, policy_task, target) if name)


def title(display: Mapping[str, Display], policy: str) -> str:
  """Returns what a reader calls a policy.

  >>> title({'salient': Display('salient spans')}, 'salient')
  'salient spans'
  >>> title({}, 'long_words')
  'long words'
  """
  return display[policy].title if policy in display else policy.replace('_', ' ')


def _answer(run: tuple[str, str, str], record: dict, place: str) -> Prediction:
  missing = [key for key in ('output', 'meta') if key not in record]
  if missing:
    raise InputError(f'{place}: missing {", ".join(missing)}.')
  output, meta = record['output'], record['meta']
  answer = output[0].get('answer', '') if output else ''
  targets = tuple(meta.get('targets', ()))
  return Prediction(*run, meta.get('label', ''), answer, targets)


def _rejected(run: pathlib.Path, part: str) -> bool:
  """Returns whether `part` is a learning rate that a finished run did not choose."""
  if not part.startswith('lr-') or not (run / 'done.json').exists():
    return False
  done = files.read_object(run / 'done.json', ['learning_rate'])
  return part != f'lr-{done["learning_rate"]:g}'
