"""Files of a work directory -> plain records; what a run has not made yet is empty."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from masklearn.io import files
from masklearn.types import InputError

# Stage -> how many folders name one of its runs, above the seed.
NAMES = {'base': 0, 'policies': 1, 'pretrain': 1, 'finetune': 2}
RUN_KEYS = ('policy', 'policy_task', 'target', 'base')  # with task, seed and split
ROW_KEYS = (
  'task',
  'policy',
  'policy_task',
  'target',
  'base',
  'seed',
  'split',
  'em',
  'f1',
  'n',
  'updates',
  'masked_words',
  'seconds',
  'config',
  'commit',
)
RECALL_KEYS = (
  'file',
  'passages',
  'policy',
  'recall',
  'above',
  'n',
  'words',
  'spans',
)


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


def rows(workdir: pathlib.Path) -> list[dict]:
  """Returns the rows of results.jsonl; of rows for the same run the last counts."""
  path = workdir / 'results.jsonl'
  unique = {}
  for number, row in _lines(path):
    _require(path, number, row, ROW_KEYS)
    if not isinstance(row['em'], int | float) or not 0 <= row['em'] <= 1:
      raise InputError(f'{path}:{number}: em must lie in [0, 1], got {row["em"]!r}.')
    run = (row[k] for k in ('task', *RUN_KEYS, 'seed', 'split'))
    unique[tuple(run)] = row
  return list(unique.values())


def study(workdir: pathlib.Path) -> dict:
  """Returns study.json, or {} where there is none."""
  path = workdir / 'study.json'
  if not path.exists():
    return {}
  try:
    return json.loads(path.read_text(encoding='utf-8'))
  except ValueError as error:
    raise InputError(f'{path} must hold one JSON object: {error}.') from error


def recall(workdir: pathlib.Path) -> list[dict]:
  """Returns the rows of recall.jsonl, answers that policies hide."""
  path, found = workdir / 'recall.jsonl', []
  for number, row in _lines(path):
    _require(path, number, row, RECALL_KEYS)
    found.append(row)
  return found


def histories(workdir: pathlib.Path) -> list[History]:
  """Returns the logged histories, in the order of the stages.

  Of the learning rates that a finished fine-tuning has tried, the chosen one alone.
  """
  found = []
  for stage, depth in NAMES.items():
    for path in sorted((workdir / stage).rglob('history.jsonl')):
      folders = path.parent.relative_to(workdir / stage).parts
      if len(folders) <= depth:
        continue  # of nothing that a study makes
      names, seed, rest = folders[:depth], folders[depth], folders[depth + 1 :]
      part = '/'.join(rest)
      if _rejected(path.parents[1], part):
        continue
      points = []
      for number, point in _lines(path):
        _require(path, number, point, ('step',))
        points.append(point)
      if points:
        found.append(History(stage, names, seed, tuple(points), part))
  return found


def predictions(workdir: pathlib.Path) -> list[Prediction]:
  """Returns the answers in `finetune/TASK/VARIANT/SEED/predictions.jsonl`."""
  found = []
  for path in sorted(workdir.glob('finetune/*/*/*/predictions.jsonl')):
    task, variant, seed = path.parent.relative_to(workdir).parts[1:]
    for number, record in _lines(path):
      _require(path, number, record, ('output', 'meta'))
      output, meta = record['output'], record['meta']
      answer = output[0].get('answer', '') if output else ''
      targets = tuple(meta.get('targets', ()))
      label = meta.get('label', '')
      found.append(Prediction(task, variant, seed, label, answer, targets))
  return found


def passages(workdir: pathlib.Path) -> list[dict]:
  """Returns the passages of masks.jsonl with every policy's probabilities."""
  path = workdir / 'masks.jsonl'
  found = []
  for number, record in _lines(path):
    _require(path, number, record, ('id', 'text', 'tokens', 'policies'))
    for name, shares in record['policies'].items():
      if len(shares) != len(record['tokens']):
        raise InputError(
          f'{path}:{number}: policy {name!r} needs one probability for each of the'
          f' {len(record["tokens"])} tokens, got {len(shares)}.'
        )
    found.append(record)
  return found


def variant(policy: str, policy_task: str | None, target: str) -> str:
  """Returns the name of the folder of a run, e.g. `learned-civics-spans`."""
  return '-'.join(name for name in (policy, policy_task, target) if name)


def _rejected(run: pathlib.Path, part: str) -> bool:
  """Returns whether `part` is a learning rate that a finished run did not choose."""
  if not part.startswith('lr-') or not (run / 'done.json').exists():
    return False
  return part != f'lr-{files.read_json(run / "done.json")["learning_rate"]:g}'


def _lines(path: pathlib.Path) -> list[tuple[int, dict]]:
  """Returns (line number, object) of each line; [] where there is no file."""
  if not path.exists():
    return []
  found = []
  lines = path.read_text(encoding='utf-8').split('\n')
  for number, line in enumerate(lines, 1):
    if not line.strip():
      continue
    try:
      record = json.loads(line)
    except ValueError as error:
      if number == len(lines):
        break  # no newline yet: a run is still writing this line
      raise InputError(f'{path}:{number}: not JSON: {error}.') from error
    if not isinstance(record, dict):
      raise InputError(
        f'{path}:{number}: expected a JSON object, got {type(record).__name__}.'
      )
    found.append((number, record))
  return found


def _require(path: pathlib.Path, number: int, record: dict, keys: Sequence[str]):
  missing = [key for key in keys if key not in record]
  if missing:
    raise InputError(f'{path}:{number}: missing {", ".join(missing)}.')
