"""Names of a package that are loaded when they are first used: importing costs nothing.

jax takes seconds, and a mistake on a command line should not have to wait for it.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, owners: Mapping[str, str]) -> Callable[[str], Any]:
  """The `__getattr__` of a package, see PEP 562.

  Args:
    package: `__name__` of the package.
    owners: public name -> the module of the package that defines it.

  >>> attach('masklearn.io', {'nearest': 'lookup'})('nearest').__module__
  'masklearn.io.lookup'
  """

  def load(name: str) -> Any:
    if name not in owners:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    value = getattr(importlib.import_module(f'{package}.{owners[name]}'), name)
    setattr(sys.modules[package], name, value)
    return value

  return load
