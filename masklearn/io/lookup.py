"""Names: one look-up for every table, and the nearest valid choice for a wrong one."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from masklearn.types import InputError

T = TypeVar('T')


def lookup(table: Mapping[str, T], name: str, noun: str) -> T:
  """The entry of a table.

  Args:
    table: name -> entry.
    name: what was asked for.
    noun: what the table lists, in the singular, for the message.

  Raises:
    InputError: there is no such name; says which are nearest.

  >>> lookup({'bart': 1, 't5': 2}, 't5', 'model')
  2
  """
  check_name(table, name, noun)
  return table[name]


def check_name(names: Iterable[str], name: str, noun: str) -> None:
  """Raises an `InputError` unless `name` is one of `names`.

  >>> check_name(['t5', 'up'], 't6', 'model')
  Traceback (most recent call last):
  masklearn.types.InputError: Unknown model 't6'; did you mean 't5'? All are t5, up.
  """
  names = list(names)
  if name not in names:
    raise InputError(
      f'Unknown {noun} {name!r}; did you mean {nearest(name, names)!r}? All are '
      f'{", ".join(names)}.'
    )


def nearest(name: str, names: Iterable[str]) -> str:
  """The one of `names` that is spelled most like `name`; '' where there are none.

  >>> nearest('saliant', ['random', 'salient'])
  'salient'
  """
  found = difflib.get_close_matches(name, list(names), n=1, cutoff=0)
  return found[0] if found else ''
