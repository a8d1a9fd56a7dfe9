"""Questions from a user's own files.

A record is {"source", "target" or "targets": [...], "id"?, "group"?, "label"?}; one of
KILT, {"id", "input", "output": [{"answer"}, ...]}; or a question of open-domain
question answering, {"question", "answer" or "answers": [...]}, as NQ-open, DPR and
Fusion-in-Decoder have them.
"""

import os
from typing import Any

from masklearn.io import record_files
from masklearn.io.records import Problems, check_keys, note, text_field
from masklearn.tasks import benchmark, closed_book, fields
from masklearn.types import Example, Task

KEYS = 'source', 'targets', 'target', 'id', 'group', 'label', 'input', 'output'


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


def read(path: str | os.PathLike) -> tuple[list[Example], Problems]:
  """The questions of a file, and the problems of its other records."""
  return record_files.read_records(path, parse)


def parse(record: dict[str, Any], default_id: str) -> Example:
  """The question of a record; raises `ValueError` if there is none."""
  if record.keys() & {'source', 'input'}:
    return _own(record, default_id)
  if 'question' in record:
    return closed_book.parse_nq(record, default_id)
  check_keys(record, KEYS)
  raise ValueError("no 'source', 'input' or 'question'.")


def _own(record, default_id) -> Example:
  check_keys(record, KEYS)
  if 'source' in record or 'input' not in record:
    source, named = text_field(record, 'source'), _targets(record)
  else:
    source = text_field(record, 'input')
    # One that has provenance alone is no answer.
    named = [
      (f'output[{i}].answer', output['answer'])
      for i, output in enumerate(outputs(record))
      if output.get('answer') is not None
    ]
  targets = fields.different(named)
  if not targets:
    raise ValueError("no 'target', 'targets' or 'output' with an answer.")
  return Example(
    id=text_field(record, 'id', default_id),
    source=source,
    targets=targets,
    group=text_field(record, 'group', ''),
    label=text_field(record, 'label', ''),
  )


def _targets(record) -> list[tuple[str, Any]]:
  """The values of `targets`, or else of `target`, each with its name."""
  if record.get('targets') is None:
    return [('target', record['target'])] if 'target' in record else []
  if 'target' in record:
    note("'target' is left out, as there are 'targets'.")
  targets = record['targets']
  if not isinstance(targets, list):
    raise ValueError(f"'targets' must be a list, got {targets!r:.40}.")
  return [(f'targets[{i}]', target) for i, target in enumerate(targets)]


def outputs(record: dict[str, Any]) -> list[dict[str, Any]]:
  """The outputs of a record of KILT; raises `ValueError` if they are no objects."""
  found = record.get('output')
  if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
    raise ValueError("'output' must be a list of objects with 'answer'.")
  return found
