"""Names: one look-up for every table, and the nearest valid choice for a wrong one."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from masklearn.types import InputError

T = TypeVar('T')

_LONGEST = 80  # characters of a name that was given


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
    hint = f'did you mean {nearest(name, names)!r}? ' if names and name.strip() else ''
    raise InputError(
      f'Unknown {noun} {name[:_LONGEST]!r}; {hint}All are {", ".join(names) or "none"}.'
    )


def nearest(name: str, names: Iterable[str]) -> str:
  """The one of `names` that is spelled most like `name`; '' where there are none.

  Capitals count less than letters do, and of a very long name only the beginning.

  >>> nearest('saliant', ['random', 'salient'])
  'salient'
  >>> nearest('BART', ['t5', 'bart'])
  'bart'
  """
  name = name[:_LONGEST]

  def likeness(other):
    pairs = (name, other), (name.casefold(), other.casefold())
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

  return max(names, key=likeness, default='')
