"""A work directory, read: what a run has not made yet is empty."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from masklearn.evaluation import results
from masklearn.evaluation.results import Display, MaskRow, RecallRow, ResultRow
from masklearn.io import checksums, files, record_files, records, secrets
from masklearn.types import InputError

T = TypeVar('T')

# What only a study leaves: a report is written into no other folder.
OF_A_STUDY = ('config.json', 'study.json', 'results.jsonl', 'recall.jsonl')
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
  id: str  # of the question
  label: str  # kind of question
  group: str  # what it is about, '' if unknown
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
  left_out: list[str]  # what could not be used of curves and answers, with its place


def read(path: pathlib.Path, display: Mapping[str, Any]) -> Workdir:
  """Returns the content of a work directory.

  Args:
    path: of the directory.
    display: by policy, anything with `title` and `role`, for those of which study.json
      does not say them.

  Raises:
    InputError: no study made the directory, or a file cannot be used; the message
      names file, line and field. Histories and answers, of which there are many, are
      left out instead, and listed.
  """
  check(path)
  if (path / 'study.json').exists():  # What still runs has none of its own yet.
    with files.remade(path / 'study.json'):
      checksums.check(path)
  study = read_study(path / 'study.json')
  rows = result_rows(path)
  recall = read_lines(path / 'recall.jsonl', RecallRow.from_json)
  passages = read_lines(path / 'masks.jsonl', MaskRow.from_json)
  names = [row.policy for row in [*rows, *recall]]
  names += [name for passage in passages for name in passage.policies]
  shown = dict(study.display)
  for name in names:
    if name not in shown and name in display:
      own = display[name]
      equal = getattr(own, 'equal', Display.equal)
      shown[name] = Display(own.title, own.role, equal)
  left_out: list[str] = []
  logged, answers = histories(path, left_out), predictions(path, left_out)
  left_out = [text.replace(f'{path}{os.sep}', '') for text in left_out]
  return Workdir(rows, study, recall, passages, logged, answers, shown, left_out)


def check(path: pathlib.Path) -> None:
  """Raises `InputError` unless a study has begun in this directory."""
  if not os.path.isdir(path):
    raise InputError(f'no work directory {str(path)!r}: run a study first.')
  if not any(os.path.lexists(path / name) for name in OF_A_STUDY):
    raise InputError(
      f'{path} is no work directory of a study: it has none of {", ".join(OF_A_STUDY)}.'
    )


def read_study(path: pathlib.Path) -> results.StudyRecord:
  """Returns the content of study.json; all defaults where there is no file.

  What looks like a credential is left out, as earlier versions have written it.

  Raises:
    InputError: the file is no JSON object, or a field cannot be used.
  """
  if not _is_there(path):
    return results.StudyRecord()
  try:
    record = records.json_object(path.read_bytes())
  except OSError as error:
    raise InputError(f'{path} cannot be read: {error.strerror}.') from error
  except ValueError as error:
    raise InputError(f'{path} must hold one JSON object: {error}') from error
  if isinstance(record.get('command'), str):
    record['command'] = secrets.redact_command(record['command'])
  return results.StudyRecord.from_json(secrets.redact(record), str(path))


def read_lines(
  path: pathlib.Path, parse: Callable[[dict[str, Any], str], T]
) -> list[T]:
  """Returns `parse(record, place)` of each JSON line; [] where there is no file.

  Args:
    path: of the file. A last line without its end is left out: it is being written.
    parse: such as `ResultRow.from_json`; place is FILE:LINE.

  Raises:
    InputError: a line cannot be used; names file, line and reason.
  """
  if not _is_there(path):
    return []
  found = list(record_files.read(path))
  if found and found[-1].problem and not _ends_with_a_line(path):
    found.pop()
  for record in found:
    if record.problem:
      raise InputError(record.message)
  return [parse(record.value, str(record.place)) for record in found]


def result_rows(path: pathlib.Path) -> list[ResultRow]:
  """Returns the rows of results.jsonl; of rows for the same run the last counts."""
  rows = read_lines(path / 'results.jsonl', ResultRow.from_json)
  keys = 'task', 'policy', 'policy_task', 'target', 'base', 'seed', 'split', 'setting'
  return list({tuple(getattr(row, key) for key in keys): row for row in rows}.values())


def histories(path: pathlib.Path, left_out: list[str] | None = None) -> list[History]:
  """Returns the logged histories, in the order of the stages.

  Of the learning rates that a finished fine-tuning has tried, the chosen one alone; of
  those that a policy was learned with, the one that most seeds have.

  Args:
    path: of the work directory.
    left_out: takes the problem of each file that cannot be used.

  Raises:
    InputError: a file cannot be used, and nothing takes its problem.
  """
  found = []
  for stage, depth in DEPTHS.items():
    for file in sorted((path / stage).rglob('history.jsonl')):
      folders = file.parent.relative_to(path / stage).parts
      if len(folders) <= depth:
        continue  # not the work of a study
      names, seed, rest = folders[:depth], folders[depth], folders[depth + 1 :]
      part = '/'.join(rest)
      if part.startswith('lr-') and _rejected(file.parents[1], part, left_out):
        continue
      points = _lines_or_problem(file, results.history_point, left_out)
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


def predictions(
  path: pathlib.Path, left_out: list[str] | None = None
) -> list[Prediction]:
  """Returns the answers in `finetune/TASK/VARIANT/SEED/predictions.jsonl`.

  left_out: see `histories`, as for what is raised.
  """
  found = []
  for file in sorted(path.glob('finetune/*/*/*/predictions.jsonl')):
    run = file.parent.relative_to(path).parts[1:]
    found += _lines_or_problem(
      file, lambda r, place, run=run: _answer(run, r, place), left_out
    )
  return found


def variant(row: Any) -> str:
  """Returns the name of the folder of a run, of one of its rows or of their result."""
  names = row.policy, row.policy_task, row.target, row.setting
  return '-'.join(name for name in names if name)


def title(display: Mapping[str, Display], policy: str) -> str:
  """Returns what a reader calls a policy.

  >>> title({'salient': Display('salient spans')}, 'salient')
  'salient spans'
  >>> title({}, 'long_words')
  'long words'
  """
  return display[policy].title if policy in display else policy.replace('_', ' ')


def _lines_or_problem(path, parse, left_out: list[str] | None) -> list:
  try:
    return read_lines(path, parse)
  except InputError as error:
    if left_out is None:
      raise
    left_out.append(str(error))
    return []


def _is_there(path: pathlib.Path) -> bool:
  """Returns whether there is something by this name; if so, it must be a file."""
  if not os.path.lexists(path):
    return False
  if not os.path.isfile(path):  # a folder, a pipe, a link to nothing
    raise InputError(f'{path} cannot be read: it is no file.')
  return True


def _ends_with_a_line(path: pathlib.Path) -> bool:
  with open(path, 'rb') as file:
    file.seek(max(path.stat().st_size - 1, 0))
    return file.read() == b'\n'


def _answer(run: tuple[str, str, str], record: dict, place: str) -> Prediction:
  missing = [key for key in ('output', 'meta') if key not in record]
  if missing:
    raise InputError(f'{place}: missing {", ".join(missing)}.')
  output, meta = record['output'], record['meta']
  try:
    first = output[0] if output else {}
    answer, label = first.get('answer') or '', meta.get('label') or ''
    targets = tuple(meta.get('targets') or ())
    ident, group = record.get('id') or place, meta.get('group') or ''
    said = answer, label, ident, group, *targets
    texts = all(isinstance(text, str) for text in said)
  except (AttributeError, KeyError, TypeError):
    texts = False
  if not texts:
    raise InputError(
      f'{place}: expected "output": [{{"answer": TEXT}}] and "meta": {{"targets": '
      f'[TEXT, ..], "label": TEXT}}, got {output!r:.40} and {meta!r:.40}.'
    )
  return Prediction(*run, ident, label, group, answer, targets)


def _rejected(run: pathlib.Path, part: str, left_out: list[str] | None) -> bool:
  """Returns whether `part` is a learning rate that a finished run did not choose."""
  path = run / 'done.json'
  try:
    rate = records.json_object(path.read_bytes())['learning_rate']
    return part != f'lr-{rate:g}'
  except FileNotFoundError:
    return False
  except (OSError, LookupError, ValueError, TypeError, ArithmeticError) as error:
    problem = f'{path} must say the learning_rate of this run: {error}'
    if left_out is None:
      raise InputError(problem) from error
    if problem not in left_out:
      left_out.append(problem)
    return False
