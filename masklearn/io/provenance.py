"""The origin of results: the config of a work directory, the commit, the machine."""

import contextlib
import functools
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Callable
from typing import Any

from masklearn.io import files
from masklearn.types import InputError


def claim(
  workdir: str | os.PathLike, config, new_name: Callable[[str], str] = lambda key: ''
) -> None:
  """Writes config.json into a new work directory, or checks that of an old one.

  Args:
    workdir: the directory.
    config: a ConfigDict.
    new_name: of a key that was renamed; '' of any other.

  Raises:
    InputError: another config made the directory, or it holds something else.
  """
  workdir = pathlib.Path(workdir)
  path = workdir / 'config.json'
  # Through JSON, where tuples are lists, as what is read back.
  wanted = flatten(json.loads(config.to_json()))
  if path.exists():
    found = flatten(files.read_json(path))
    for key in filter(new_name, found):
      raise InputError(
        f'{workdir} was made by an older version: its config.json has {key}, which is '
        f'now {new_name(key)}. Give this config a --workdir of its own.'
      )
    for key in sorted(wanted.keys() | found.keys()):
      if wanted.get(key) != found.get(key):
        raise InputError(
          f'{workdir} was made by another config: {key} is {found.get(key)!r} there '
          f'and {wanted.get(key)!r} here. Give this config a --workdir of its own.'
        )
  elif workdir.is_dir() and any(workdir.iterdir()):
    raise InputError(
      f'{workdir} has files in it but no config.json, so no study made it. Give the '
      'study a --workdir of its own.'
    )
  elif workdir.exists() and not workdir.is_dir():
    raise InputError(f'--workdir must be a directory; {workdir} is a file.')
  else:
    files.write_json(path, json.loads(config.to_json()))


def disclaim(workdir: str | os.PathLike) -> None:
  """Takes config.json back where nothing was made with it, so that it binds nobody."""
  workdir = pathlib.Path(workdir)
  if [path.name for path in workdir.iterdir()] == ['config.json']:
    (workdir / 'config.json').unlink()
    workdir.rmdir()


def flatten(tree: dict[str, Any], prefix: str = '') -> dict[str, Any]:
  """Nested dicts as one, with dotted keys."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


@functools.cache
def commit() -> str:
  """The commit of the code, with `+` if files have changed since; '' if unknown."""
  folder = pathlib.Path(__file__).parent

  def git(*arguments):
    return subprocess.run(
      ['git', *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()

  try:
    changed = git('status', '--porcelain', '--untracked-files=no')
    return git('rev-parse', '--short=12', 'HEAD') + ('+' if changed else '')
  except (OSError, subprocess.CalledProcessError):
    return ''


def hardware() -> str:
  """Processor and number of cores, as far as the system tells."""
  name = platform.processor() or platform.machine()
  with contextlib.suppress(OSError, StopIteration):
    lines = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    name = next(x.split(':')[1].strip() for x in lines if x.startswith('model name'))
  cores = (
    len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
  )
  return f'{name}, {cores} cores, {platform.system()}'
