"""Losses in chunks are the losses of the whole, and so are their gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.models import convert
from masklearn.training import losses
from masklearn.types import Corrupted
from tests.hf import golden, jit, tensors_of

WEIGHT = np.array([0, 1, 1, 0, 0, 2, 0.5], np.float32)


@pytest.mark.parametrize('chunk', [1, 3, 4, 50])
@pytest.mark.parametrize('biased', [False, True])
def test_chunks_add_up_to_the_loss(chunk, biased):
  """Some tokens of weight 0, chunks that do and do not divide the others."""
  keys = jax.random.split(jax.random.key(0), 4)
  x = jax.random.normal(keys[0], (7, 5))
  table = jax.random.normal(keys[1], (11, 5))
  bias = jax.random.normal(keys[2], (11,)) if biased else None
  target = jax.random.randint(keys[3], (7,), 0, 11, jnp.int32)

  def whole(x, table):
    logits = x @ table.T + (bias[None] if biased else 0)
    nll = losses.negative_log_likelihood(logits[None], target[None])[0]
    return 3 * (nll * WEIGHT).sum()

  def chunked(x, table):
    return 3 * losses.cross_entropy(chunk, 11, x, table, bias, target, WEIGHT)

  expected, slopes = jax.value_and_grad(whole, argnums=(0, 1))(x, table)
  value, found = jax.jit(jax.value_and_grad(chunked, argnums=(0, 1)))(x, table)
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  np.testing.assert_allclose(chunked(x, table), expected, rtol=1e-6)
  for one, two in zip(found, slopes, strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_batch_without_targets_has_no_loss():
  """And a gradient of zeros, not of NaN."""
  x, table = jnp.ones((3, 2)), jnp.ones((4, 2))
  nothing, target = jnp.zeros(3), jnp.zeros(3, jnp.int32)
  value, slope = jax.value_and_grad(losses.cross_entropy, argnums=2)(
    2, 4, x, table, None, target, nothing
  )
  assert value == 0
  np.testing.assert_array_equal(slope, jnp.zeros_like(x))


@pytest.mark.parametrize('family', ['bart', 't5'])
def test_chunked_loss_of_a_model_is_that_of_the_stored_one(family):
  """Loss and gradients as Hugging Face has computed them, and the count of tokens."""
  model, params, (source, valid, decoder_input, target), file = golden(family)
  weight = (target != model.config.pad).astype(jnp.float32)
  batch = Corrupted(source, valid, decoder_input, target, weight)
  loss = losses.make_token_loss(model, train=False, chunk=4)
  (value, aux), gradients = jit(jax.value_and_grad(loss, has_aux=True))(
    params, None, batch
  )
  assert aux['tokens'] == weight.sum()
  np.testing.assert_allclose(value, file['loss'], rtol=0, atol=1e-5)
  theirs = convert.from_hf(tensors_of(file, 'gradient '), model.config)
  chex.assert_trees_all_close(gradients, theirs, rtol=1e-3, atol=1e-5)
