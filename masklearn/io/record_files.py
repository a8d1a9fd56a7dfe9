"""Records out of users' files: JSON lines, JSON documents, Parquet and tables.

What cannot be used is a problem that says where, FILE:LINE: what; a file that cannot
be read, or that has nothing usable, is an `InputError`.
"""

import codecs
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from masklearn.io import json_documents, records, table_files
from masklearn.io.lines import Lines, stem, unpacked
from masklearn.io.paths import check_local
from masklearn.io.records import Parse, Problems, Record, T
from masklearn.types import InputError

LINES = ('.jsonl', '.jsonlines')  # a file of another name is looked into
DOCUMENT = 1 << 32  # bytes of a JSON document at most, which is in memory as a whole


def read_records(path: str | os.PathLike, parse: Parse[T]) -> tuple[list[T], Problems]:
  """`parse(value, default_id)` of every record of a file, and the problems of others.

  See `records.collect`; what is no JSON object in UTF-8 is a bad record too.

  Args:
    path: JSON lines, of which blank ones are ignored; a JSON document, see
      `json_documents`; or a table of .tsv or .csv, see `table_files`: all plain,
      .gz, .bz2, .xz or .zst; or Parquet.
    parse: makes something with an `id` of a record.

  Raises:
    InputError: the file cannot be read, or has no usable record.
  """
  return records.collect(read(path), parse, str(path))


def read(path: str | os.PathLike, name: str = '') -> Iterator[Record]:
  """Yields the records of a file, each with its problem or its value.

  Args:
    path: see `read_records`.
    name: what the ids begin with; that of the file by default.

  Raises:
    InputError: the file cannot be read, or is a damaged document.
  """
  check_local(path)
  path = pathlib.Path(path)
  name, format_ = name or stem(path.name), pathlib.PurePath(unpacked(path.name)).suffix
  if is_parquet(path):
    yield from _rows(path, name)
    return
  with Lines(path) as file:
    if format_ in table_files.SEPARATORS:
      yield from table_files.records(file, format_, name)
      return
    opened = re.match(rb'(?:\xef\xbb\xbf)?\s*[\[{]', file.peek())
    if opened and format_ not in LINES:
      file.longest = DOCUMENT  # for one that is a single line
    lines = iter(file)
    if format_ not in LINES:
      head = list(_head(lines))
      lines = itertools.chain(head, lines)
      if _opens_document([text for _, text in head]):
        data = b''.join([*_with_blank_lines(head), file.read(DOCUMENT)])
        found = json_documents.Document(path, data).records()
        for number, record in enumerate(found, start=1):
          yield record._replace(id=f'{name}-{number}')
        return
    yield from records.json_lines(lines, path, name)


def is_parquet(path: str | os.PathLike) -> bool:
  """Whether a file is Parquet, by its name or by how it begins."""
  path = pathlib.Path(path)
  if path.suffix == '.parquet' or not path.is_file():
    return path.suffix == '.parquet'
  try:
    with open(path, 'rb') as file:
      return file.read(4) == b'PAR1'
  except OSError:
    return False  # whoever reads it says why


def _head(lines):
  """The first two lines that are not blank."""
  return itertools.islice((row for row in lines if row[1].strip()), 2)


def _with_blank_lines(head):
  """Yields lines in the place that their numbers say."""
  before = 0
  for number, text in head:
    yield b'\n' * (number - before - 1)
    yield text
    before = number


def _opens_document(head: Sequence[bytes]) -> bool:
  """Whether a file that begins like this is one JSON value, and not one a line."""
  first = head[0].removeprefix(codecs.BOM_UTF8).lstrip() if head else b''
  if first.startswith(b'{') and len(head) > 1:
    try:
      json.loads(first)
    except (ValueError, RecursionError):
      # An object that goes on in the next line, or a line that is damaged.
      return not head[1].lstrip().startswith(b'{')
    return False
  return first.startswith((b'[', b'{'))


def _rows(path, name) -> Iterator[Record]:
  import pyarrow  # here, as most files are JSON
  from pyarrow import parquet

  faults = OSError, ValueError, OverflowError, pyarrow.ArrowException
  try:
    with parquet.ParquetFile(path) as file:
      parts = (batch.to_pylist() for batch in file.iter_batches(batch_size=1024))
      for number, row in enumerate(itertools.chain.from_iterable(parts), start=1):
        yield Record(f'{path}: row {number}', row, id=f'{name}-{number}')
  except faults as error:
    reason = ' '.join(str(error).split()).rstrip('.')
    raise InputError(f'{path} cannot be read: {reason:.300}.') from error
