"""Several devices compute what one does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.io import checkpoint
from masklearn.training import mesh
from masklearn.types import InputError
from tests import shardings
from tests.small import slow_case

MESHES = [slow_case(8, 1), (2, 4), slow_case(1, 8)]


@pytest.mark.parametrize(('data', 'fsdp'), MESHES)
def test_episodes_are_split_over_data(data, fsdp):
  """One device after the other, or all at once: the same numbers in the same order."""

  def probe(theta, state, episodes, keys, factor):
    def one(item):
      x, key = item
      noise = jax.random.normal(key, x.shape)
      return (x @ theta['fc1']['kernel'] + noise[0]) * state * factor, noise

    return jax.lax.map(one, (episodes, keys))

  theta, state = {'fc1': {'kernel': jnp.arange(8.0)}}, jnp.float32(2)
  x = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
  keys = jax.random.split(jax.random.key(1), 8)
  expected = jax.jit(probe)(theta, state, x, keys, 0.5)
  layout = mesh.make_layout(data, fsdp)
  placed, (x, keys) = layout.place(theta), layout.split((x, keys), layout.episodes)
  assert len(x.addressable_shards[0].data) == 8 // data
  assert len(placed['fc1']['kernel'].addressable_shards[0].data) == 8 // fsdp
  found = jax.jit(layout.spread(probe))(placed, state, x, keys, 0.5)
  for one, two in zip(found, expected, strict=True):
    np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=1e-6)


def test_rows_are_read_by_those_who_have_them():
  """In one piece, and in the order of the batch."""
  layout, asked = mesh.make_layout(4, 2), []

  def read(rows):
    asked.append(rows)
    return {'x': np.arange(16.0).reshape(8, 2)[rows]}

  batch = layout.batch(read, 8)
  assert asked == [slice(0, 8)]
  np.testing.assert_array_equal(batch['x'], read(slice(0, 8))['x'])
  assert batch['x'].sharding == layout.rows
  assert layout.multiple(9) == 16


def test_a_mesh_of_more_devices_than_there_are_is_refused():
  """With the number that there is."""
  with pytest.raises(InputError, match='needs 16, and there are 8'):
    mesh.make_layout(4, 4)


def test_what_is_brought_to_the_host_comes_back():
  """Where it was, and the same."""
  layout = mesh.make_layout(2, 4)
  tree = layout.place({'fc1': {'kernel': jnp.arange(32.0).reshape(8, 4)}})
  there = layout.to_host(tree)
  assert there['fc1']['kernel'].sharding.memory_kind == mesh.HOST
  back = layout.place(there)
  assert back['fc1']['kernel'].sharding == tree['fc1']['kernel'].sharding
  np.testing.assert_array_equal(back['fc1']['kernel'], tree['fc1']['kernel'])


@pytest.mark.parametrize('name', shardings.MODELS)
def test_large_models_are_split_by_their_rules(name):
  """As the file says that was looked at; `python -m tests.shardings` writes it."""
  written = (shardings.GOLDEN / f'shardings_{name}.txt').read_text()
  assert shardings.table(*shardings.MODELS[name]) == written


def test_a_checkpoint_is_read_on_other_meshes(tmp_path):
  """Saved by eight devices, then by four, then read by one: bit for bit the same."""
  rng = np.random.default_rng(0)
  sizes = {
    'fc1': {'kernel': (8, 6)},
    'fc2': {'kernel': (6, 8)},
    'norm': {'scale': (5,)},
  }
  first = jax.tree.map(
    lambda shape: rng.normal(size=shape).astype(np.float32),
    sizes,
    is_leaf=lambda x: isinstance(x, tuple),
  )
  tree = first
  for data, fsdp in ((1, 8), (2, 2), (1, 1)):
    layout = mesh.make_layout(data, fsdp)
    placed = layout.place(tree)
    assert len(placed['fc1']['kernel'].sharding.device_set) == data * fsdp
    checkpoint.save(tmp_path / f'{data}x{fsdp}', placed)
    tree = checkpoint.restore(tmp_path / f'{data}x{fsdp}', layout.shapes(first))
    jax.tree.map(np.testing.assert_array_equal, tree, first)
    smaller = mesh.make_layout(1, max(1, fsdp // 4))
    other = checkpoint.restore(tmp_path / f'{data}x{fsdp}', smaller.shapes(first))
    jax.tree.map(np.testing.assert_array_equal, other, first)
