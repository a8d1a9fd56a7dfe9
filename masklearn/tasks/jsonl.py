"""Questions from a user's own files.

A record is {"source", "target" or "targets": [...], "id"?, "group"?, "label"?}, or
one of KILT, {"id", "input", "output": [{"answer"}, ...]}.
"""

import os
from typing import Any

from masklearn.io import record_files
from masklearn.io.records import text_field
from masklearn.tasks import benchmark
from masklearn.types import Example, Task


def task(
  name: str,
  seed: int,
  train: str | os.PathLike = '',
  validation: str | os.PathLike = '',
  test: str | os.PathLike = '',
  train_share: float = 0.5,
  validation_share: float = 0.2,
) -> Task:
  """The questions of the files; a split without a file is cut off `train`.

  Questions of one group stay in one split; a record without a group is one of its
  own. What cannot be used is skipped, logged as FILE:LINE with the reason, and
  counted.

  Args:
    name: of the task.
    seed: of the split.
    train: path of a file, see `record_files.read`.
    validation: the same, or '' to take `validation_share` of the groups of `train`.
    test: the same, or '' to take what the shares leave of the groups of `train`.
    train_share: of the groups; what no other split needs stays in training, too.
    validation_share: of the groups.

  Raises:
    InputError: a file cannot be read, a split is empty, or files share a group.
  """

  def group(example):
    return example.group or example.id

  paths = {'train': train, 'validation': validation, 'test': test}
  shares = {'train_share': train_share, 'validation_share': validation_share}
  return benchmark.task(
    name, seed, None, parse, key=group, disjoint=True, **paths, **shares
  )


def read(path: str | os.PathLike) -> tuple[list[Example], list[str]]:
  """The questions of a file, and the problems of its other records."""
  return record_files.read_records(path, parse)


def parse(record: dict[str, Any], default_id: str) -> Example:
  """The question of a record; raises `ValueError` if there is none."""
  if 'source' in record or 'input' not in record:
    source = text_field(record, 'source')
    targets = record.get('targets')
    if targets is None and 'target' in record:
      targets = [record['target']]
  else:
    source = text_field(record, 'input')
    targets = [output['answer'] for output in outputs(record) if 'answer' in output]
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


def outputs(record: dict[str, Any]) -> list[dict[str, Any]]:
  """The outputs of a record of KILT; raises `ValueError` if they are no objects."""
  found = record.get('output')
  if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
    raise ValueError("'output' must be a list of objects with 'answer'.")
  return found
