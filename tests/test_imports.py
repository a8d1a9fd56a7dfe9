"""The order of the rooms, and what only some of them may touch."""

import ast
import collections
import graphlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Data flows down this table: room -> the rooms that it may import from.
ROOMS = {
  'types': '',
  'io': 'types',
  'text': 'types io',
  'tasks': 'types io text',
  'data': 'types io text tasks',
  'models': 'types io text',
  'policies': 'types io text data models',
  'training': 'types io data models',
  'meta': 'types io text data policies training',
  'evaluation': 'types io text tasks data models training',
  'masking': 'types io text data policies training',
  'study': 'types io text tasks data models policies training meta evaluation',
  'report': 'types io evaluation',
}
OURS = ('masklearn', 'benchmarks', 'experiments', 'configs', 'tests')
LONGEST = 400  # lines; a longer file holds two nouns
LINES, PARAMETERS = 80, 10  # of a function
# file: function -> why it is longer, or takes more.
EXCEPTIONS = {
  'experiments/mask.py: main': 'its parameters are the flags of the command'
}

# Name -> the one file that may import or mention it.
DEVICES = (
  'device_count', 'devices', 'experimental.mesh_utils', 'experimental.shard_map',
  'local_device_count', 'local_devices', 'make_mesh', 'shard_map', 'sharding',
)  # fmt: skip
ONLY = {f'jax.{name}': 'training/mesh' for name in DEVICES} | {'orbax': 'io/checkpoint'}
# Module -> what it must not touch; these also serve machines without an accelerator.
NEVER = dict.fromkeys(('text', 'tasks'), ('jax', 'flax', 'optax'))
NOWHERE = ('torch', 'experiments', 'configs')
SLOW = ('jax', 'flax', 'transformers', 'scipy', 'datasets', 'matplotlib')
UNSAFE = ('cloudpickle', 'dill', 'joblib', 'marshal', 'pickle', 'shelve')


def violations(root):
  """Yields `file:line: rule` for every break of the rules in a tree like this one."""
  for folder in OURS:
    for path in sorted((root / folder).rglob('*.py')):
      place = path.relative_to(root)
      source = path.read_text(encoding='utf-8')
      tree = ast.parse(source, str(path))
      if source.count('\n') > LONGEST:
        yield f'{place}:{LONGEST + 1}: a file has at most {LONGEST} lines'
      names = sorted(_imports(tree, place) | _attributes(tree))
      for line, name in names:
        if _within(name, UNSAFE):
          yield f'{place}:{line}: {name} can run what a file says; use another format'
      for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
          yield f'{place}:{node.value.lineno}: allow_pickle is never set'
      yield from _too_large(place, tree)
      if folder == 'masklearn':
        yield from _out_of_place(place, names)


def _too_large(place, tree):
  """Yields functions that are too long or take too much."""
  for node in ast.walk(tree):
    if not isinstance(node, ast.FunctionDef):
      continue
    lines = node.end_lineno - node.lineno + 1
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    count = sum(argument.arg not in ('self', 'cls') for argument in arguments)
    if f'{place}: {node.name}' in EXCEPTIONS:
      continue
    if lines > LINES:
      yield f'{place}:{node.lineno}: {node.name} has {lines} lines, at most {LINES}'
    if count > PARAMETERS:
      own = f'{node.name} has {count} parameters'
      yield f'{place}:{node.lineno}: {own}, at most {PARAMETERS}'


def _out_of_place(place, names):
  """Yields what a file of the package imports or names without a right to it."""
  own = place.parts[1].removesuffix('.py')
  file = '/'.join(place.parts[1:]).removesuffix('.py')
  if own != '__init__' and own not in ROOMS:
    yield f'{place}:1: {own} is no room of {__name__}'
    return
  allowed = [own, *ROOMS[own].split()] if own in ROOMS else []
  for line, name in names:
    part = name.split('.')[1] if name.startswith('masklearn.') else own
    if part in ROOMS and part not in allowed:
      yield f'{place}:{line}: {own} must not import from {part}'
    for reserved, owner in ONLY.items():
      if _within(name, [reserved]) and file != owner:
        yield f'{place}:{line}: only {owner} may use {reserved}'
    if _within(name, NEVER.get(own, ())):
      yield f'{place}:{line}: {own} must not use {name}'
    if _within(name, NOWHERE):
      yield f'{place}:{line}: the package must not use {name}'


def _within(name, modules):
  return any(name == module or name.startswith(module + '.') for module in modules)


