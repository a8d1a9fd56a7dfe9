"""Where compiled programs are kept between runs, so that a study starts quickly."""

import hashlib
import os
import pathlib
import platform

from masklearn.io import paths

_DIRECTORY = 'JAX_COMPILATION_CACHE_DIR'
_SIZE = 'JAX_COMPILATION_CACHE_MAX_SIZE'
_SHORTEST = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'
LARGEST = 4 * 2**30  # bytes; what was used longest ago makes room
# Seconds of compiling that are worth keeping. A small study has many programs that take
# less than JAX's one second, and each worker of a pool would compile them again.
SHORTEST = 0.2


def keep() -> None:
  """Names a directory of the user's cache to JAX, which must not be loaded yet.

  What the user has set is left alone, and where nothing can be written nothing is kept;
  JAX_ENABLE_COMPILATION_CACHE=false asks for that.
  """
  if _DIRECTORY in os.environ:
    return
  try:
    directory().mkdir(parents=True, exist_ok=True)
  except OSError:
    return
  os.environ[_DIRECTORY] = str(directory())
  os.environ.setdefault(_SIZE, str(LARGEST))
  os.environ.setdefault(_SHORTEST, str(SHORTEST))


def directory() -> pathlib.Path:
  """A directory for this kind of machine.

  A home may be shared by several kinds, and a program for one processor can crash on
  another.
  """
  kind = hashlib.sha256(f'{platform.machine()} {_processor()}'.encode()).hexdigest()
  return paths.cache() / f'programs-{kind[:12]}'


def _processor() -> str:
  """What the processor can do; '' where the system does not say it like Linux."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return ''
  return next((x for x in lines if x.startswith(('flags', 'Features'))), '')
