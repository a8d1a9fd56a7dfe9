"""The encoded corpus on disk, of which batches are read as they are needed.

DIRECTORY/
  tokens.npy valid.npy ..  the fields of a `Batch` [P, L], as narrow as values allow
  asked-TASK.npy           that field, which differs from task to task
  fields.json              which there are; written last

Until these are written, the tokens of passages that were cut to fit a model are handed
on in a file, so that no passage is tokenized twice.
"""

import collections
import contextlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from masklearn import text
from masklearn.data import arrays, store
from masklearn.io import checksums, disk, files
from masklearn.text import Encoding
from masklearn.types import Batch, InputError, Passage

MARKER = 'fields.json'
AT_ONCE = 4_096  # passages that are encoded in memory


class Widened:
  """An array of a file, of which what is read is int32."""

  dtype = np.dtype(np.int32)

  def __init__(self, file: np.memmap):
    self.file, self.shape = file, file.shape

  def __len__(self) -> int:
    return len(self.file)

  def __getitem__(self, index) -> np.ndarray:
    return np.asarray(self.file[index], self.dtype)

  def __array__(self, dtype=None, copy=None) -> np.ndarray:
    del copy  # It always is one.
    return np.asarray(self.file, dtype or self.dtype)


def hand_on(
  path: str | os.PathLike, encoded: Iterable[tuple[Passage, Encoding]]
) -> Iterator[Passage]:
  """Yields passages and writes their encodings, for `load_or_encode`.

  The file is there once the last passage has been taken.
  """
  with store.shard_writer(path) as writer:
    for passage, (ids, offsets) in encoded:
      writer.write(np.array([ids, *zip(*offsets, strict=True)], np.int32).tobytes())
      yield passage


def load_or_encode(
  directory: str | os.PathLike,
  tokens: str | os.PathLike,
  passages: Sequence[Passage],
  tokenizer: text.Tokenizer,
  annotator: str,
  asked: Mapping[str, frozenset[str]],
  max_length: int,
  units: Callable[[Passage], list[tuple[int, int]]] | None = None,
  check: Callable[[], None] = lambda: None,
) -> dict[str, Batch]:
  """The encoded corpus of each task, out of a directory, where it is encoded once.

  Args:
    directory: of this corpus and tokenizer; what was not finished there is written
      again.
    tokens: the file of `hand_on`, which is then removed; without it, passages are
      tokenized here.
    passages: what to encode.
    tokenizer: text to tokens.
    annotator: see `arrays.encode_passages`, as for all others.
    asked: task -> labels of the spans that answer its questions.
    max_length: tokens of a passage at most.
    units: a passage's collocations.
    check: called for each passage; raises to end, see `Progress.check`.

  Returns:
    Task -> what `arrays.encode_passages` returns, as read-only maps of files, `Widened`
    but for `valid`; tasks share all but `asked`. A token takes 7 bytes of disk, 2 more
    where passages have more than 256 tokens, 2 more where the vocabulary has more than
    65,536, and 1 more with collocations and for each further task; padding included.
    Memory is only what the system has to spare.
  """
  directory, tokens = pathlib.Path(directory), pathlib.Path(tokens)
  marker = directory / MARKER
  labels = {task: sorted(found) for task, found in asked.items()}
  said = {'asked': labels, 'collocations': units is not None}
  if not _is_there(directory, said):
    marker.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    if not tokens.exists():
      pairs = ((p, tokenizer.encode(p.text)) for p in _checked(passages, check))
      collections.deque(hand_on(tokens, pairs), maxlen=0)
    longest = largest = 0
    for encoding in _encodings(tokens):
      longest = max(longest, len(encoding.ids))
      largest = max(largest, tokenizer.specials.pad, *encoding.ids)

    def encode(some: Sequence[Passage], encodings: Sequence[Encoding]):
      width = arrays.width(longest, max_length)
      batch = arrays.encode_passages(
        some, tokenizer, annotator, frozenset(), max_length, units, width, encodings
      )
      return batch._asdict() | {
        f'asked-{task}': arrays.asked_tokens(some, encodings, found, width)
        for task, found in asked.items()
      }

    pairs = zip(_checked(passages, check), _encodings(tokens), strict=True)
    parts = itertools.starmap(encode, _parts(pairs))
    names = _write(directory, parts, len(passages), largest)
    written = [f'{name}.npy' for name in names]
    checksums.seal(marker, {'fields': names, **said}, written)
  tokens.unlink(missing_ok=True)
  names = files.read_object(marker)['fields']
  found = {name: _read(directory, name) for name in names}
  fields = {name: found.get(name) for name in Batch._fields}
  return {task: Batch(**fields | {'asked': found[f'asked-{task}']}) for task in asked}


