"""Dropout and the bits that it drops by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from masklearn.models import layers

bits_of = jax.jit(layers.random_bits, static_argnums=1)


@pytest.mark.parametrize('impl', ['threefry2x32', 'rbg'])
def test_bits_are_uniform_and_those_of_neighbours_and_keys_independent(impl):
  """Chi-square tests: of each byte, and of the high bits of two elements together."""
  keys = jax.random.split(jax.random.key(0, impl=impl), 64)
  found = np.stack([bits_of(key, (3, 2000)) for key in keys]).reshape(64, -1)
  assert len(np.unique(found[0])) > 5_990
  pairs = {
    'neighbours': (found[:, 1:], found[:, :-1]),
    'rows': (found[:, 2000:], found[:, :-2000]),
    'keys': (found[1:], found[:-1]),
  }
  counts = {
    name: np.bincount(((a >> 28) * 16 + (b >> 28)).ravel(), minlength=256)
    for name, (a, b) in pairs.items()
  }
  for shift in (0, 8, 16, 24):
    counts[shift] = np.bincount(((found >> shift) & 255).ravel(), minlength=256)
  for name, count in counts.items():
    assert stats.chisquare(count).pvalue > 1e-4, name


def test_dropout_zeroes_its_rate_and_scales_up_the_rest():
  """And so does its gradient, in the same places; without a rate, nothing happens."""
  x = jnp.linspace(1.0, 2.0, 2 * 500 * 3).reshape(2, 500, 3)
  rngs = {'dropout': jax.random.key(1)}

  def drop(x, rate=0.2, train=True):
    return layers.Dropout(rate).apply({}, x, train, rngs=rngs)

  out, slope = jax.jit(lambda x: (drop(x), jax.grad(lambda x: drop(x).sum())(x)))(x)
  kept = np.asarray(out) != 0
  assert stats.binomtest(int((~kept).sum()), kept.size, 0.2).pvalue > 1e-4
  np.testing.assert_allclose(out, np.where(kept, x / 0.8, 0), rtol=1e-6)
  np.testing.assert_allclose(slope, np.where(kept, 1 / 0.8, 0), rtol=1e-6)
  np.testing.assert_array_equal(drop(x, train=False), x)
  np.testing.assert_array_equal(drop(x, rate=0.0), x)
