"""The order of the modules, and what only some of them may touch."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Data flows down this list; a module imports only from modules above its own.
ORDER = [
  'types',
  'files',
  'memory',
  'provenance',
  'rouge',
  'metrics',
  'intervals',
  'text',
  'annotators',
  'tasks',
  'overlap',
  'scoring',
  'corpus',
  'collocations',
  'stream',
  'data',
  'encoded',
  'answers',
  'models',
  'policies',
  'objective',
  'infill',
  'packing',
  'losses',
  'steps',
  'inner',
  'unroll',
  'relaxations',
  'outer',
  'meta',
  'score',
  'estimators',
  'episodes',
  'sharding',
  'ascent',
  'checkpoint',
  'pretrained',
  'stored',
  'progress',
  'train',
  'evaluate',
  'recall',
  'masker',
  'masking',
  'ground',
  'stages',
  'supervise',
  'contest',
  'warmup',
  'learn',
  'plan',
  'settings',
  'records',
  'study',
  'report',
]
OURS = ('masklearn', 'benchmarks', 'experiments', 'configs', 'tests')
LONGEST = 400  # lines; a longer file holds two nouns

# Name -> the one module that may import or mention it.
ONLY = {
  'orbax': 'checkpoint',
  'jax.device_count': 'sharding',
  'jax.devices': 'sharding',
  'jax.experimental.mesh_utils': 'sharding',
  'jax.experimental.shard_map': 'sharding',
  'jax.local_device_count': 'sharding',
  'jax.local_devices': 'sharding',
  'jax.make_mesh': 'sharding',
  'jax.shard_map': 'sharding',
  'jax.sharding': 'sharding',
}
# Module -> what it must not touch; these also serve machines without an accelerator.
NEVER = dict.fromkeys(
  ('text', 'annotators', 'tasks', 'corpus'), ('jax', 'flax', 'optax')
)
NOWHERE = ('torch', 'experiments', 'configs')
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
      if folder == 'masklearn':
        yield from _out_of_place(place, names)


def _out_of_place(place, names):
  """Yields what a file of the package imports or names without a right to it."""
  own = place.parts[1].removesuffix('.py')
  if own != '__init__' and own not in ORDER:
    yield f'{place}:1: the module has no place in the order of {__name__}'
    return
  above = ORDER[: ORDER.index(own)] if own in ORDER else []
  for line, name in names:
    part = name.split('.')[1] if name.startswith('masklearn.') else own
    if part in ORDER and part != own and part not in above:
      yield f'{place}:{line}: {own} stands above {part} and must not import it'
    for reserved, owner in ONLY.items():
      if _within(name, [reserved]) and own != owner:
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


def test_the_tree_keeps_the_rules():
  """Every file has its place and imports only from above."""
  broken = list(violations(ROOT))
  assert not broken, '\n'.join(broken)


@pytest.mark.parametrize(
  ('file', 'source', 'expected'),
  [
    ('masklearn/steps.py', 'from masklearn import losses, meta', ':1: steps stands'),
    (
      'masklearn/steps.py',
      '\nimport masklearn.meta as m',
      ':2: steps stands above meta',
    ),
    (
      'masklearn/steps.py',
      'from masklearn.meta import unroll',
      'steps stands above meta',
    ),
    ('masklearn/steps.py', 'from . import meta', 'steps stands above meta'),
    ('masklearn/steps.py', 'from .meta import unroll', 'steps stands above meta'),
    ('masklearn/models/bart.py', 'from .. import steps', 'models stands above steps'),
    ('masklearn/models/bart.py', 'from ..steps import f', 'models stands above steps'),
    (
      'masklearn/steps.py',
      'def f():\n  from masklearn import meta',
      ':2: steps stands',
    ),
    ('masklearn/__init__.py', 'from masklearn import types', '__init__ stands above'),
    ('masklearn/utils.py', 'x = 1', 'no place in the order'),
    ('masklearn/extra/things.py', 'x = 1', 'no place in the order'),
    ('masklearn/train.py', 'import orbax.checkpoint', 'only checkpoint may use orbax'),
    (
      'masklearn/train.py',
      'import jax\nn = jax.devices()',
      ':2: only sharding may use jax.devices',
    ),
    (
      'masklearn/train.py',
      'from jax import sharding',
      'only sharding may use jax.shard',
    ),
    (
      'masklearn/train.py',
      'from jax.sharding import Mesh',
      'only sharding may use jax',
    ),
    ('masklearn/text.py', 'import jax.numpy as jnp', 'text must not use jax.numpy'),
    (
      'masklearn/tasks/kilt.py',
      'from jax import numpy',
      'tasks must not use jax.numpy',
    ),
    ('masklearn/models/bart.py', 'import torch', 'the package must not use torch'),
    (
      'masklearn/study.py',
      'from experiments import app',
      'the package must not use experiments',
    ),
    ('experiments/study.py', 'import pickle', 'pickle can run what a file says'),
    ('experiments/study.py', 'f(p, allow_pickle=True)', 'allow_pickle is never set'),
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
    ('masklearn/steps.py', 'import jax\nfrom masklearn import losses\nx = losses.meta'),
    (
      'masklearn/models/bart.py',
      'from . import layers\nfrom masklearn.models import t5',
    ),
    (
      'masklearn/models/__init__.py',
      'from .bart import Bart\nfrom ..types import Span',
    ),
    ('masklearn/checkpoint.py', 'from orbax.checkpoint.experimental import v1'),
    (
      'masklearn/sharding.py',
      'import jax\nmesh = jax.sharding.Mesh(jax.devices(), ())',
    ),
    ('masklearn/text.py', 'from masklearn.types import Span'),
    ('experiments/study.py', 'from masklearn import study, types\nfrom . import app'),
  ],
)
def test_what_is_allowed_passes(tmp_path, file, source):
  """Rules do not catch their own exceptions."""
  path = tmp_path / file
  path.parent.mkdir(parents=True)
  path.write_text(source + '\n')
  assert not list(violations(tmp_path))