def _imports(tree, place):
  """Returns (line, full name) of everything that a file imports."""
  found = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      found |= {(node.lineno, alias.name) for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      # One dot is the file's own package, which for __init__.py is its folder too.
      package = place.parts[: len(place.parts) - node.level] if node.level else ()
      base = '.'.join([*package, *filter(None, [node.module])])
      found |= {(node.lineno, f'{base}.{alias.name}') for alias in node.names}
  return found


def _attributes(tree):
  """Returns (line, dotted name) of every `a.b.c` in a file."""
  nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
  names = {(node.lineno, ast.unparse(node)) for node in nodes}
  return {(line, name) for line, name in names if re.fullmatch(r'[\w.]+', name)}


def wanted(root):
  """The names that each file of the package imports, by place; once for each line."""
  found = {}
  for path in (root / 'masklearn').rglob('*.py'):
    place = path.relative_to(root)
    lines = _imports(ast.parse(path.read_text(encoding='utf-8')), place)
    found[place] = [name for _, name in lines]
  return found


def imports(root=ROOT):
  """The rooms that each room imports from, and how often: {(room, other): count}."""
  found = collections.Counter()
  for place, names in wanted(root).items():
    own = place.parts[1].removesuffix('.py')
    for name in names:
      other = name.split('.')[1] if name.startswith('masklearn.') else own
      if own in ROOMS and other in ROOMS and other != own:
        found[own, other] += 1
  return found


def circles(root=ROOT):
  """Files of a room that import each other, by way of others or at once."""
  files = {
    '.'.join(place.with_suffix('').parts).removesuffix('.__init__'): set(names)
    for place, names in wanted(root).items()
  }
  edges = {
    name: {
      m for m in files if m != name and (m in names or _from_inside(m, names, files))
    }
    for name, names in files.items()
  }
  try:
    list(graphlib.TopologicalSorter(edges).static_order())
  except graphlib.CycleError as error:
    return error.args[1]
  return []


def _from_inside(module, names, files):
  """Whether one of the names is something that the module itself defines."""
  return any(n.rpartition('.')[0] == module and n not in files for n in names)


def upward(pairs):
  """Those pairs of rooms of which the first imports from one below it."""
  order = list(ROOMS)
  return [
    (room, other) for room, other in pairs if order.index(other) > order.index(room)
  ]


def test_rooms_import_in_one_direction():
  """Nothing imports upwards, and no file by way of others itself."""
  assert not upward(imports())
  assert not circles()


@pytest.mark.parametrize('module', ['masklearn', 'masklearn.tasks', 'masklearn.text'])
def test_what_needs_no_accelerator_does_not_wait_for_one(module):
  """Importing it loads none of the libraries that take seconds to load."""
  code = f'import {module}, sys; print(*[m for m in {SLOW!r} if m in sys.modules])'
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT
  )
  assert not found.stdout.strip()


def test_the_tree_keeps_the_rules():
  """Every file has its place and imports only from above."""
  broken = list(violations(ROOT))
  assert not broken, '\n'.join(broken)


@pytest.mark.parametrize(
  ('file', 'source', 'expected'),
  [
    ('data/a', 'from masklearn import io, meta', ':1: data must not import'),
    ('data/a', '\nimport masklearn.meta as m', ':2: data must not import'),
    ('data/a', 'from masklearn.meta import unroll', 'data must not import'),
    ('data/a', 'from .. import meta', 'data must not import from meta'),
    ('data/a', 'from ..meta import unroll', 'must not import from meta'),
    ('types', 'from . import meta', 'types must not import from meta'),
    ('data/a', 'def f():\n  from masklearn import meta', ':2: data must not import'),
    ('__init__', 'from masklearn import types', 'must not import'),
    ('utils', 'x = 1', 'utils is no room'),
    ('extra/things', 'x = 1', 'extra is no room'),
    ('training/loop', 'import orbax.checkpoint', 'only io/checkpoint may use orbax'),
    ('training/loop', 'import jax\nn = jax.devices()', ':2: only training/mesh may'),
    ('training/loop', 'from jax import sharding', 'only training/mesh may use jax.sh'),
    ('training/loop', 'from jax.sharding import Mesh', 'only training/mesh may use'),
    ('text/a', 'import jax.numpy as jnp', 'text must not use jax.numpy'),
    ('tasks/kilt', 'from jax import numpy', 'must not use jax.numpy'),
    ('models/bart', 'import torch', 'the package must not use torch'),
    ('study/run', 'from experiments import app', 'package must not use experiments'),
    ('../experiments/study', 'import pickle', 'pickle can run what a file says'),
    ('../experiments/study', 'f(p, allow_pickle=True)', 'allow_pickle is never set'),
    ('../tests/test_long', 'def f():\n' + '  x = 1\n' * 80, 'f has 81 lines'),
    ('../tests/test_wide', 'def f(a, b, c, d, e, f, g, h, i, j, k): pass',
     'f has 11 parameters, at most 10'),
    ('../tests/test_long', 'x = 1\n' * 401, ':401: a file has at most 400 lines'),
  ],
)  # fmt: skip
def test_each_rule_can_be_broken(tmp_path, file, source, expected):
  """The checker finds the one thing that is wrong, and says where."""
  place = write(tmp_path, file, source)
  (found,) = violations(tmp_path)
  assert found.startswith(f'{place}:')
  assert expected in found


@pytest.mark.parametrize(
  ('file', 'source'),
  [
    ('meta/a', 'import jax\nfrom masklearn.training import losses\nx = losses.study'),
    ('models/bart', 'from . import layers\nfrom masklearn.models import t5'),
    ('models/__init__', 'from .bart import Bart\nfrom ..types import Span'),
    ('io/checkpoint', 'from orbax.checkpoint.experimental import v1'),
    ('training/mesh', 'import jax\nmesh = jax.sharding.Mesh(jax.devices(), ())'),
    ('text/words', 'from masklearn.types import Span'),
    ('../experiments/study', 'from masklearn import study\nfrom . import app'),
  ],
)
def test_what_is_allowed_passes(tmp_path, file, source):
  """Rules do not catch their own exceptions."""
  write(tmp_path, file, source)
  assert not list(violations(tmp_path))


def write(root, file, source):
  """Writes a file of a tree, named as seen from the package; its place in the tree."""
  place = os.path.normpath(f'masklearn/{file}.py')
  (root / place).parent.mkdir(parents=True)
  (root / place).write_text(source + '\n')
  return place


def figures(root=ROOT):
  """What a folder listing and the imports say of a tree, in one line."""
  entries = [p for p in (root / 'masklearn').iterdir() if p.name != '__pycache__']
  between = imports(root)
  return (
    f'{len(entries)} entries, {len(ROOMS) - 1} rooms, {between.total()} imports '
    f'between {len(between)} pairs of rooms, {len(upward(between))} upwards, '
    f'{int(bool(circles(root)))} circles'
  )


if __name__ == '__main__':  # python -m tests.test_imports
  print(figures())
