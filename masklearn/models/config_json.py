"""The values of a config.json: which of them describe a model that can be built."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any

from masklearn.io.foreign import shown
from masklearn.types import InputError

# The greatest size of each kind; far above any published one, far below any machine.
_LAYERS, _SIZE = 1_000, 2**24


def fields(
  hf: Mapping[str, Any],
  title: str,
  config: type,
  keys: Mapping[str, str],
  allowed: Mapping[str, tuple],
  more: Mapping[str, tuple] = types.MappingProxyType({}),
  path: Any = 'config.json',
) -> dict[str, Any]:
  """The fields of a configuration that config.json has under keys of its own.

  Args:
    hf: the file's keys and values.
    title: of the family, for the message.
    config: the configuration's class; a field's type and name say what it may be.
    keys: our field -> the key; one without a default must be there.
    allowed: what the file may say of other keys, the default first.
    more: key -> (kind, whether null is as good as nothing), of keys that are no field.
    path: of the file.

  Raises:
    InputError: names every key that is missing, cannot be, or asks for another model
      than ours, with what was expected and what came.
  """
  wrong = [
    f'{key} must be {" or ".join(map(shown, values))}, got {shown(hf[key])}'
    for key, values in allowed.items()
    if key in hf and not any(_same(hf[key], value) for value in values)
  ]
  rules = {field.name: field for field in dataclasses.fields(config)}
  checks = [
    (keys[name], _kind(rules[name]), False, rules[name].default is dataclasses.MISSING)
    for name in keys
  ]
  checks += [(key, *kind, False) for key, kind in more.items()]
  for key, kind, null, needed in checks:
    if key not in hf:
      if needed:
        wrong.append(f'{key} must be {kind[0]}, got nothing')
    elif not (null and hf[key] is None) and not kind[1](hf[key]):
      wrong.append(f'{key} must be {kind[0]}, got {shown(hf[key])}')
  if wrong:
    raise InputError(f'{path} does not describe a {title}: {"; ".join(wrong)}.')
  return {ours: hf[theirs] for ours, theirs in keys.items() if theirs in hf}


def _number(value):
  """Whether it is a finite number; JSON knows no other, but Python reads NaN."""
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return number and math.isfinite(value)


def _whole(most, least=1):
  def check(value):
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and least <= value <= most

  return f'a whole number from {least} to {most}', check


# What a value must be, in words and as a check.
FLAG = 'true or false', lambda value: isinstance(value, bool)
LAYERS, SIZE, INDEX = _whole(_LAYERS), _whole(_SIZE), _whole(_SIZE - 1, least=0)
RATE = 'a number in [0, 1)', lambda value: _number(value) and 0 <= value < 1
POSITIVE = 'a number above 0', lambda value: _number(value) and 0 < value < 1e9


def _kind(field: dataclasses.Field):
  """What a field's value must be."""
  if field.type is bool:
    return FLAG
  if field.type is int:
    return LAYERS if field.name.endswith('layers') else SIZE
  return RATE if field.name.endswith('dropout') else POSITIVE


def _same(value, expected):
  """Whether they are equal as JSON, where 0 is 0.0 but no `false`."""
  return isinstance(value, bool) == isinstance(expected, bool) and value == expected
