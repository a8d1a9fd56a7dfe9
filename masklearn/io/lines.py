"""The lines of a file, plain, .gz or .bz2: the one reader of lines."""

import bz2
import gzip
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from masklearn.types import InputError

UNPACK = {'.gz': lambda raw: gzip.GzipFile(fileobj=raw), '.bz2': bz2.BZ2File}


class Offset(NamedTuple):
  """A place to read on from; (0, 0) is the beginning."""

  bytes: int  # before it, uncompressed
  lines: int  # before it


class Lines:
  """The lines of a file from an offset on, numbered; a context manager, an iterator.

  Attributes:
    path: of the file.
    size: bytes of the file, as it is on disk.
    offset: where the line ends that was given last.

  Raises:
    InputError: the file cannot be opened, or cannot be read to its end.
  """

  def __init__(self, path: str | os.PathLike, start: Offset = Offset(0, 0)):  # noqa: B008
    self.path, self.offset = pathlib.Path(path), start
    try:
      self.size = self.path.stat().st_size
      self._raw = open(self.path, 'rb')  # noqa: SIM115 (closed by __exit__)
    except OSError as error:
      raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    unpack = UNPACK.get(self.path.suffix)
    self._file = unpack(self._raw) if unpack else self._raw

  @property
  def position(self) -> int:
    """Bytes of the file, as it is on disk, that have been read."""
    return self._raw.tell()

  def __iter__(self) -> Iterator[tuple[int, bytes]]:
    size, number = self.offset
    try:
      self._file.seek(size)
      for data in self._file:
        size, number = size + len(data), number + 1
        self.offset = Offset(size, number)
        yield number, data
    except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
      reason = str(getattr(error, 'strerror', None) or error).rstrip('.')
      raise InputError(
        f'{self.path} cannot be read: {reason}, in line {number + 1}.'
      ) from error

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._file.close()
    self._raw.close()


def lines(path: str | os.PathLike) -> Iterator[tuple[int, bytes]]:
  """Yields the number of each line, from 1, and its bytes, with their end."""
  with Lines(path) as file:
    yield from file


def decode(line: bytes) -> str:
  """The text of a line, without a byte order mark.

  Raises:
    ValueError: it is not UTF-8.

  >>> decode('café'.encode())
  'café'
  """
  try:
    return line.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise ValueError(f'not UTF-8 at byte {error.start}.') from error


def stem(name: str) -> str:
  """The name of a file without the endings of compression and format.

  >>> stem('AA/wiki_00.jsonl.gz')
  'AA/wiki_00'
  """
  path = pathlib.PurePosixPath(name)
  path = path.with_suffix('') if path.suffix in UNPACK else path
  return path.with_suffix('').as_posix()
