"""Files that other programs wrote, such as a checkpoint's: whole, or refused."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from masklearn.types import InputError

_POINTER = b'version https://git-lfs.github.com/spec/'
_PAGE = b'<!doctype html', b'<html', b'<?xml'


def check(path: pathlib.Path) -> None:
  """Refuses a file that is not what its name says, by how it begins.

  Raises:
    InputError: it is missing, no file, unreadable, empty, a Git LFS pointer or a web
      page.
  """
  try:
    with path.open('rb') as file:
      head = file.read(256)
  except FileNotFoundError as error:
    lost = f', a link to nothing: {path.readlink()}' if path.is_symlink() else ''
    raise InputError(f'{path} is missing{lost}.') from error
  except OSError as error:
    raise InputError(f'{path} cannot be read: {error.strerror or error}.') from error
  if not head:
    raise InputError(f'{path} is empty; expected the whole file.')
  if head.startswith(_POINTER):
    raise InputError(
      f'{path} is a Git LFS pointer and not the file itself: run "git lfs pull" in its '
      'repository, or download the file.'
    )
  if head.lstrip().lower().startswith(_PAGE):
    raise InputError(f'{path} is a web page and not the file; download it again.')


def read_object(path: pathlib.Path) -> dict[str, Any]:
  """The JSON object that a file holds.

  Raises:
    InputError: as `check`, or it is no JSON, is cut off, or holds another value.
  """
  check(path)
  try:
    value = json.loads(path.read_text(encoding='utf-8-sig'))
  except json.JSONDecodeError as error:
    raise InputError(
      f'{path}:{error.lineno}: not JSON, or cut off: {error.msg} at column '
      f'{error.colno}.'
    ) from error
  except (ValueError, RecursionError) as error:  # no UTF-8, or 5,000 digits
    raise InputError(f'{path} is not JSON: {error}.') from error
  if not isinstance(value, dict):
    raise InputError(f'{path} must hold a JSON object, got {shown(value)}.')
  return value


def shown(value: Any, most: int = 40) -> str:
  """A JSON value as its file has it, for a message; `most` characters of it.

  >>> shown(None), shown(True), shown([1, 'a'])
  ('null', 'true', '[1, "a"]')
  """
  text = json.dumps(value)
  return text if len(text) <= most else f'{text[:most]} ..'


def first(names: Sequence[str], most: int = 3) -> str:
  """The first of a list of names, and how many more there are.

  >>> first(['a', 'b', 'c', 'd', 'e'])
  'a, b, c and 2 more'
  """
  more = len(names) - most
  return ', '.join(names[:most]) + (f' and {more} more' if more > 0 else '')
