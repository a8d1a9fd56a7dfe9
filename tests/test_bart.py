"""What is BART's alone: its sizes, its positions, its settings."""

import functools

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


@pytest.mark.parametrize(
  ('size', 'vocab_size', 'count'),
  [('small', 8192, 8.1e6), ('base', 50265, 139420416), ('large', 50265, 406291456)],
)
def test_sizes_have_the_published_number_of_parameters(size, vocab_size, count):
  """`base` and `large` are Facebook's, but for the output bias that is no parameter."""
  model = models.make_model('bart', size, vocab_size, Specials(0, 1, 2, 3))
  tree = jax.eval_shape(functools.partial(models.init_params, model), jax.random.key(0))
  tree.pop('final_logits_bias')
  total = sum(leaf.size for leaf in jax.tree.leaves(tree))
  total -= -vocab_size % 128 * model.config.width  # rows of no token
  assert total == pytest.approx(count, rel=0 if size != 'small' else 0.01)


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


def test_wrong_settings_are_refused_with_the_nearest_right_one():
  """Every message names the rule and what was given."""
  ids = Specials(0, 1, 2, 3)
  with pytest.raises(InputError, match="'brat'; did you mean 'bart'"):
    models.make_model('brat', 'tiny', 9, ids)
  with pytest.raises(InputError, match="'bass'; did you mean 'base'"):
    models.bart_config('bass', 9, ids)
  with pytest.raises(InputError, match='multiple of decoder_heads, got 64 and 3'):
    models.bart_config('tiny', 9, ids, decoder_heads=3)
  with pytest.raises(InputError, match=r'mask must be .* \(below 3\), got 3'):
    models.bart_config('tiny', 3, ids)
  with pytest.raises(InputError, match=r'activation_dropout .* \[0, 1\), got 1'):
    models.bart_config('tiny', 9, ids, activation_dropout=1)
  with pytest.raises(InputError, match="'bf16'; did you mean 'bfloat16'"):
    models.bart_config('tiny', 9, ids, dtype='bf16')


def test_sequences_beyond_the_positions_are_refused():
  """Source, target and cache alike."""
  model, params, (source, valid, decoder_input, _) = shallow()
  long = jnp.ones((3, 18), jnp.int32)
  with pytest.raises(InputError, match=r'source has 18 tokens, but .* 17 positions'):
    forward(model, params, long, long > 0, decoder_input)
  with pytest.raises(InputError, match=r'target has 18 tokens, but .* 17 positions'):
    forward(model, params, source, valid, long)
