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
from typing import Any

from array_record.python import array_record_data_source, array_record_module

from masklearn.data import passage_records
from masklearn.io import files
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
    self.summary: dict[str, Any] = files.read_json(self.directory / 'store.json')
    shards = self.summary['shards']
    self._count = sum(shards.values())
    self._paths = [self.directory / name for name in shards]
    # With their numbers of records, it opens none of them before it is needed.
    parts = [f'{self.directory / name}[0:{count}]' for name, count in shards.items()]
    self._source = array_record_data_source.ArrayRecordDataSource(parts)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index):
    if isinstance(index, slice):
      return tuple(self[i] for i in range(*index.indices(len(self))))
    place = operator.index(index)
    place += len(self) if place < 0 else 0
    if not 0 <= place < len(self):
      raise IndexError(f'Passage {index} of {len(self)}.')
    return passage_records.decode(self._source[place])

  def __iter__(self) -> Iterator[Passage]:
    for path in self._paths:
      yield from read_shard(path)

  def __repr__(self) -> str:
    return f'Store({str(self.directory)!r}), {len(self)} passages'


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
  """A writer with `write(bytes)` of the records of one file, whole or absent."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'{path.name}.partial')
  writer = array_record_module.ArrayRecordWriter(str(partial), OPTIONS)
  try:
    yield writer
  finally:
    writer.close()
  os.replace(partial, path)


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
  path = pathlib.Path(directory) / 'store.json'
  files.write_json(path, {**summary, 'shards': shards})
  return Store(directory)


def shard_name(*numbers: int) -> str:
  """The name of a file, in whose order they are read."""
  return '-'.join(f'{number:05d}' for number in numbers) + '.passages'