def _checked(passages: Iterable[Passage], check: Callable) -> Iterator[Passage]:
  for passage in passages:
    check()
    yield passage


def _is_there(directory: pathlib.Path, wanted: Mapping) -> bool:
  """Whether these arrays were written.

  Raises:
    InputError: they were, and are damaged.
  """
  if not os.path.lexists(directory / MARKER):
    return False
  with files.remade(directory):
    checksums.check(directory)
    said = files.read_object(directory / MARKER, ['fields', 'asked'])
    fields = said['fields']
    if not isinstance(fields, list) or 'tokens' not in fields:
      raise InputError(f'{directory / MARKER} is damaged: it lists {fields!r:.40}.')
    for name in fields:
      _read(directory, name)
  # Earlier versions did not say whether there are collocations.
  said.setdefault('collocations', 'collocation' in fields)
  return {name: said[name] for name in wanted} == wanted


def _encodings(tokens: pathlib.Path) -> Iterator[Encoding]:
  """Yields what `hand_on` was given, as arrays."""
  with store.reading(tokens):
    for row in store.read_rows(tokens):
      ids, *offsets = np.frombuffer(row, np.int32).reshape(3, -1)
      yield Encoding(ids, np.stack(offsets, axis=1))


def _parts(pairs: Iterable[tuple]) -> Iterator[tuple]:
  """Yields some of the first of the pairs, and as many of the second."""
  pairs = iter(pairs)
  while part := list(itertools.islice(pairs, AT_ONCE)):
    yield tuple(zip(*part, strict=True))


def _write(directory, parts, count, largest) -> list[str]:
  """Writes the fields of all parts, each as one array; returns their names.

  Args:
    directory: where to.
    parts: each is name -> some rows, or None.
    count: rows of all parts together.
    largest: token id.
  """
  directory.mkdir(exist_ok=True)
  opened: dict[str, BinaryIO] = {}
  with contextlib.ExitStack() as stack:
    for part in parts:
      for name, values in part.items():
        if values is None or name == 'asked':
          continue
        path = directory / f'{name}.npy'
        # Written as any file and not through a map: on a full disk, the system ends a
        # process that fills a map, and tells one that writes.
        with disk.naming(path):
          if name not in opened:
            opened[name] = stack.enter_context(open(path, 'wb'))
            kind = _kind(name, values, largest)
            _write_header(opened[name], kind, (count, values.shape[1]))
          values = np.asarray(values, _kind(name, values, largest))
          opened[name].write(np.ascontiguousarray(values).data)
          opened[name].flush()
  return list(opened)


def _kind(name, values, largest) -> np.dtype:
  """The narrowest type for a field."""
  width = values.shape[1]
  # Words and sentences are counted from 0, and marks are 0, 1 or 2.
  most = {'tokens': largest, 'word': width - 1, 'sentence': width - 1}
  narrow = np.min_scalar_type(most.get(name, 2))
  return np.dtype(bool) if name == 'valid' else narrow


def _write_header(file, kind, shape) -> None:
  said = {'descr': np.lib.format.dtype_to_descr(kind), 'fortran_order': False}
  np.lib.format.write_array_header_1_0(file, said | {'shape': shape})


def _read(directory: pathlib.Path, name: str) -> np.memmap | Widened:
  path = directory / f'{name}.npy'
  try:
    array = np.load(path, mmap_mode='r')
    if array.ndim != 2:
      raise ValueError(f'it has shape {list(array.shape)}')
  except (OSError, ValueError, EOFError, SyntaxError) as error:
    raise InputError(f'{path} is damaged: {error}.') from error
  return array if name == 'valid' else Widened(array)
