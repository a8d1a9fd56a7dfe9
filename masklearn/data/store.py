"""Passages on disk, any of which can be read at once.

DIRECTORY/
  00000.passages 00001.passages ...  ArrayRecord files, a passage a record, as JSON
  store.json                         how many each has; written last

References:
  https://github.com/google/array_record
"""

import contextlib
import itertools
import operator
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from array_record.python import array_record_data_source, array_record_module

from masklearn.data import passage_records
from masklearn.io import checksums, disk, files
from masklearn.types import InputError, Passage

SHARD = 8_192  # passages of a file, or as many more as a document has
AHEAD = 512  # passages that are read at once where all are read in order
OPTIONS = 'group_size:1,zstd:1'  # every record by itself, so that it is read by itself


class Store(Sequence[Passage]):
  """The passages of a finished directory, in their order; a sequence that never grows.

  Passages are read when they are asked for, by any number of threads.
  """

  def __init__(self, directory: str | os.PathLike):
    self.directory = pathlib.Path(directory)
    if not (self.directory / 'store.json').is_file():
      raise InputError(
        f'{directory} has no store.json, so no passages are stored there, or not all '
        'of them; prepare the corpus again.'
      )
    with files.remade(directory):
      checksums.check(self.directory, ['store.json'])
      self.summary: dict[str, Any] = files.read_object(
        self.directory / 'store.json', ['shards']
      )
      self._parts = [_part(self.directory, *one) for one in self._shards()]
    self._count = sum(part.take for part in self._parts)
    # With their numbers of records, it opens none of them before it is needed.
    self._source = array_record_data_source.ArrayRecordDataSource(self._parts)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index):
    if isinstance(index, slice):
      return tuple(self[i] for i in range(*index.indices(len(self))))
    place = operator.index(index)
    place += len(self) if place < 0 else 0
    if not 0 <= place < len(self):
      raise IndexError(f'Passage {index} of {len(self)}.')
    with reading(self.directory):
      return passage_records.decode(self._source[place])

  def __iter__(self) -> Iterator[Passage]:
    for part in self._parts:
      with reading(self.directory):
        yield from read_shard(part.filename)

  def _shards(self) -> list[tuple[str, int, int | None]]:
    """The name, the number of records and the bytes of each file."""
    try:
      sizes = self.summary.pop('sizes', {})  # which earlier versions did not note
      found = [
        (str(n), int(k), sizes.get(n)) for n, k in self.summary['shards'].items()
      ]
    except (AttributeError, TypeError, ValueError) as error:
      raise InputError(f'{self.directory}/store.json is damaged: {error}.') from error
    if not found:
      raise InputError(f'{self.directory}/store.json is damaged: it has no shards.')
    return found

  def __repr__(self) -> str:
    return f'Store({str(self.directory)!r}), {len(self)} passages'


class _Part(NamedTuple):
  """A file and its records, as array_record asks for them."""

  filename: str
  skip: int
  take: int
  examples_in_shard: int


def _part(directory, name, count, size) -> _Part:
  path = directory / name
  found = path.stat().st_size if path.is_file() else None
  if found is None or size not in (None, found):
    there = 'is missing' if found is None else f'has {found} bytes and not {size}'
    raise InputError(f'{path} {there}.')
  return _Part(str(path), 0, count, count)


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
  """Says in one line what array_record, which has checksums, finds of damage.

  Args:
    path: what can be removed to be made again.
  """
  try:
    yield
  except (RuntimeError, ValueError) as error:
    said = ' '.join(str(error).split())
    raise InputError(
      f'{path} is damaged: {said:.200}. Remove it to make it again.'
    ) from error


def write_store(
  directory: str | os.PathLike,
  passages: Iterable[Passage],
  summary: Mapping[str, Any] | None = None,
) -> Store:
  """Stores passages in a new directory, or in one that was never finished.

  Args:
    directory: where to.
    passages: at least one.
    summary: JSON that the store keeps as its `summary`.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  passages, shards = iter(passages), {}
  while part := list(itertools.islice(passages, SHARD)):
    name = shard_name(len(shards))
    shards[name] = write_shard(directory / name, map(passage_records.encode, part))
  return finish(directory, shards, summary or {})


def write_shard(path: str | os.PathLike, rows: Iterable[bytes]) -> int:
  """Writes the records of one file, whole or not at all; returns how many there are."""
  count = 0
  with shard_writer(path) as writer:
    for row in rows:
      writer.write(row)
      count += 1
  return count


@contextlib.contextmanager
def shard_writer(path: str | os.PathLike) -> Iterator[Any]:
  """A writer with `write(bytes)` of the records of one file, whole or absent.

  Raises:
    OSError: the system refused; nothing is left.
  """
  path = pathlib.Path(path)
  partial = path.with_name(f'{path.name}.partial')
  try:
    with disk.naming(path):
      writer = array_record_module.ArrayRecordWriter(str(partial), OPTIONS)
      try:
        yield writer
      finally:
        writer.close()
      os.replace(partial, path)
  except OSError:
    partial.unlink(missing_ok=True)
    raise


def read_shard(path: str | os.PathLike) -> Iterator[Passage]:
  """Yields the passages of one file."""
  return map(passage_records.decode, read_rows(path))


def read_rows(path: str | os.PathLike) -> Iterator[bytes]:
  """Yields the records of one file."""
  reader = array_record_module.ArrayRecordReader(str(path))
  try:
    count = reader.num_records()
    for start in range(0, count, AHEAD):
      yield from reader.read(start, min(start + AHEAD, count))
  finally:
    reader.close()


def finish(
  directory: str | os.PathLike, shards: Mapping[str, int], summary: Mapping[str, Any]
) -> Store:
  """Makes a store of the files of a directory, each given with its number of records.

  Raises:
    InputError: there are no passages.
  """
  shards = {name: count for name, count in shards.items() if count}
  if not shards:
    raise InputError(f'There are no passages to store in {directory}.')
  directory = pathlib.Path(directory)
  sizes = {name: (directory / name).stat().st_size for name in shards}
  said = {**summary, 'shards': shards, 'sizes': sizes}
  checksums.seal(directory / 'store.json', said)
  return Store(directory)


def shard_name(*numbers: int) -> str:
  """The name of a file, in whose order they are read."""
  return '-'.join(f'{number:05d}' for number in numbers) + '.passages'
