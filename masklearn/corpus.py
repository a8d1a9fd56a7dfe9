"""Documents -> passages with annotations, and passages on disk.

A record is {"text", "id"?, "group"?, "spans"?: [[start, end, label?], ...],
"sentences"?: [[start, end], ...]}; offsets count characters, ends excluded.
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable
from typing import Any

from masklearn import files, tasks, text
from masklearn.tasks import people, reading, world
from masklearn.types import InputError, Passage, Span


def load(name: str, seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  """Returns the passages of a corpus of `CORPORA`, and its problems.

  A problem is a record that was skipped, as FILE:LINE: what; report and count them.
  """
  return tasks.lookup(CORPORA, name, 'corpus')(seed=seed, **kwargs)


def read_jsonl(path: str | os.PathLike) -> tuple[list[Passage], list[str]]:
  """Returns the passages of a user's file, plain or .gz, and its problems.

  Raises:
    InputError: the file cannot be read, or has no usable record.
  """
  return reading.read_records(path, passage)


def write(path: str | os.PathLike, passages: Iterable[Passage]) -> None:
  """Writes passages as JSON lines that `read` gives back; empty fields are left out."""
  files.write_jsonl(path, (_record(passage) for passage in passages))


def read(path: str | os.PathLike) -> list[Passage]:
  """Returns what `write` wrote; any problem is an `InputError`."""
  passages, problems = read_jsonl(path)
  if problems:
    raise InputError(problems[0])
  return passages


def split(
  passages: Iterable[Passage], length: Callable[[str], int], longest: int
) -> list[Passage]:
  """Returns passages of at most `longest` tokens, cut between sentences.

  A sentence that alone is too long is cut between words, and a span that a cut goes
  through is lost. The pieces of passage X are X/0, X/1, ...

  Args:
    passages: any length.
    length: text -> number of its tokens.
    longest: tokens that the model reads at once.
  """
  out = []
  for passage in passages:
    if length(passage.text) <= longest:
      out.append(passage)
      continue
    bounds = passage.sentences or text.sentences(passage.text)
    # From start to start, so that no text between sentences is lost.
    cuts = [0, *(start for start, _ in bounds[1:]), len(passage.text)]
    units = []
    for start, end in itertools.pairwise(cuts):
      sentence = passage.text[start:end].rstrip()
      fits = length(sentence) <= longest
      parts = [(0, len(sentence))] if fits else text.words(sentence)
      units += [(start + a, start + b) for a, b in parts]
    pieces: list[tuple[int, int]] = []
    for start, end in units:
      if pieces and length(passage.text[pieces[-1][0] : end]) <= longest:
        pieces[-1] = pieces[-1][0], end
      else:
        pieces.append((start, end))
    out += [_piece(passage, i, *piece) for i, piece in enumerate(pieces)]
  return out


def _piece(passage: Passage, index: int, start: int, end: int) -> Passage:
  inside = [s for s in passage.spans if start <= s.start and s.end <= end]
  overlap = [(max(a, start), min(b, end)) for a, b in passage.sentences]
  return dataclasses.replace(
    passage,
    id=f'{passage.id}/{index}',
    text=passage.text[start:end],
    spans=tuple(Span(s.start - start, s.end - start, s.label) for s in inside),
    sentences=tuple((a - start, b - start) for a, b in overlap if a < b),
  )


def passage(record: dict[str, Any], default_id: str) -> Passage:
  """Returns the passage of a record; `ValueError` says what is wrong with it."""
  body = reading.text_field(record, 'text')
  spans = [Span(*row) for row in _offsets(record, 'spans', len(body), (2, 3))]
  return Passage(
    id=reading.text_field(record, 'id', default_id),
    text=body,
    group=reading.text_field(record, 'group', ''),
    spans=tuple(spans),
    sentences=tuple(_offsets(record, 'sentences', len(body), (2,))),
  )


def _offsets(
  record: dict[str, Any], key: str, length: int, sizes: tuple[int, ...]
) -> list[tuple]:
  """Returns the checked rows of a list of [start, end] or [start, end, label]."""
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


def _record(passage: Passage) -> dict[str, Any]:
  record = dataclasses.asdict(passage)
  return {key: value for key, value in record.items() if value}


def _world(seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  return world.passages(seed, **kwargs), []


def _people(seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  return people.passages(seed, **kwargs), []


def _jsonl(seed: int, path: str | os.PathLike = '') -> tuple[list[Passage], list[str]]:
  del seed  # The file is what it is.
  if not path:
    raise InputError("Corpus 'jsonl' needs path=FILE, its documents.")
  return read_jsonl(path)


CORPORA = {'world': _world, 'people': _people, 'jsonl': _jsonl}
