"""Passages as JSON, in files and in stores.

A record is {"text", "id"?, "group"?, "spans"?: [[start, end, label?], ...],
"sentences"?: [[start, end], ...], "salient"?: as spans}; offsets count characters,
ends excluded.
"""

import itertools
import json
import os
from collections.abc import Iterable
from typing import Any

from masklearn.io import files, record_files
from masklearn.io.records import check_keys, text_field
from masklearn.types import InputError, Passage, Span

KEYS = 'text', 'id', 'group', 'spans', 'sentences', 'salient'

_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False)


def write_passages(path: str | os.PathLike, passages: Iterable[Passage]) -> None:
  """Writes JSON lines that `read_passages` gives back; empty fields are left out."""
  files.write_jsonl(path, map(record, passages))


def read_passages(path: str | os.PathLike) -> list[Passage]:
  """The passages that `write_passages` wrote; any problem is an `InputError`."""
  passages, problems = record_files.read_records(path, parse_passage)
  if problems:
    raise InputError(problems[0])
  return passages


def encode(passage: Passage, salient: tuple[Span, ...] | None = None) -> bytes:
  """A passage as one line of JSON, with these salient spans if it has none."""
  fields = record(passage)
  if passage.salient is None and salient is not None:
    fields['salient'] = salient
  return _JSON.encode(fields).encode()


def decode(data: bytes) -> Passage:
  """The passage that `encode` was given, unchecked."""
  fields = json.loads(data)
  for key in fields.keys() & {'spans', 'salient'}:
    fields[key] = tuple(itertools.starmap(Span, fields[key]))
  sentences = tuple(map(tuple, fields.pop('sentences', ())))
  return Passage(**fields, sentences=sentences)


def record(passage: Passage) -> dict[str, Any]:
  """The fields of a passage that say something; no salient spans do, if looked for."""
  fields = {name: value for name, value in vars(passage).items() if value}
  return fields if passage.salient is None else fields | {'salient': passage.salient}


def parse_passage(record: dict[str, Any], default_id: str) -> Passage:
  """The passage of a record, checked.

  Raises:
    ValueError: a field is not what it has to be.
  """
  check_keys(record, KEYS)
  key = 'contents' if 'contents' in record and 'text' not in record else 'text'
  body = text_field(record, key)
  annotated = record.get('salient') is not None
  return Passage(
    id=text_field(record, 'id', default_id),
    text=body,
    group=text_field(record, 'group', ''),
    spans=_spans(record, 'spans', len(body)),
    sentences=tuple(_offsets(record, 'sentences', len(body), (2,))),
    salient=_spans(record, 'salient', len(body)) if annotated else None,
  )


def _spans(record, key, length):
  return tuple(Span(*row) for row in _offsets(record, key, length, (2, 3)))


def _offsets(record, key, length, sizes) -> list[tuple]:
  """The checked rows of a list of [start, end] or [start, end, label]."""
  rows = record.get(key) or []
  if not isinstance(rows, list):
    raise ValueError(f'{key!r} must be a list, got {rows!r:.40}.')
  for row in rows:
    if not isinstance(row, list) or len(row) not in sizes:
      wanted = '[start, end]' if sizes == (2,) else '[start, end, label]'
      raise ValueError(f'{key!r} must hold {wanted}, got {row!r:.40}.')
    if not all(type(offset) is int for offset in row[:2]):
      raise ValueError(f'{key!r} must start and end at whole numbers, got {row!r:.40}.')
    if not isinstance(row[-1], str) and len(row) == 3:
      raise ValueError(f'a label must be a string, got {row[2]!r:.40}.')
    if not 0 <= row[0] < row[1] <= length:
      raise ValueError(
        f'{key!r} must lie within the {length} characters of the text, got {row}.'
      )
  rows = sorted(tuple(row) for row in rows)
  for (_, end, *_), (start, *_) in itertools.pairwise(rows):
    if start < end:
      raise ValueError(f'{key!r} overlap at character {start}.')
  return rows
