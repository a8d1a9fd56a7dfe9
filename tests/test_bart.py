"""What is BART's alone: its sizes, its positions, its settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import models
from masklearn.types import InputError, Specials
from tests.hf import compute_logits, forward, jit, shallow


def test_positions_count_from_row_two():
  """Logits at t depend on the rows of positions up to t; row 2 is the first."""
  model, params, (source, valid, decoder_input, _) = shallow()

  @jit
  @jax.jacrev
  def influence(table):
    decoder = {**params['decoder'], 'embed_positions': {'embedding': table}}
    tree = {**params, 'decoder': decoder}
    logits = compute_logits(model, tree, source, valid, decoder_input)
    return logits.sum((0, 2))  # [T]

  seen = influence(params['decoder']['embed_positions']['embedding'])
  expected = np.zeros((5, 19), bool)  # [T, 2 + max_positions]
  expected[:, 2:7] = np.tri(5)
  np.testing.assert_array_equal(jnp.abs(seen).sum(-1) > 0, expected)


def test_initial_parameters_are_random_and_float32():
  """Matrices have the configured deviation, biases are zero, norms the identity."""
  ids = Specials(bos=5, pad=6, eos=7, mask=8)
  layers = {'encoder_layers': 1, 'decoder_layers': 1}
  model = models.make_model('bart', 'tiny', 300, ids, init_std=0.1, **layers)
  assert model.config.decoder_start == 7
  params = models.init_params(model, jax.random.key(0))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
  layer = params['encoder']['layers_0']
  assert float(layer['fc1']['kernel'].std()) == pytest.approx(0.1, rel=0.05)
  assert not layer['fc1']['bias'].any()
  assert (layer['final_layer_norm']['scale'] == 1).all()


def test_sequences_beyond_the_positions_are_refused():
  """Source, target and cache alike."""
  model, params, (source, valid, decoder_input, _) = shallow()
  long = jnp.ones((3, 18), jnp.int32)
  with pytest.raises(InputError, match=r'source has 18 tokens, but .* 17 positions'):
    forward(model, params, long, long > 0, decoder_input)
  with pytest.raises(InputError, match=r'target has 18 tokens, but .* 17 positions'):
    forward(model, params, source, valid, long)
