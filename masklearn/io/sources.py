"""The files of a corpus, in order, and their lines."""

import bz2
import glob
import gzip
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from masklearn.io.lookup import nearest
from masklearn.types import InputError

OPEN = {'.gz': gzip.open, '.bz2': bz2.open}


class Source(NamedTuple):
  """A file of a corpus."""

  path: str
  name: str  # what the ids of its records begin with


def find(path: str | os.PathLike) -> list[Source]:
  """Returns the files of a corpus, in the order of their paths.

  A file's name is its path below the folder, without the endings of compression and
  format: `AA/wiki_00` for `extracts/AA/wiki_00.bz2` of `extracts`.

  Args:
    path: a file; a folder, of which all files are meant that are not hidden; or a
      pattern with *, ?, [..] or **.

  Raises:
    InputError: there is none.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    base = path
    found = [p for p in path.rglob('*') if p.is_file()]
  elif path.is_file():
    base, found = path.parent, [path]
  else:
    parts = path.parts
    fixed = [i for i, part in enumerate(parts) if glob.has_magic(part)]
    base = pathlib.Path(*parts[: fixed[0]]) if fixed else path
    matches = glob.glob(str(path), recursive=True) if fixed else []
    found = [pathlib.Path(p) for p in matches if os.path.isfile(p)]
  places = {p.relative_to(base).as_posix(): p for p in found}
  places = {k: p for k, p in places.items() if not f'/{k}'.count('/.')}
  if not places:
    raise InputError(
      f'A corpus is a file, a folder with files or a pattern; {path} is none'
      f'{_nearest(path)}.'
    )
  names = [_stem(place) for place in sorted(places)]
  if len(set(names)) < len(names):  # a.txt beside a.jsonl
    names = sorted(places)
  return [Source(str(places[k]), n) for k, n in zip(sorted(places), names, strict=True)]


def lines(path: str | os.PathLike) -> Iterator[bytes]:
  """Yields the lines of a file, plain, .gz or .bz2, with their ends.

  Raises:
    InputError: it cannot be read, to its end.
  """
  number = 0
  try:
    with OPEN.get(pathlib.Path(path).suffix, open)(path, 'rb') as file:
      for line in file:
        number += 1
        yield line
  except (OSError, EOFError, zlib.error) as error:  # gzip raises any of them
    reason = str(getattr(error, 'strerror', None) or error).rstrip('.')
    after = f', after line {number}' if number else ''
    raise InputError(f'{path} cannot be read: {reason}{after}.') from error


def decode(line: bytes) -> str:
  """The text of a line.

  Raises:
    ValueError: it is not UTF-8.
  """
  try:
    return line.decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise ValueError(f'not UTF-8 at byte {error.start}.') from error


def _stem(place: str) -> str:
  path = pathlib.PurePosixPath(place)
  path = path.with_suffix('') if path.suffix in OPEN else path
  return path.with_suffix('').as_posix()


def _nearest(path: pathlib.Path) -> str:
  there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
  return f'; the nearest is {path.parent / nearest(path.name, there)}' if there else ''
