"""The one process at a time that may write a file or a directory."""

import contextlib
import errno
import os
import pathlib
import platform
from collections.abc import Iterator

from masklearn.types import InputError

try:
  import fcntl
except ImportError:  # not on Windows: nothing is locked there
  fcntl = None

_NO_LOCKS = errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL


@contextlib.contextmanager
def owned(what: str | os.PathLike, lock: str | os.PathLike) -> Iterator[None]:
  """Holds the lock of a file or a directory; no other process can at the same time.

  The lock is one of the operating system (flock) on the file `lock`, and ends with the
  process, however that ends. What says who has it is removed at the end; left behind by
  a process that was killed, it keeps nobody out. Where a file system has no locks,
  nothing is held.

  Args:
    what: the file or directory, for the message.
    lock: a file that nothing else uses, in a directory that is there.

  Raises:
    InputError: another process has it.
    OSError: the file cannot be written.
  """
  lock = pathlib.Path(lock)
  file = _locked(what, lock)
  try:
    with contextlib.suppress(OSError):  # on a full disk, nobody is named
      os.ftruncate(file, 0)
      os.write(file, f'process {os.getpid()} on {platform.node()}'.encode())
    yield
  finally:
    with contextlib.suppress(OSError):
      if os.path.samestat(os.fstat(file), lock.stat()):  # not where all was replaced
        lock.unlink()
    os.close(file)


def _locked(what, lock) -> int:
  while True:
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
      if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      # Who had it may have removed the file after it was opened here.
      if os.path.samestat(os.fstat(file), lock.stat()):
        return file
    except FileNotFoundError:
      pass
    except (BlockingIOError, PermissionError) as error:
      by = os.pread(file, 200, 0).decode(errors='replace') or 'another process'
      os.close(file)
      raise InputError(
        f'{what} is in use by {by}; wait for its end, or give another name.'
      ) from error
    except OSError as error:
      if error.errno in _NO_LOCKS:
        return file
      os.close(file)
      raise
    os.close(file)
