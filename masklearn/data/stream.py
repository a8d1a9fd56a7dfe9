"""Documents of a file, one after the other, and where in the file each of them ends.

JSON lines, as `passage_records.read_jsonl_passages` reads them, or, if the name ends with `.txt`, plain
text, in which an empty line ends a document; both plain or `.gz`. Only a document is in
memory at a time, so ids are not checked to be different.
"""

import gzip
import io
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from masklearn.data.passage_records import parse_passage
from masklearn.io import reading
from masklearn.types import InputError, Passage

# Text without empty lines is cut at the end of a line behind as many bytes.
LONGEST = 1 << 16
_BOM = b'\xef\xbb\xbf'


class Place(NamedTuple):
  """Where reading goes on; (0, 0) is the beginning."""

  offset: int  # bytes before, uncompressed
  line: int  # lines before


class Item(NamedTuple):
  """A document, or what is wrong in its place."""

  passage: Passage | None
  problem: str  # FILE:LINE: what; '' if it is a document
  line: int  # on which it begins, from 1
  behind: Place


class Documents:
  """The documents of a file behind a place; a context manager and an iterator.

  Raises:
    InputError: the file cannot be read, at the beginning or on the way.
  """

  def __init__(self, path: str | os.PathLike, place: Place = Place(0, 0)):  # noqa: B008
    self.path = pathlib.Path(path)
    self._place = place
    names = self.path.name.removesuffix('.gz')
    self._text = names.endswith('.txt')
    self._stem = names.removesuffix('.txt').removesuffix('.jsonl')
    try:
      self.size = self.path.stat().st_size
      self._raw = open(self.path, 'rb')  # noqa: SIM115 (closed by __exit__)
    except OSError as error:
      raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    unpacked = self.path.suffix == '.gz'
    self._file: io.BufferedIOBase = (
      gzip.GzipFile(fileobj=self._raw) if unpacked else self._raw
    )

  @property
  def position(self) -> int:
    """Bytes of the file, as it is on disk, that have been read."""
    return self._raw.tell()

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._file.close()
    self._raw.close()

  def __iter__(self) -> Iterator[Item]:
    make = self._from_text if self._text else self._from_json
    for data, line, behind in self._blocks() if self._text else self._lines():
      try:
        yield Item(make(data, f'{self._stem}-{line}'), '', line, behind)
      except ValueError as error:
        yield Item(None, f'{self.path}:{line}: {error}', line, behind)

  def _lines(self) -> Iterator[tuple[bytes, int, Place]]:
    """Lines that are not blank, each with its number and where it ends."""
    for data, behind in self._all_lines():
      if data.strip():
        yield data, behind.line, behind

  def _blocks(self) -> Iterator[tuple[bytes, int, Place]]:
    """Lines up to an empty one, together, with the number of the first."""
    lines, size, first = [], 0, 0
    behind = self._place
    for data, behind in self._all_lines():
      if data.strip():
        first = first if lines else behind.line
        lines.append(data)
        size += len(data)
      if lines and (not data.strip() or size >= LONGEST):
        yield b''.join(lines), first, behind
        lines, size = [], 0
    if lines:
      yield b''.join(lines), first, behind

  def _all_lines(self) -> Iterator[tuple[bytes, Place]]:
    offset, number = self._place
    try:
      self._file.seek(offset)
      for data in iter(self._file.readline, b''):
        offset, number = offset + len(data), number + 1
        yield data.removeprefix(_BOM) if number == 1 else data, Place(offset, number)
    except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
      reason = str(getattr(error, 'strerror', None) or error).rstrip('.')
      raise InputError(
        f'{self.path}:{number + 1}: the file cannot be read on: {reason}.'
      ) from error

  def _from_json(self, data: bytes, name: str) -> Passage:
    return parse_passage(reading.json_object(data), name)

  def _from_text(self, data: bytes, name: str) -> Passage:
    try:
      body = data.decode('utf-8')
    except UnicodeDecodeError as error:
      raise ValueError(f'not UTF-8 at byte {error.start}.') from error
    return Passage(name, body.replace('\r\n', '\n').strip())
