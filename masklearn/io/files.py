"""JSON, JSON lines and directories on disk, written whole or not at all."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from masklearn.types import InputError


def filled(path: pathlib.Path) -> bool:
  """Whether something is there that is more than an empty directory."""
  return path.exists() and (not path.is_dir() or any(path.iterdir()))


@contextlib.contextmanager
def new_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """A directory to fill beside `path`, which takes its place when all went well.

  Raises:
    InputError: `path` holds something already.
  """
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
  is not touched.

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
      InputError: something else made what is there.
    """
    self.path = pathlib.Path(path)
    self._partial = self.path.with_name(self.path.name + '.partial')
    self._state = self.path.with_name(self.path.name + '.state')
    self._said = {'made_by': dict(made_by), 'done': False, 'bytes': 0, 'at': state}
    if self._state.exists():
      self._said = self._checked(made_by)
    for path in (self.path, self._partial):
      if path.exists() and not self._state.exists():
        raise InputError(
          f'{path} is there already, and no {self._state.name} says that this made it; '
          'give another name, or move it away.'
        )
    if self._said['done']:
      if self._partial.exists():  # killed right before it got its name
        os.replace(self._partial, self.path)
    else:
      if self.path.exists():
        raise InputError(f'{self.path} is there, but was not finished by this command.')
      write_json(self._state, self._said)  # first: a file without it is a stranger's
      size = self._partial.stat().st_size if self._partial.exists() else 0
      if size < self._said['bytes']:
        raise InputError(f'{self._partial} is shorter than {self._state} says.')
      self._file = open(self._partial, 'ab')  # noqa: SIM115 (closed by __exit__)
      self._file.truncate(self._said['bytes'])

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
    self._file.write(''.join(lines).encode())
    self._file.flush()
    os.fsync(self._file.fileno())
    self._said |= {'bytes': self._file.tell(), 'at': dict(state)}
    write_json(self._state, self._said)

  def finish(self) -> None:
    """Gives the file its name."""
    self._file.close()
    self._said['done'] = True
    write_json(self._state, self._said)
    os.replace(self._partial, self.path)

  def discard(self) -> None:
    """Removes what was made so far."""
    self._file.close()
    self._partial.unlink(missing_ok=True)
    self._state.unlink(missing_ok=True)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    if not self.done:
      self._file.close()

  def _checked(self, made_by):
    try:
      said = read_json(self._state)
      old, _, _, _ = (said[key] for key in ('made_by', 'done', 'bytes', 'at'))
    except (ValueError, KeyError, TypeError) as error:
      raise InputError(f'{self._state} is damaged: {error!r}.') from error
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


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes beside `path`, then renames: a reader sees the old file or the new."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # One name: what a killed process left half written, the next one writes over.
  partial = path.with_name(f'{path.name}.partial')
  partial.write_text(text, encoding='utf-8')
  os.replace(partial, path)


def write_json(path: str | os.PathLike, value: Any) -> None:
  """Writes one JSON value, indented for a reader."""
  write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + '\n')


def read_json(path: str | os.PathLike) -> Any:
  """The value that `write_json` wrote."""
  return json.loads(pathlib.Path(path).read_text(encoding='utf-8'))


def write_jsonl(path: str | os.PathLike, rows: Iterable[Mapping]) -> None:
  """Writes one JSON object a line."""
  lines = (json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
  write_text(path, ''.join(lines))


def read_jsonl(path: str | os.PathLike) -> list[dict]:
  """The rows of one of our own files; `record_files` reads users' files."""
  text = pathlib.Path(path).read_text(encoding='utf-8')
  return [json.loads(line) for line in text.split('\n') if line]
