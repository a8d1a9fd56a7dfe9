"""Checksums of the files that something finished leaves, in SHA256SUMS beside them.

The format is that of the command `sha256sum`: `sha256sum -c SHA256SUMS` checks the
files as well, a line that is taken out is not checked any more, and a directory without
the file, as earlier versions left it, is used as it is.
"""

import fnmatch
import os
import pathlib
import re
from collections.abc import Iterable
from concurrent import futures
from typing import Any

from masklearn.io import disk, files, hosts
from masklearn.types import InputError

NAME = 'SHA256SUMS'
_LINE = re.compile(r'([0-9a-f]{64}) [ *](.+)')
_AT_ONCE = 4  # files that are read side by side


def add(directory: str | os.PathLike, names: Iterable[str], keep: bool = True) -> None:
  """Notes the checksums of some files of a directory, in place of earlier ones.

  Args:
    directory: gets SHA256SUMS, if it has none.
    names: of files in it; that of a folder stands for all that it holds.
    keep: whether other files are still listed.
  """
  _write(pathlib.Path(directory), list(names), {}, keep)


def seal(path: str | os.PathLike, value: Any, names: Iterable[str] = ()) -> None:
  """Writes the JSON file whose presence says that its directory is finished.

  Before it, the checksums: its own, and those of `names`, see `add`.
  """
  path, text = pathlib.Path(path), files.json_text(value)
  own = {path.name: files.digest_of(text)}
  _write(path.parent, list(names), own)
  files.write_text(path, text, parents=False)


def check(directory: str | os.PathLike, patterns: Iterable[str] = ('*',)) -> None:
  """Compares the files of a directory with their checksums.

  Args:
    directory: where SHA256SUMS is; without it, nothing is compared.
    patterns: of the names to look at.

  Raises:
    InputError: a file is missing or another than was written; names it.
  """
  directory, patterns = pathlib.Path(directory), list(patterns)
  listed = {
    name: wanted
    for name, wanted in read(directory).items()
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
  }
  with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    found = pool.map(lambda one: _wrong(directory / one[0], one[1]), listed.items())
    for wrong in filter(None, found):
      raise InputError(wrong)


def read(directory: str | os.PathLike) -> dict[str, str]:
  """The checksums of a directory by name; none where there is no SHA256SUMS.

  Raises:
    InputError: it is something else.
  """
  path = pathlib.Path(directory) / NAME
  if not path.exists():
    return {}
  try:
    lines = path.read_text(encoding='utf-8').splitlines()
  except (OSError, ValueError) as error:
    raise InputError(f'{path} is damaged: {error}.') from error
  matches = [_LINE.fullmatch(line) for line in lines]
  if not lines or not all(matches):
    raise InputError(f'{path} is damaged: its lines must be those of sha256sum.')
  return {match[2]: match[1] for match in matches if match}


def _wrong(path, wanted) -> str:
  try:
    if files.digest(path) == wanted:
      return ''
    return f'{path} is damaged: its SHA-256 is not that of {NAME} beside it.'
  except FileNotFoundError:
    return f'{path} is missing, and {NAME} beside it lists it.'
  except OSError as error:
    return f'{path} cannot be read: {error.strerror}.'


def _write(directory, names, sums, keep=True) -> None:
  if not hosts.is_first():
    return
  for name in names:
    path = directory / name
    inside = sorted(path.rglob('*')) if path.is_dir() else [path]
    sums |= {
      file.relative_to(directory).as_posix(): files.digest(file)
      for file in inside
      if not file.is_dir()
    }
  gone = tuple(f'{name}/' for name in names)
  before = read(directory) if keep else {}
  kept = {name: own for name, own in before.items() if not name.startswith(gone)}
  lines = (f'{own}  {name}\n' for name, own in sorted((kept | sums).items()))
  with disk.naming(directory / NAME):
    files.write_text(directory / NAME, ''.join(lines), parents=False)
