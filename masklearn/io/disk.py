"""What a disk refuses, with the file and the device that it is about."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

# What writers in other languages pass on as text, in errors of their own.
_REFUSALS = (
  errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
  errno.EIO, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
)  # fmt: skip
_FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG
_OF_A_DEVICE = *_FULL, errno.EROFS, errno.EIO


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
  """Turns what is raised because the system refused into an OSError that names `path`.

  Other errors pass, and so does an OSError that names a file already.

  >>> with naming('runs/a.npy'):
  ...   raise RuntimeError('write() failed: No space left on device')
  Traceback (most recent call last):
  OSError: [Errno 28] No space left on device: 'runs/a.npy'
  """
  try:
    yield
  except Exception as error:
    number = _refusal(error)
    if number is None or getattr(error, 'filename', None) is not None:
      raise
    raise OSError(number, os.strerror(number), str(path)) from error


def check_room(path: str | os.PathLike, size: int) -> None:
  """Raises the OSError of a full disk where `size` bytes would not fit.

  For writers that work in many threads, each of which would say it.
  """
  if shutil.disk_usage(path).free < size:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def explain(error: OSError) -> str:
  """What the system refused, as one sentence: the file, and the device if it is its.

  >>> explain(FileNotFoundError(2, 'No such file or directory', 'runs/a.npy'))
  'runs/a.npy: No such file or directory.'
  """
  if error.filename is None:
    return f'{error.strerror or error}.'
  said = f'{error.filename}: {error.strerror}'
  if error.errno in _OF_A_DEVICE:
    said += f' ({device(error.filename)})'
  if error.errno in _FULL:
    said += '; make room, and the same command goes on from here'
  return said + '.'


def device(path: str | os.PathLike) -> str:
  """The device of a path, which need not exist, and where it is mounted."""
  place = pathlib.Path(os.path.realpath(path))
  while place != place.parent and not os.path.ismount(place):
    place = place.parent
  name = 'device'
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/self/mounts').read_text().splitlines():
      source, mounted = line.split(' ')[:2]
      if _unescaped(mounted) == str(place):
        name = _unescaped(source)  # The last one covers those before.
  return f'{name} on {place}'


def _unescaped(word: str) -> str:
  return re.sub(r'\\([0-7]{3})', lambda match: chr(int(match[1], 8)), word)


def _refusal(error: BaseException | None) -> int | None:
  """The number of what the system said, in an error or in what it came from."""
  seen = 0
  while error is not None and seen < 10:
    if isinstance(error, OSError) and error.errno:
      return error.errno
    found = [n for n in _REFUSALS if os.strerror(n) in str(error)]
    if found:
      return found[0]
    error, seen = error.__cause__ or error.__context__, seen + 1
  return None
