"""The fields of a config: what each is unless it is changed, and what it may be."""

import dataclasses
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import config_dict

from masklearn.io.lookup import check_name, nearest
from masklearn.study.settings import names
from masklearn.types import InputError


@dataclasses.dataclass(frozen=True)
class Field:
  """A field: its default, and a check that raises an `InputError` for other values."""

  default: Any
  check: Callable[[Any], None]
  kind: type | None = None  # of a field that may be None, so that flags can set it


GROUPS = Mapping, config_dict.ConfigDict
# Name -> a field, or the fields of a group.
Fields = Mapping[str, 'Field | Fields']


def number(default: float | None, interval: str) -> Field:
  """A number.

  Args:
    default: None for a field that may be None.
    interval: such as '(0, 1]'; what ends in 'inf)' leaves out infinity.

  >>> number(0.5, '(0, 1]').check(0)
  Traceback (most recent call last):
  masklearn.types.InputError: must be a number in (0, 1], got 0.
  """
  return _field(default, f'a number in {interval}', _number(interval), float)


def whole(default: int | None, interval: str) -> Field:
  """A whole number, see `number`."""
  return _field(default, f'a whole number in {interval}', _whole(interval), int)


def numbers(default: tuple, interval: str, count: int | None = None) -> Field:
  """A tuple of `count` numbers; of any count if None, but none only by default."""
  return _tuple(default, f'numbers in {interval}', _number(interval), count)


def wholes(default: tuple, interval: str) -> Field:
  """A tuple of whole numbers, see `numbers`."""
  return _tuple(default, f'whole numbers in {interval}', _whole(interval), None)


def flag(default: bool) -> Field:
  """True or False."""
  return _field(default, 'True or False', lambda value: isinstance(value, bool))


def text(default: str) -> Field:
  """Any text."""
  return _field(default, 'text', lambda value: isinstance(value, str))


def group() -> Field:
  """A group of any fields, empty at first; its owner checks what is in it."""
  return _field({}, 'a group of fields', lambda value: isinstance(value, GROUPS))


def checked(default: str, check: Callable[[str], None]) -> Field:
  """Text with a check of its own."""

  def both(value):
    text(default).check(value)
    check(value)

  return Field(default, both)


def name(default: str, known: Iterable[str] | str, noun: str) -> Field:
  """One of the known names.

  Args:
    default: one of them.
    known: may grow later; or where it is, 'room.file:NAME', if that takes long to load,
      which is then done for another name than the default.
    noun: what is named.
  """

  def check(value):
    if value != default or not isinstance(known, str):
      check_name(_loaded(known), value, noun)

  return checked(default, check)


def name_list(default: str, known: Iterable[str] | str, noun: str) -> Field:
  """At least one of the known names, separated by commas; see `name`."""

  def check(value):
    if not names(value):
      raise InputError(f'must name at least one {noun}, got {value!r}.')
    for one in names(value):
      name(default, known, noun).check(one)

  return checked(default, check)


def _loaded(known):
  if isinstance(known, str):
    return pkgutil.resolve_name(f'masklearn.{known}')
  return known


def make(fields: Fields) -> config_dict.ConfigDict:
  """Returns the config of all defaults."""
  config = config_dict.ConfigDict()
  for key, field in fields.items():
    if not isinstance(field, Field):
      config[key] = make(field)
    elif field.kind and field.default is None:
      config[key] = config_dict.placeholder(field.kind)
    else:
      config[key] = field.default
  return config


def check(
  fields: Fields,
  values: Mapping[str, Any],
  renamed: Callable[[str], str] = lambda key: '',
  prefix: str = '',
  complete: bool = True,
) -> None:
  """Checks every value of a config by itself.

  Args:
    fields: what there may be.
    values: the config, or a group of it.
    renamed: the new name of a key, '' if it has none.
    prefix: of the keys, with the dot at its end.
    complete: whether no field may be missing.

  Raises:
    InputError: names the first field whose value cannot be, the rule and the value.
  """
  if not isinstance(values, GROUPS):
    raise InputError(
      f'config.{prefix[:-1]}: must be a group of fields, got {values!r}.'
    )
  for key in values:
    if key not in fields:
      new = renamed(prefix + key)
      hint = f'renamed; use config.{new}' if new else _no_such(key, fields, prefix)
      raise InputError(f'config.{prefix}{key}: {hint}')
  for key, field in fields.items():
    if key not in values:
      if complete:
        raise InputError(f'config.{prefix}{key}: missing')
      continue
    if not isinstance(field, Field):
      check(field, values[key], renamed, f'{prefix}{key}.', complete)
      continue
    try:
      field.check(values[key])
    except InputError as error:
      raise InputError(f'config.{prefix}{key}: {error}') from error


def _no_such(key, fields, prefix):
  return f'no such field; nearest: config.{prefix}{nearest(key, fields)}'


def _field(default, rule, holds, kind=None):
  """A field with a rule; one whose default is None may be None."""
  optional = default is None
  rule += ' or None' if optional else ''

  def check(value):
    if not (holds(value) or (optional and value is None)):
      raise InputError(f'must be {rule}, got {value!r}.')

  return Field(default, check, kind)


def _tuple(default, noun, holds, count):
  least = count or min(1, len(default))
  rule = f'a tuple of {count or f"at least {least}"} {noun}'

  def all_hold(value):
    enough = isinstance(value, tuple | list) and len(value) >= least
    return enough and len(value) == (count or len(value)) and all(map(holds, value))

  return _field(default, rule, all_hold)


def _number(interval):
  low, high = map(float, interval[1:-1].split(','))

  def holds(value):
    if isinstance(value, bool) or not isinstance(value, int | float):
      return False
    above = value >= low if interval[0] == '[' else value > low
    below = value <= high if interval[-1] == ']' else value < high
    return above and below and math.isfinite(value)

  return holds


def _whole(interval):
  holds = _number(interval)
  return lambda value: isinstance(value, int) and holds(value)
