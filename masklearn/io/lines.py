"""The lines of a file, plain or compressed, each of bounded length: the one reader."""

import bz2
import gzip
import io
import lzma
import os
import pathlib
import re
import stat
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from masklearn.io.paths import check_local
from masklearn.types import InputError

LINE = 1 << 26  # bytes of a line, unpacked: 64 MiB, some twelve million words
# A file that unpacks to more than this, and to more than so many times its size, is a
# bomb: text becomes a third to a tenth, and repeated text a fiftieth.
UNPACKED, EXPANSION = 1 << 24, 200


def _unpack_zst(raw):
  import pyarrow  # here, as few files need it

  # The reader of `zstandard` takes a file that is cut off for one that ends.
  return pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, 'r'), 'zstd')


UNPACK = {
  '.gz': lambda raw: gzip.GzipFile(fileobj=raw),
  '.bz2': bz2.BZ2File,
  '.xz': lzma.LZMAFile,
  '.zst': _unpack_zst,
}

# How a file begins that is compressed, whatever its name.
_PACKED = {
  rb'\x1f\x8b\x08': '.gz',
  rb'BZh\d1AY&SY': '.bz2',
  rb'\xfd7zXZ\x00': '.xz',
  rb'\x28\xb5\x2f\xfd': '.zst',
}

# How a file begins that has no lines of text.
_OTHERS = {
  rb'PAR1': 'a Parquet file, and not text',
  rb'ARROW1': 'an Arrow file; save it as Parquet or JSON lines',
  rb'PK\x03\x04': 'a zip archive; unpack it',
  rb"7z\xbc\xaf'\x1c": 'a 7z archive; unpack it',
  rb'.{257}ustar': 'a tar archive; unpack it',
  rb'%PDF-': 'a PDF document; extract its text',
  rb'SQLite format 3\x00': 'an SQLite database; export its rows as JSON lines',
  rb'\x89HDF': 'an HDF5 file; export its rows as JSON lines',
  rb'\x80[\x02-\x05].*\.': 'a pickle, which is never opened; save it as JSON lines',
  rb'version https://git-lfs': 'a pointer of Git LFS, not the file; get it (git lfs '
  'pull)',
  rb'\xff\xfe|\xfe\xff': 'UTF-16; save it as UTF-8',
  rb'\s*<mediawiki\b': "MediaWiki's XML; make text of it with WikiExtractor",
  **dict.fromkeys(_PACKED, 'compressed twice; unpack it once'),
}


class Offset(NamedTuple):
  """A place to read on from; (0, 0) is the beginning."""

  bytes: int  # before it, uncompressed
  lines: int  # before it


