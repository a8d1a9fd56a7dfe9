"""Records out of users' files: JSON lines, JSON documents and Parquet.

What cannot be used is a problem that says where, FILE:LINE: what; a file that cannot
be read, or that has nothing usable, is an `InputError`.
"""

import codecs
import itertools
import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from masklearn.io import json_documents, records
from masklearn.io.lines import UNPACK, Lines, stem
from masklearn.io.records import Parse, Record, T
from masklearn.types import InputError

LINES = ('.jsonl', '.jsonlines')  # a file of another name is looked into


def read_records(path: str | os.PathLike, parse: Parse[T]) -> tuple[list[T], list[str]]:
  """`parse(value, default_id)` of every record of a file, and the problems of others.

  See `records.collect`; what is no JSON object in UTF-8 is a bad record too.

  Args:
    path: JSON lines, of which blank ones are ignored, or a JSON document (see
      `json_documents`), both plain, .gz or .bz2; or Parquet.
    parse: makes something with an `id` of a record.

  Raises:
    InputError: the file cannot be read, or has no usable record.
  """
  return records.collect(read(path), parse, str(path))


def read(path: str | os.PathLike) -> Iterator[Record]:
  """Yields the records of a file, each with its problem or its value.

  Raises:
    InputError: the file cannot be read, or is a damaged document.
  """
  path = pathlib.Path(path)
  name = stem(path.name)
  if path.suffix == '.parquet':
    yield from _rows(path, name)
    return
  format_ = pathlib.Path(path.stem if path.suffix in UNPACK else path.name).suffix
  with Lines(path) as file:
    lines = iter(file)
    if format_ not in LINES:
      head = list(_head(lines))
      lines = itertools.chain(head, lines)
      if _opens_document([text for _, text in head if text.strip()]):
        data = b''.join(text for _, text in lines)
        found = json_documents.Document(path, data).records()
        for number, record in enumerate(found, start=1):
          yield record._replace(id=f'{name}-{number}')
        return
    yield from records.json_lines(lines, path, name)


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


def _rows(path, name) -> Iterator[Record]:
  from pyarrow import parquet  # here, as most files are JSON

  try:
    with parquet.ParquetFile(path) as file:
      parts = (batch.to_pylist() for batch in file.iter_batches(batch_size=1024))
      for number, row in enumerate(itertools.chain.from_iterable(parts), start=1):
        yield Record(f'{path}: row {number}', row, id=f'{name}-{number}')
  except (OSError, ValueError) as error:  # pyarrow's are among them
    raise InputError(f'{path} cannot be read: {error}') from error
