"""Paths as people write them: what can be none is refused before anything is made."""

import os
import pathlib
import re

from masklearn.types import InputError

NAME = 255  # bytes of a name at most, on the file systems of Linux and macOS

# Two letters or more, so that C:/ is a drive; `pathlib` makes gs:/ of gs://.
_URL = re.compile(r'[a-zA-Z][a-zA-Z0-9+.-]+:/')


def check_local(path: str | os.PathLike, what: str = '') -> None:
  """Refuses a path that is a URL, or that no file system has.

  Without it, gs://bucket/run would become a local folder `gs:`.

  Args:
    path: of a file or folder, there or not; '' passes.
    what: names it in the message, such as '--workdir'.

  Raises:
    InputError: it is a URL, a name in it is too long, or has a null character.

  >>> check_local('gs://bucket/run', '--workdir')
  Traceback (most recent call last):
  masklearn.types.InputError: --workdir must be a path on this machine, got the URL \
gs://bucket/run; copy or mount what is there.
  """
  path = os.fspath(path)
  what = what or 'A file or folder'
  if is_url(path):
    raise InputError(
      f'{what} must be a path on this machine, got the URL {path:.200}; copy or mount '
      'what is there.'
    )
  if '\0' in path:
    raise InputError(f'{what} must be a path, got {path!r:.80} with a null character.')
  longest = max(path.split(os.sep), key=lambda name: len(os.fsencode(name)))
  if len(os.fsencode(longest)) > NAME:
    raise InputError(
      f'{what} has a name of {len(os.fsencode(longest))} bytes, {longest:.40}..; '
      f'{NAME} are the most that a file system takes.'
    )


def is_url(path: str | os.PathLike) -> bool:
  """Whether something begins like gs://, s3://, http://, hf:// or file://.

  >>> is_url('hf://datasets/x'), is_url('C:/data'), is_url('wiki:2024')
  (True, False, False)
  """
  return bool(_URL.match(os.fspath(path)))


def cache() -> pathlib.Path:
  """A folder of the user's cache; made by who writes there."""
  home = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(home) / 'masklearn'