class Lines:
  """The lines of a file from an offset on, numbered; a context manager, an iterator.

  Compression is told by how the file begins, or by its name: .gz, .bz2, .xz, .zst.

  Attributes:
    path: of the file.
    size: bytes of the file, as it is on disk.
    longest: bytes that a line may have.

  Raises:
    InputError: the file cannot be opened, or cannot be read to its end; it is no
      text; a line is longer than `longest`; or it unpacks to far more than text does.
  """

  def __init__(self, path: str | os.PathLike, start: Offset = Offset(0, 0)):  # noqa: B008
    check_local(path)
    self.path, self.longest = pathlib.Path(path), LINE
    self._size, self._number = start
    try:
      status = self.path.stat()
      if not stat.S_ISREG(status.st_mode):
        raise InputError(f'{path} must be a file, got {_kind(status.st_mode)}.')
      self._raw = open(self.path, 'rb')  # noqa: SIM115 (closed by __exit__)
    except OSError as error:
      raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    self.size = status.st_size
    try:
      self._open()
    except BaseException:
      self._raw.close()
      raise

  @property
  def offset(self) -> Offset:
    """Where the line ends that was given last."""
    return Offset(self._size, self._number)

  @property
  def position(self) -> int:
    """Bytes of the file, as it is on disk, that have been read."""
    return self._raw.tell()

  def __iter__(self) -> Iterator[tuple[int, bytes]]:
    size, number = self._size, self._number
    piece = min(self.longest + 1, UNPACKED)
    readline = self._file.readline
    try:
      self._skip(size)
      while data := readline(piece):
        if len(data) == piece:  # and so has no end yet
          data = self._long(data, size, number + 1)
        size, number = size + len(data), number + 1
        if size >= self._checked:
          self._check_expansion(size, number)
        self._size, self._number = size, number
        yield number, data
    except _FAULTS as error:
      raise self._fault(error, number + 1) from error

  def peek(self) -> bytes:
    """How the unpacked file goes on, some hundred bytes of it at least."""
    return self._file.peek(512)

  def read(self, most: int) -> bytes:
    """The whole file, unpacked.

    Raises:
      InputError: it has more than `most` bytes.
    """
    parts, size, number = [], 0, 1
    try:
      while data := self._file.read(UNPACKED):
        parts.append(data)
        size, number = size + len(data), number + data.count(b'\n')
        self._check_expansion(size, number)
        if size > most:
          raise InputError(
            f'{self.path}:{number}: a JSON document may have {most >> 20:,} MiB, and '
            'this one has more; make JSON lines of it.'
          )
    except _FAULTS as error:
      raise self._fault(error, number) from error
    return b''.join(parts)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._file.close()
    self._raw.close()

  def _open(self):
    head = self._raw.read(512)
    self._raw.seek(0)
    self._packed = _begins(_PACKED, head) or self.path.suffix
    self._checked = UNPACKED  # bytes, after which the expansion is looked at again
    unpack = UNPACK.get(self._packed)
    self._file = self._raw
    try:
      if unpack:  # Its own `readline` may be slow.
        self._file = io.BufferedReader(unpack(self._raw), 1 << 16)
      if other := _begins(_OTHERS, self.peek()[:512]):
        raise InputError(f'{self.path} is {other}.')
    except _FAULTS as error:
      raise self._fault(error, 1) from error

  def _skip(self, size):
    if self._file is self._raw:
      self._raw.seek(size)
      return
    while size > 0:
      size -= len(self._file.read(min(size, 1 << 20))) or size

  def _long(self, data, size, number) -> bytes:
    """A line that begins like this, and is longer than a piece."""
    parts, length = [data], len(data)
    while length <= self.longest and not data.endswith(b'\n'):
      self._check_expansion(size + length, number)
      data = self._file.readline(min(UNPACKED, self.longest + 1 - length))
      if not data:
        break
      parts.append(data)
      length += len(data)
    if length > self.longest:
      self._check_expansion(size + length, number)
      raise InputError(
        f'{self.path}:{number}: a line may have {self.longest >> 20:,} MiB, and this '
        'one has more.'
      )
    return b''.join(parts)

  def _check_expansion(self, size, number):
    self._checked = size + UNPACKED
    if self._packed in UNPACK and size >= max(UNPACKED, EXPANSION * self.position):
      raise InputError(
        f'{self.path}:{number}: {self.position:,} bytes unpack to more than {size:,}; '
        f'above {UNPACKED >> 20} MiB, {EXPANSION} times as many are the most.'
      )

  def _fault(self, error, number):
    reason = str(getattr(error, 'strerror', None) or error).rstrip('.')
    return InputError(f'{self.path} cannot be read: {reason}, in line {number}.')


# What the libraries raise that unpack; pyarrow's are among OSError.
_FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError)


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
  return pathlib.PurePosixPath(unpacked(name)).with_suffix('').as_posix()


def unpacked(name: str) -> str:
  """The name of a file without the ending of compression.

  >>> unpacked('docs.jsonl.zst'), unpacked('docs.txt')
  ('docs.jsonl', 'docs.txt')
  """
  path = pathlib.PurePosixPath(name)
  return path.with_suffix('').as_posix() if path.suffix in UNPACK else name


def _begins(forms, head):
  return next((v for k, v in forms.items() if re.match(k, head, re.DOTALL)), '')


def _kind(mode):
  kinds = {stat.S_ISDIR: 'a folder', stat.S_ISFIFO: 'a pipe', stat.S_ISSOCK: 'a socket'}
  return next((name for test, name in kinds.items() if test(mode)), 'a device')
