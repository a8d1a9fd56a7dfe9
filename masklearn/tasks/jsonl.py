"""Questions from a user's own files, and the reading of JSON lines that may be bad.

A record is {"source", "target" or "targets": [...], "id"?, "group"?, "label"?}, or
has KILT's shape, {"id", "input", "output": [{"answer"}, ...]}.
"""

import gzip
import json
import logging
import os
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from masklearn.tasks import splits
from masklearn.types import Example, InputError, Task

T = TypeVar('T')


def task(
  name: str,
  seed: int,
  train: str | os.PathLike = '',
  validation: str | os.PathLike = '',
  test: str | os.PathLike = '',
  train_share: float = 0.5,
  validation_share: float = 0.2,
) -> Task:
  """Returns the questions of the files; a split without a file is cut off `train`.

  Questions of one group stay in one split; a record without a group is one of its
  own. What cannot be used is skipped, logged as FILE:LINE with the reason, and
  counted.

  Args:
    name: of the task.
    seed: of the split.
    train: path of a file of JSON lines, plain or .gz.
    validation: the same, or '' to take `validation_share` of the groups of `train`.
    test: the same, or '' to take what the shares leave of the groups of `train`.
    train_share: of the groups; what no other split needs stays in training, too.
    validation_share: of the groups.

  Raises:
    InputError: a file cannot be read, a split is empty, or files share a group.
  """
  if not train:
    raise InputError(f'Task {name!r} needs train=FILE, its training questions.')
  paths = {'train': train, 'validation': validation, 'test': test}
  examples = {split: [] for split in splits.SPLITS}
  for split, path in paths.items():
    if path:
      examples[split], problems = read(path)
      for problem in problems:
        logging.warning(problem)
      if problems:
        logging.warning('%s: skipped %d records in all.', path, len(problems))
  _check_disjoint(examples)
  to_validation = 0 if validation else validation_share
  to_test = 0 if test else 1 - train_share - validation_share
  pool, examples['train'] = examples['train'], []
  keys = [example.group or example.id for example in pool]
  split_of = splits.split_groups(keys, seed, 1 - to_validation - to_test, to_validation)
  for key, example in zip(keys, pool, strict=True):
    examples[split_of[key]].append(example)
  return splits.make_task(name, examples)


def read(path: str | os.PathLike) -> tuple[list[Example], list[str]]:
  """Returns the questions of a file, and what was wrong with the other records."""
  return read_records(path, _example)


def read_records(
  path: str | os.PathLike, parse: Callable[[dict[str, Any], str], T]
) -> tuple[list[T], list[str]]:
  """Returns `parse(record, default_id)` of every line, and a problem for each bad one.

  A problem reads FILE:LINE: what. A line is bad if it is no JSON object in UTF-8, if
  `parse` raises `ValueError`, or if its result has the `id` of an earlier one.

  Args:
    path: JSON lines, plain or .gz; blank lines are ignored.
    parse: makes something with an `id` of a record.

  Raises:
    InputError: the file cannot be read, or has no usable record.
  """
  path = pathlib.Path(path)
  stem = path.name.removesuffix('.gz').removesuffix('.jsonl')
  found: dict[str, T] = {}
  problems = []
  try:
    with gzip.open(path) if path.suffix == '.gz' else open(path, 'rb') as lines:
      for number, line in enumerate(lines, start=1):
        if not line.strip():
          continue
        try:
          item = parse(json_object(line), f'{stem}-{number}')
          if item.id in found:
            raise ValueError(f'id {item.id!r} occurs before.')
        except ValueError as error:
          problems.append(f'{path}:{number}: {error}')
        else:
          found[item.id] = item
  except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
    reason = getattr(error, 'strerror', None) or error
    raise InputError(f'{path} cannot be read: {reason}.') from error
  if not found:
    first = f', the first at {problems[0]}' if problems else ''
    raise InputError(f'{path} has no usable record; {len(problems)} are bad{first}')
  return list(found.values()), problems


def text_field(record: dict[str, Any], key: str, default: str | None = None) -> str:
  """Returns a string of a record, or `default` where it is absent or null.

  Raises:
    ValueError: it is neither, or it is blank, or there is no default. An `id` may be
      a whole number.
  """
  value = record.get(key)
  value = default if value is None else value
  if isinstance(value, int) and not isinstance(value, bool) and key == 'id':
    value = str(value)
  if value is None:
    raise ValueError(f'no {key!r}.')
  if not isinstance(value, str):
    raise ValueError(f'{key!r} must be a string, got {value!r:.40}.')
  if not value.strip() and value != default:
    raise ValueError(f'{key!r} is empty.')
  return value


def json_object(line: bytes) -> dict[str, Any]:
  """Returns the object of a line; `ValueError` says why it is none."""
  try:
    text = line.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise ValueError(f'not UTF-8 at byte {error.start}.') from error
  try:
    record = json.loads(text)
    # Half of a surrogate pair is legal in JSON and cannot be written as UTF-8.
    json.dumps(record, ensure_ascii=False).encode()
  except UnicodeEncodeError as error:
    raise ValueError('a text has half of a surrogate pair.') from error
  except (ValueError, RecursionError) as error:
    raise ValueError(f'not JSON: {error}.') from error
  if not isinstance(record, dict):
    raise ValueError(f'expected a JSON object, got {text.strip():.40}.')
  return record


def _example(record: dict[str, Any], default_id: str) -> Example:
  if 'source' in record or 'input' not in record:
    source = text_field(record, 'source')
    targets = record.get('targets')
    if targets is None and 'target' in record:
      targets = [record['target']]
  else:
    source = text_field(record, 'input')
    outputs = record.get('output')
    if not isinstance(outputs, list) or not all(isinstance(o, dict) for o in outputs):
      raise ValueError("'output' must be a list of objects with 'answer'.")
    targets = [output['answer'] for output in outputs if 'answer' in output]
  if not isinstance(targets, list) or not targets:
    raise ValueError("no 'target', 'targets' or 'output' with an answer.")
  if not all(isinstance(target, str) and target.strip() for target in targets):
    raise ValueError('a target must be a string that is not empty.')
  return Example(
    id=text_field(record, 'id', default_id),
    source=source,
    targets=tuple(dict.fromkeys(targets)),
    group=text_field(record, 'group', ''),
    label=text_field(record, 'label', ''),
  )


def _check_disjoint(examples: dict[str, list[Example]]) -> None:
  """Raises `InputError` if two files have questions about the same group."""
  owner: dict[str, str] = {}
  for split, rows in examples.items():
    for group in {example.group for example in rows} - {''}:
      if owner.setdefault(group, split) != split:
        raise InputError(
          f'Splits share no group, but {group!r} is in {owner[group]} and {split}.'
        )
