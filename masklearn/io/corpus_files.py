"""The files of a corpus, in order."""

import glob
import os
import pathlib
from typing import NamedTuple

from masklearn.io.lines import stem
from masklearn.io.lookup import nearest
from masklearn.io.paths import check_local
from masklearn.types import InputError


class Source(NamedTuple):
  """A file of a corpus."""

  path: str
  name: str  # what the ids of its records begin with


def find(path: str | os.PathLike) -> list[Source]:
  """The files of a corpus, in the order of their paths.

  A file's name is its path below the folder, without the endings of compression and
  format: `AA/wiki_00` for `extracts/AA/wiki_00.bz2` of `extracts`.

  Args:
    path: a file; a folder, of which all files are meant that are not hidden; or a
      pattern with *, ?, [..] or **.

  Raises:
    InputError: there is none.
  """
  check_local(path)
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
  names = [stem(place) for place in sorted(places)]
  if len(set(names)) < len(names):  # a.txt beside a.jsonl
    names = sorted(places)
  return [Source(str(places[k]), n) for k, n in zip(sorted(places), names, strict=True)]


def _nearest(path: pathlib.Path) -> str:
  there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
  return f'; the nearest is {path.parent / nearest(path.name, there)}' if there else ''
