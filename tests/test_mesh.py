"""Several devices compute what one does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.training import mesh


@pytest.mark.parametrize(('episodes', 'used'), [(8, 8), (6, 6), (9, 3), (7, 7), (1, 1)])
def test_episodes_are_spread_over_as_many_devices_as_divide_them(episodes, used):
  """One device after the other, or all at once: the same numbers in the same order."""

  def probe(theta, state, episodes, keys, factor):
    def one(item):
      x, key = item
      noise = jax.random.normal(key, x.shape)
      return (x @ theta + noise[0]) * state * factor, noise

    return jax.lax.map(one, (episodes, keys))

  theta, state = jnp.array([1.0, -2.0, 3.0]), jnp.float32(2)
  x = jax.random.normal(jax.random.key(0), (episodes, 3))
  keys = jax.random.split(jax.random.key(1), episodes)
  expected = jax.jit(probe)(theta, state, x, keys, 0.5)
  _, run, place = mesh.spread(probe, episodes)
  if used > 1:
    assert len(place(state).sharding.device_set) == used
  found = run(theta, place(state), x, keys, 0.5)
  # Where the rest of a program is.
  assert found[0].sharding.device_set == theta.sharding.device_set
  for one, two in zip(found, expected, strict=True):
    np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=1e-6)
