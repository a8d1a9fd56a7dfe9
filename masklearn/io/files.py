"""JSON, JSON lines and directories on disk, written whole or not at all."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from masklearn.io import disk, hosts, owner, paths
from masklearn.types import InputError


def filled(path: pathlib.Path) -> bool:
  """Whether something is there that is more than an empty directory."""
  return path.exists() and (not path.is_dir() or any(path.iterdir()))


@contextlib.contextmanager
def new_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """A directory to fill beside `path`, which takes its place when all went well.

  Raises:
    InputError: `path` holds something already, or is a URL.
  """
  paths.check_local(path)
  path = pathlib.Path(path)
  if filled(path):
    raise InputError(f'{path} is there already; give a directory that is new.')
  partial = path.with_name(f'{path.name}.partial')
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    yield partial
    os.replace(partial, path)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


class ResumableFile:
  """A file that is written in batches and gets its name when it is whole.

  Until then it is FILE.partial. FILE.state says what made it and how far it got: after
  a process was killed, the next one resumes behind the last batch. FILE.state stays, so
  that the same command finds nothing left to do. A file that was not made in this way
  is not touched, and neither is one that another process is writing.

  Attributes:
    state: what the last `add` was given, or what is true at the beginning.
    done: whether it was finished before.
  """

  def __init__(self, path: str | os.PathLike, made_by: Mapping, state: Mapping):
    """Begins, or goes on.

    Args:
      path: of the file.
      made_by: JSON values, by name, that decide what is written.
      state: JSON values at the beginning.

    Raises:
      InputError: something else made what is there, or is at work on it.
    """
    self.path = pathlib.Path(path)
    self._partial = self.path.with_name(self.path.name + '.partial')
    self._state = self.path.with_name(self.path.name + '.state')
    self._said = {'made_by': dict(made_by), 'done': False, 'bytes': 0, 'at': state}
    self._held = contextlib.ExitStack()
    self._read()
    if self._said['done'] and self.path.exists():
      self._check_whole()
      return
    self.path.parent.mkdir(parents=True, exist_ok=True)
    lock = self.path.with_name(self.path.name + '.lock')
    self._held.enter_context(owner.owned(self.path, lock))
    try:
      self._read()  # Another process may have gone on since.
      if self._said['done']:
        if self._partial.exists():  # killed right before it got its name
          os.replace(self._partial, self.path)
        self._check_whole()
        self._held.close()
      else:
        self._open()
    except BaseException:
      self._held.close()
      raise

  @property
  def state(self) -> dict:
    """The state that the last `add` was given."""
    return dict(self._said['at'])

  @property
  def done(self) -> bool:
    """Whether the file is whole."""
    return self._said['done']

  def add(self, lines: Iterable[str], state: Mapping) -> None:
    """Writes lines, then `state`; after a crash, both count or neither does."""
    with disk.naming(self._partial):
      self._file.write(''.join(lines).encode())
      self._file.flush()
      os.fsync(self._file.fileno())
    self._said |= {'bytes': self._file.tell(), 'at': dict(state)}
    write_json(self._state, self._said)

  def finish(self) -> None:
    """Gives the file its name."""
    self._file.close()
    self._said |= {'done': True, 'sha256': digest(self._partial)}
    write_json(self._state, self._said)
    os.replace(self._partial, self.path)
    self._held.close()

  def discard(self) -> None:
    """Removes what was made so far."""
    self._file.close()
    self._partial.unlink(missing_ok=True)
    self._state.unlink(missing_ok=True)
    self._held.close()

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    with self._held:
      if not self.done:
        self._file.close()

  def _read(self):
    """Reads FILE.state, if there is one."""
    if self._state.exists():
      self._said = self._checked(self._said['made_by'])
      return
    for path in (self.path, self._partial):
      if path.exists():
        raise InputError(
          f'{path} is there already, and no {self._state.name} says that this made it; '
          'give another name, or move it away.'
        )

  def _open(self):
    if self.path.exists():
      raise InputError(f'{self.path} is there, but was not finished by this command.')
    write_json(self._state, self._said)  # first: a file without it is a stranger's
    size = self._partial.stat().st_size if self._partial.exists() else 0
    if size < self._said['bytes']:
      raise InputError(
        f'{self._partial} is shorter than {self._state} says. Remove both to make '
        'it again.'
      )
    self._file = open(self._partial, 'ab')  # noqa: SIM115 (closed by __exit__)
    self._file.truncate(self._said['bytes'])

  def _check_whole(self):
    size, wanted = self.path.stat().st_size, self._said.get('sha256')
    if size != self._said['bytes'] or wanted not in (None, digest(self.path)):
      raise InputError(
        f'{self.path} was finished, and is not as it was written. Remove it and '
        f'{self._state.name} to make it again.'
      )

  def _checked(self, made_by):
    wanted = {'made_by': dict, 'done': bool, 'bytes': int, 'at': dict}
    there = [path for path in (self._partial, self.path) if path.exists()]
    with remade(' and '.join(map(str, [self._state, *there]))):
      said = read_object(self._state, wanted)
      for key, kind in wanted.items():
        if type(said[key]) is not kind or (key == 'bytes' and said[key] < 0):
          raise InputError(f'{self._state} is damaged: {key} is {said[key]!r:.40}.')
      initial = self._said['at']
      if {k: type(v) for k, v in said['at'].items()} != {
        k: type(v) for k, v in initial.items()
      }:
        raise InputError(f'{self._state} is damaged: at is {said["at"]!r:.40}.')
    old = said['made_by']
    for key in sorted({*made_by, *old}):
      if made_by.get(key) != old.get(key):
        raise InputError(
          f'{self.path} was begun with {key} {old.get(key)!r}, and not with '
          f'{made_by.get(key)!r}. Give another name, or remove it and '
          f'{self._state.name}.'
        )
    if said['done'] and not (self.path.exists() or self._partial.exists()):
      raise InputError(
        f'{self._state} says that {self.path} is finished, but it is gone. Remove the '
        'former to make it again.'
      )
    return said


def write_text(path: str | os.PathLike, text: str, parents: bool = True) -> None:
  """Writes beside `path`, then renames: a reader sees the old file or the new.

  Of the processes of one job, the first writes.

  Args:
    path: of the file.
    text: all of it.
    parents: whether its directory is made where there is none. A study that runs does
      not: its work directory may have been removed.

  Raises:
    OSError: nothing is left of what was begun; names the file.
  """
  if not hosts.is_first():
    return
  path = pathlib.Path(path)
  if parents:
    path.parent.mkdir(parents=True, exist_ok=True)
  # One name: what a killed process left half written, the next one writes over.
  partial = path.with_name(f'{path.name}.partial')
  try:
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      partial.unlink()
    raise OSError(error.errno, error.strerror, str(path)) from error


def digest(path: str | os.PathLike) -> str:
  """The SHA-256 of a file, in hexadecimal digits."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def digest_of(text: str) -> str:
  """The SHA-256 of a file of this text."""
  return hashlib.sha256(text.encode()).hexdigest()


