"""The origin of results: the config of a work directory, the commit, the machine."""

import contextlib
import functools
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from masklearn.io import checksums, files
from masklearn.types import InputError

CONFIG, LOCK = 'config.json', '.lock'


def claim(
  workdir: str | os.PathLike,
  config,
  new_name: Callable[[str], str] = lambda key: '',
  corpus_keys: Sequence[str] = (),
  free_keys: Sequence[str] = (),
) -> None:
  """Writes config.json into a new work directory, or checks that of an old one.

  A damaged one is written again where its checksum says that it was the same. A key
  that it lacks is one that it has empty, as in those of earlier versions. As long
  as a directory holds nothing but a corpus, its config may still change in what the
  corpus is not made with.

  Args:
    workdir: the directory, which is there.
    config: a ConfigDict.
    new_name: of a key that was renamed; '' of any other.
    corpus_keys: what a corpus in `workdir/corpus` is made with: keys, or their
      beginnings with a dot; () if there is no such corpus.
    free_keys: what may be another every time, such as the devices: in the same form.

  Raises:
    InputError: another config made the directory, or it holds something else.
  """
  workdir = pathlib.Path(workdir)
  path = workdir / CONFIG
  text = files.json_text(json.loads(config.to_json()))
  with files.remade(workdir / checksums.NAME):
    checksums.read(workdir)
  if not path.exists() and not _known(workdir):
    if any(file.name != LOCK for file in workdir.iterdir()):
      raise InputError(
        f'{workdir} has files in it but no config.json, so no study made it. Give the '
        'study a --workdir of its own.'
      )
    _write(workdir, text)
  elif path.is_dir():
    with files.remade(path):
      raise InputError(f'{path} is damaged: it is a directory.')
  elif _damaged(workdir):
    if _known(workdir) != files.digest_of(text):
      raise InputError(
        f'{path} is missing or damaged, and another config made it: put it back from a '
        'copy, or give this config a --workdir of its own.'
      )
    _write(workdir, text)
  elif _differs(workdir, text, new_name, corpus_keys, free_keys):
    _write(workdir, text)


def _differs(workdir, text, new_name, corpus_keys, free_keys) -> bool:
  """Whether config.json says something else of what is still to be made."""
  # Through JSON, where tuples are lists, as what is read back.
  wanted = flatten(json.loads(text))
  with files.remade(workdir):
    found = flatten(files.read_object(workdir / CONFIG))
  for key in filter(new_name, found):
    raise InputError(
      f'{workdir} was made by an older version: its config.json has {key}, which is '
      f'now {new_name(key)}. Give this config a --workdir of its own.'
    )
  others = sorted(
    key
    for key in wanted.keys() | found.keys()
    if wanted.get(key) != found.get(key)
    and not _is_of(key, free_keys)
    # A version that knew no such key did without what this one leaves out.
    and not (key not in found and wanted[key] in ('', []))
  )
  inside = {file.name for file in workdir.iterdir()} - {CONFIG, LOCK, checksums.NAME}
  free = bool(corpus_keys) and inside <= {'corpus'}
  for key in others:
    if not free or _is_of(key, corpus_keys):
      raise InputError(
        f'{workdir} was made by another config: {key} is {found.get(key)!r} there '
        f'and {wanted.get(key)!r} here. Give this config a --workdir of its own.'
      )
  return bool(others)


def _is_of(key, keys) -> bool:
  """Whether a key is one of some, or begins like one that ends with a dot."""
  return key in keys or key.startswith(tuple(k for k in keys if k.endswith('.')))


def disclaim(workdir: str | os.PathLike) -> None:
  """Takes config.json back where nothing was made with it, so that it binds nobody."""
  workdir = pathlib.Path(workdir)
  own = {CONFIG, LOCK, checksums.NAME}
  folders = []
  for path in workdir.rglob('*'):
    if path.is_dir() and not path.is_symlink():
      folders.append(path)
    elif path.parent != workdir or path.name not in own:
      return
  for name in (checksums.NAME, CONFIG):
    (workdir / name).unlink(missing_ok=True)
  for folder in sorted(folders, reverse=True):  # the inner ones first
    folder.rmdir()


def _write(workdir, text) -> None:
  files.write_text(workdir / CONFIG, text, parents=False)
  checksums.add(workdir, [CONFIG], keep=False)  # Nothing of before is finished.


def _known(workdir) -> str:
  """The checksum that config.json was written with; '' if none is noted."""
  return checksums.read(workdir).get(CONFIG, '')


def _damaged(workdir) -> bool:
  try:
    return _known(workdir) not in ('', files.digest(workdir / CONFIG))
  except OSError:
    return True


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
