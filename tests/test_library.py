"""The library as scripts and notebooks import it: every public name, documented."""

import doctest
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import masklearn as ml

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted(
  '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
  for path in (ROOT / 'masklearn').rglob('*.py')
  if path.name != 'beam.py'  # needs an extra
)
PUBLIC = [name for name in ml.__all__ if not name.startswith('_')]
ROOMS = [name for name in PUBLIC if inspect.ismodule(getattr(ml, name))]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(ml, name))]


@pytest.mark.parametrize('name', PUBLIC)
def test_a_public_name_is_there_and_documented(name):
  """Under the name that scripts import, with a docstring or, of a table, entries."""
  found = getattr(ml, name)
  assert found or inspect.ismodule(found)
  if not isinstance(found, dict):
    assert inspect.getdoc(found)
  assert name in dir(ml)


def test_a_name_that_is_not_there_is_an_attribute_error():
  """So that `hasattr` and completion work."""
  with pytest.raises(AttributeError, match="no attribute 'policy'"):
    _ = ml.policy


def test_earlier_imports_work():
  """Names that scripts have used before."""
  from masklearn import meta, models, objective, policies

  assert objective.corrupt
  assert meta.make_meta_gradient
  assert models.make_model
  assert policies.POLICIES


@pytest.mark.parametrize('name', FUNCTIONS)
def test_a_public_function_has_an_example(name):
  """Which the next test runs; arguments are explained."""
  text = inspect.getdoc(getattr(ml, name))
  assert '>>> ' in text
  assert 'Args:' in text
  assert 'Raises:' in text


@pytest.mark.parametrize('name', MODULES)
def test_examples_in_docstrings_are_right(name, tmp_path, monkeypatch):
  """Every line that doctest finds."""
  monkeypatch.chdir(tmp_path)
  flags = doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS
  found = doctest.testmod(importlib.import_module(name), optionflags=flags)
  assert not found.failed


@pytest.mark.parametrize('room', ROOMS)
def test_everything_public_in_a_room_is_documented(room):
  """Functions, classes and their methods, wherever in the room they are defined."""
  found = getattr(ml, room)
  for name in [m for m in MODULES if f'{m}.'.startswith(f'{found.__name__}.')]:
    module = importlib.import_module(name)
    assert module.__doc__
    for key, value in vars(module).items():
      own = getattr(value, '__module__', None) == name
      if own and not key.startswith('_') and callable(value):
        assert inspect.getdoc(value), f'{name}.{key}'


def test_importing_costs_nothing():
  """No module of ours but the package itself, until it is used."""
  code = 'import masklearn, sys; print(*[m for m in sys.modules if "masklearn." in m])'
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
  )
  assert not found.stdout.strip()