def json_text(value: Any) -> str:
  """The text of a JSON file, indented for a reader."""
  return json.dumps(value, indent=1, ensure_ascii=False) + '\n'


def write_json(path: str | os.PathLike, value: Any) -> None:
  """Writes one JSON value."""
  write_text(path, json_text(value))


def read_json(path: str | os.PathLike) -> Any:
  """The value that `write_json` wrote.

  Raises:
    InputError: the file holds something else.
  """
  try:
    return json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
  except (ValueError, RecursionError) as error:
    raise InputError(f'{path} is damaged: {error}.') from error


def read_object(path: str | os.PathLike, names: Iterable[str] = ()) -> dict[str, Any]:
  """The JSON object that `write_json` wrote, with these names at least.

  Raises:
    InputError: the file cannot be read, or holds something else.
  """
  try:
    value = read_json(path)
  except OSError as error:
    raise InputError(f'{path} cannot be read: {error.strerror}.') from error
  if not isinstance(value, dict):
    raise InputError(f'{path} is damaged: it must hold an object, got {value!r:.40}.')
  if missing := [name for name in names if name not in value]:
    raise InputError(f'{path} is damaged: it lacks {", ".join(missing)}.')
  return value


def write_jsonl(
  path: str | os.PathLike, rows: Iterable[Mapping], parents: bool = True
) -> None:
  """Writes one JSON object a line; see `write_text`."""
  lines = (json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
  write_text(path, ''.join(lines), parents)


def read_jsonl(path: str | os.PathLike, names: Iterable[str] = ()) -> list[dict]:
  """The rows of one of our own files; `record_files` reads users' files.

  Args:
    path: of the file.
    names: what every row must have.

  Raises:
    InputError: a line is no JSON object; names file and line.
  """
  rows, names = [], list(names)
  try:
    text = pathlib.Path(path).read_text(encoding='utf-8')
  except ValueError as error:
    raise InputError(f'{path} is damaged: {error}.') from error
  for number, line in enumerate(text.split('\n'), 1):
    if not line:
      continue
    try:
      row = json.loads(line)
      if not isinstance(row, dict):
        raise ValueError(f'a line must be an object, got {row!r:.40}')
      if missing := [name for name in names if name not in row]:
        raise ValueError(f'it lacks {", ".join(missing)}')
    except (ValueError, RecursionError) as error:
      raise InputError(f'{path}:{number} is damaged: {error}.') from error
    rows.append(row)
  return rows


@contextlib.contextmanager
def remade(path: str | os.PathLike) -> Iterator[None]:
  """Adds to an InputError how to go on: without `path`, it is made again."""
  try:
    yield
  except InputError as error:
    raise InputError(f'{error} Remove {path} to make it again.') from error
