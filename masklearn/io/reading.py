"""Records out of files: JSON lines, JSON documents and Parquet.

What cannot be used is a problem that says where, FILE:LINE: what; a file that cannot
be read, or that has nothing usable, is an `InputError`.
"""

import codecs
import gzip
import itertools
import json
import os
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from masklearn.io import documents
from masklearn.types import InputError

T = TypeVar('T')
Parse = Callable[[dict[str, Any], str], T]

LINES = ('.jsonl', '.jsonlines')  # a file of another name is looked into


class Found(NamedTuple):
  """A record, or what is wrong in its place."""

  place: Any  # `str` makes FILE:LINE of it, or the like
  id: str  # for a record that has none
  record: dict[str, Any] | ValueError


def read_records(path: str | os.PathLike, parse: Parse[T]) -> tuple[list[T], list[str]]:
  """Returns `parse(record, default_id)` of every record, and what is wrong with others.

  A problem reads FILE:LINE: what. A record is bad if it is no JSON object in UTF-8, if
  `parse` raises `ValueError`, or if its result has the `id` of an earlier one.

  Args:
    path: JSON lines, of which blank ones are ignored, or a JSON document (see
      `documents`), both plain or .gz; or Parquet.
    parse: makes something with an `id` of a record.

  Raises:
    InputError: the file cannot be read, or has no usable record.
  """
  return collect(read(path), parse, str(path))


def collect(
  found: Iterable[Found], parse: Parse[T], name: str
) -> tuple[list[T], list[str]]:
  """Returns what `read_records` does, of records from anywhere.

  Args:
    found: the records.
    parse: makes something with an `id` of a record, or None to leave it out.
    name: of what they come from.
  """
  items: dict[str, T] = {}
  problems = []
  for place, default_id, record in found:
    try:
      if isinstance(record, ValueError):
        raise record
      _check_text(record)
      item = parse(record, default_id)
      if item is None:
        continue
      if item.id in items:
        raise ValueError(f'id {item.id!r} occurs before.')
    except ValueError as error:
      problems.append(f'{place}: {error}')
    else:
      items[item.id] = item
  if not items:
    first = f', the first at {problems[0]}' if problems else ''
    raise InputError(f'{name} has no usable record; {len(problems)} are bad{first}')
  return list(items.values()), problems


def read(path: str | os.PathLike) -> Iterator[Found]:
  """Yields the records of a file, and what is wrong in the place of others.

  Raises:
    InputError: the file cannot be read, or is a damaged document.
  """
  path = pathlib.Path(path)
  name = path.name.removesuffix('.gz')
  stem = name
  for ending in (*LINES, '.json', '.parquet'):
    stem = stem.removesuffix(ending)
  for number, (place, record) in enumerate(_records(path, name), start=1):
    if place is not None:
      yield Found(place, f'{stem}-{number}', record)


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
  """Returns the object of a JSON line; raises `ValueError` where it cannot be used."""
  record = _object(line)
  if isinstance(record, ValueError):
    raise record
  if b'\\u' in line:  # Nothing but an escape can have made half of a pair.
    _check_text(record)
  return record


def _check_text(record):
  """Raises `ValueError` for half of a surrogate pair: legal in JSON, not in UTF-8."""
  try:
    json.dumps(record, ensure_ascii=False, default=str).encode()
  except UnicodeEncodeError as error:
    raise ValueError('a text has half of a surrogate pair.') from error


def _records(path, name) -> Iterator[tuple[Any, Any]]:
  """Yields (place, record or ValueError), and (None, None) for a blank line."""
  if path.suffix == '.parquet':
    yield from _rows(path)
    return
  lines = _lines(path)
  if not name.endswith(LINES):
    head = list(_head(lines))
    lines = itertools.chain(head, lines)
    if _opens_document([text for _, text in head if text.strip()]):
      data = b''.join(text for _, text in lines)
      yield from documents.Document(path, data).records()
      return
  for number, text in lines:
    blank = not text.strip()
    yield (None, None) if blank else (f'{path}:{number}', _object(text))


def _lines(path) -> Iterator[tuple[int, bytes]]:
  number, opened = 0, False
  try:
    with gzip.open(path) if path.suffix == '.gz' else open(path, 'rb') as file:
      opened = True
      for number, text in enumerate(file, start=1):
        yield number, text
  except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
    reason = str(getattr(error, 'strerror', None) or error).rstrip('.')
    where = f', in line {number + 1}' if opened else ''
    raise InputError(f'{path} cannot be read: {reason}{where}.') from error


def _head(lines):
  """Yields lines up to the second that is not blank."""
  count = 0
  for number, text in lines:
    yield number, text
    count += bool(text.strip())
    if count == 2:
      return


def _opens_document(head: Sequence[bytes]) -> bool:
  """Whether a file that begins like this is one JSON value, and not one a line."""
  first = head[0].removeprefix(codecs.BOM_UTF8).lstrip() if head else b''
  if first.startswith(b'{') and len(head) > 1:
    try:
      json.loads(first)
    except (ValueError, RecursionError):
      return True  # an object that goes on in the next line
    return False
  return first.startswith((b'[', b'{'))


def _object(line: bytes) -> dict[str, Any] | ValueError:
  try:
    text = line.decode('utf-8-sig')
    record = json.loads(text)
  except UnicodeDecodeError as error:
    return ValueError(f'not UTF-8 at byte {error.start}.')
  except (ValueError, RecursionError) as error:
    return ValueError(f'not JSON: {error}.')
  if not isinstance(record, dict):
    return ValueError(f'expected a JSON object, got {text.strip():.40}.')
  return record


def _rows(path) -> Iterator[tuple[str, dict[str, Any]]]:
  from pyarrow import parquet  # here, as most files are JSON

  try:
    with parquet.ParquetFile(path) as file:
      number = 0
      for batch in file.iter_batches(batch_size=1024):
        for record in batch.to_pylist():
          number += 1
          yield f'{path}: row {number}', record
  except (OSError, ValueError) as error:  # pyarrow's are among them
    raise InputError(f'{path} cannot be read: {error}') from error
