"""The order of the rooms, and what only some of them may touch."""

import ast
import collections
import graphlib
import pathlib
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
ONLY = {
  'orbax': 'io/checkpoint',
  'jax.device_count': 'training/mesh',
  'jax.devices': 'training/mesh',
  'jax.experimental.mesh_utils': 'training/mesh',
  'jax.experimental.shard_map': 'training/mesh',
  'jax.local_device_count': 'training/mesh',
  'jax.local_devices': 'training/mesh',
  'jax.make_mesh': 'training/mesh',
  'jax.shard_map': 'training/mesh',
  'jax.sharding': 'training/mesh',
}
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
      yield (
        f'{place}:{node.lineno}: {node.name} has {count} parameters, at most '
        f'{PARAMETERS}'
      )


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
  found = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute):
      parts, base = [node.attr], node.value
      while isinstance(base, ast.Attribute):
        parts, base = [base.attr, *parts], base.value
      if isinstance(base, ast.Name):
        found.add((node.lineno, '.'.join([base.id, *parts])))
  return found


def imports(root=ROOT):
  """The rooms that each room imports from, and how often: {(room, other): count}."""
  found = collections.Counter()
  for path in (root / 'masklearn').rglob('*.py'):
    place = path.relative_to(root)
    own = place.parts[1].removesuffix('.py')
    for _, name in _imports(ast.parse(path.read_text(encoding='utf-8')), place):
      other = name.split('.')[1] if name.startswith('masklearn.') else own
      if own in ROOMS and other in ROOMS and other != own:
        found[own, other] += 1
  return found


def circles(root=ROOT):
  """Files of a room that import each other, by way of others or at once."""
  wanted = {}
  for path in (root / 'masklearn').rglob('*.py'):
    place = path.relative_to(root)
    name = '.'.join(place.with_suffix('').parts).removesuffix('.__init__')
    wanted[name] = {n for _, n in _imports(ast.parse(path.read_text('utf-8')), place)}
  edges = {
    name: {
      m for m in wanted if m != name and (m in names or _from_inside(m, names, wanted))
    }
    for name, names in wanted.items()
  }
  try:
    list(graphlib.TopologicalSorter(edges).static_order())
  except graphlib.CycleError as error:
    return error.args[1]
  return []


def _from_inside(module, names, wanted):
  """Whether one of the names is something that the module itself defines."""
  return any(n.rpartition('.')[0] == module and n not in wanted for n in names)


def test_rooms_import_in_one_direction():
  """Nothing imports upwards, and no file by way of others itself."""
  order = list(ROOMS)
  upward = [pair for pair in imports() if order.index(pair[1]) > order.index(pair[0])]
  assert not upward
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
    (
      'masklearn/data/a.py',
      'from masklearn import io, meta',
      ':1: data must not import',
    ),
    ('masklearn/data/a.py', '\nimport masklearn.meta as m', ':2: data must not import'),
    (
      'masklearn/data/a.py',
      'from masklearn.meta import unroll',
      'data must not import',
    ),
    ('masklearn/data/a.py', 'from .. import meta', 'data must not import from meta'),
    ('masklearn/data/a.py', 'from ..meta import unroll', 'must not import from meta'),
    ('masklearn/types.py', 'from . import meta', 'types must not import from meta'),
    (
      'masklearn/data/a.py',
      'def f():\n  from masklearn import meta',
      ':2: data must not import from meta',
    ),
    ('masklearn/__init__.py', 'from masklearn import types', 'must not import'),
    ('masklearn/utils.py', 'x = 1', 'utils is no room'),
    ('masklearn/extra/things.py', 'x = 1', 'extra is no room'),
    (
      'masklearn/training/loop.py',
      'import orbax.checkpoint',
      'only io/checkpoint may use orbax',
    ),
    (
      'masklearn/training/loop.py',
      'import jax\nn = jax.devices()',
      ':2: only training/mesh may use jax.devices',
    ),
    (
      'masklearn/training/loop.py',
      'from jax import sharding',
      'only training/mesh may use jax.shard',
    ),
    (
      'masklearn/training/loop.py',
      'from jax.sharding import Mesh',
      'only training/mesh may use jax',
    ),
    ('masklearn/text/a.py', 'import jax.numpy as jnp', 'text must not use jax.numpy'),
    ('masklearn/tasks/kilt.py', 'from jax import numpy', 'must not use jax.numpy'),
    ('masklearn/models/bart.py', 'import torch', 'the package must not use torch'),
    (
      'masklearn/study/run.py',
      'from experiments import app',
      'the package must not use experiments',
    ),
    ('experiments/study.py', 'import pickle', 'pickle can run what a file says'),
    ('experiments/study.py', 'f(p, allow_pickle=True)', 'allow_pickle is never set'),
    ('tests/test_long.py', 'def f():\n' + '  x = 1\n' * 80, 'f has 81 lines'),
    (
      'tests/test_wide.py',
      'def f(a, b, c, d, e, f, g, h, i, j, k): pass',
      'f has 11 parameters, at most 10',
    ),
    ('tests/test_long.py', 'x = 1\n' * 401, ':401: a file has at most 400 lines'),
  ],
)
def test_each_rule_can_be_broken(tmp_path, file, source, expected):
  """The checker finds the one thing that is wrong, and says where."""
  path = tmp_path / file
  path.parent.mkdir(parents=True)
  path.write_text(source + '\n')
  (found,) = violations(tmp_path)
  assert found.startswith(f'{file}:')
  assert expected in found


@pytest.mark.parametrize(
  ('file', 'source'),
  [
    (
      'masklearn/meta/a.py',
      'import jax\nfrom masklearn.training import losses\nx = losses.study',
    ),
    (
      'masklearn/models/bart.py',
      'from . import layers\nfrom masklearn.models import t5',
    ),
    (
      'masklearn/models/__init__.py',
      'from .bart import Bart\nfrom ..types import Span',
    ),
    ('masklearn/io/checkpoint.py', 'from orbax.checkpoint.experimental import v1'),
    (
      'masklearn/training/mesh.py',
      'import jax\nmesh = jax.sharding.Mesh(jax.devices(), ())',
    ),
    ('masklearn/text/words.py', 'from masklearn.types import Span'),
    ('experiments/study.py', 'from masklearn import study, types\nfrom . import app'),
  ],
)
def test_what_is_allowed_passes(tmp_path, file, source):
  """Rules do not catch their own exceptions."""
  path = tmp_path / file
  path.parent.mkdir(parents=True)
  path.write_text(source + '\n')
  assert not list(violations(tmp_path))


def figures(root=ROOT):
  """What a folder listing and the imports say of a tree, in one line."""
  entries = [p for p in (root / 'masklearn').iterdir() if p.name != '__pycache__']
  between, order = imports(root), list(ROOMS)
  upward = [pair for pair in between if order.index(pair[1]) > order.index(pair[0])]
  return (
    f'{len(entries)} entries, {len(ROOMS) - 1} rooms, {between.total()} imports '
    f'between {len(between)} pairs of rooms, {len(upward)} upwards, '
    f'{int(bool(circles(root)))} circles'
  )


if __name__ == '__main__':  # python -m tests.test_imports
  print(figures())
