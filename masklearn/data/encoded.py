"""The encoded corpus on disk, of which batches are read as they are needed.

DIRECTORY/
  tokens.npy valid.npy ..  the fields of a `Batch`, [P, L] each
  encoded.json             which fields there are; written last
"""

import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from masklearn import text
from masklearn.data import arrays
from masklearn.io import files
from masklearn.types import Batch, Passage

AT_ONCE = 4_096  # passages that are encoded in memory


def kept(
  directory: str | os.PathLike,
  passages: Sequence[Passage],
  tokenizer: text.Tokenizer,
  annotator: str,
  asked: frozenset[str],
  max_length: int,
  units: Callable[[Passage], list[tuple[int, int]]] | None = None,
) -> Batch:
  """Returns the encoded corpus out of a directory, where it is encoded but once.

  Args:
    directory: of this corpus, tokenizer and asked spans; what was not finished there is
      made anew.
    passages: what to encode.
    tokenizer: text to tokens.
    annotator: see `arrays.encode_passages`, as for all others.
    asked: labels of spans.
    max_length: tokens of a passage at most.
    units: a passage's collocations.

  Returns:
    What `arrays.encode_passages` returns, as read-only maps of files: 21 bytes a token of
    disk (25 with collocations), padding included, and no memory but what the system
    has to spare.
  """
  directory = pathlib.Path(directory)
  if not (directory / 'encoded.json').exists():
    lengths = (len(tokenizer.encode(passage.text).ids) for passage in passages)
    width = arrays.width(max(lengths), max_length)
    parts = (
      arrays.encode_passages(
        part, tokenizer, annotator, asked, max_length, units, width
      )
      for part in _parts(passages)
    )
    _write(directory, parts, len(passages))
  fields = files.read_json(directory / 'encoded.json')['fields']
  return Batch(**{n: np.load(directory / f'{n}.npy', mmap_mode='r') for n in fields})


def _write(directory: pathlib.Path, parts: Iterable[Batch], count: int) -> None:
  directory.mkdir(parents=True, exist_ok=True)
  opened, start = {}, 0
  for part in parts:
    stop = start + len(part.tokens)
    for name, values in part._asdict().items():
      if values is None:
        continue
      if name not in opened:
        opened[name] = np.lib.format.open_memmap(
          directory / f'{name}.npy', 'w+', values.dtype, (count, values.shape[1])
        )
      opened[name][start:stop] = values
    start = stop
  for array in opened.values():
    array.flush()
  files.write_json(directory / 'encoded.json', {'fields': list(opened)})


def _parts(passages: Iterable[Passage]) -> Iterable[list[Passage]]:
  passages = iter(passages)
  while part := list(itertools.islice(passages, AT_ONCE)):
    yield part
