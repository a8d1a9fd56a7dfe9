"""What is T5's alone: its sizes, its distances, its settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import models
from masklearn.models import convert, t5
from masklearn.types import InputError, Specials
from tests.hf import compute_logits, jit, shallow

IDS = Specials(bos=None, pad=0, eos=1, mask=8, sentinels=(8, 7, 6))


def test_initial_parameters_have_the_deviations_of_the_reference():
  """Each matrix by its own width, queries by the root of that of a head as well."""
  model = models.make_model('t5', 'tiny', 300, IDS, encoder_layers=1, decoder_layers=1)
  params = models.init_params(model, jax.random.key(0))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
  assert params['lm_head']['embedding'].shape[0] == 384
  assert not params['lm_head']['embedding'][300:].any()
  layer = params['decoder']['layers_0']
  deviations = {
    1.0: params['shared']['embedding'][:300],
    64**-0.5: layer['encoder_attn']['k_proj']['kernel'],
    (64 * 16) ** -0.5: layer['encoder_attn']['q_proj']['kernel'],
    128**-0.5: layer['feed_forward']['wo']['kernel'],
  }
  for deviation, matrix in deviations.items():
    assert float(matrix.std()) == pytest.approx(deviation, rel=0.05)
  assert model.config.decoder_start == 0
  assert (layer['self_attn_layer_norm']['scale'] == 1).all()


def test_buckets_are_those_of_hugging_face():
  """Distances on a border included, for both stacks, where PyTorch is installed."""
  torch = pytest.importorskip('torch', reason='needs the extra `parity`')
  from transformers.models.t5 import modeling_t5

  reference = modeling_t5.T5Attention._relative_position_bucket
  cases = (32, 128), (8, 9), (12, 40), (64, 1000), (128, 256), (20, 33)
  for count, farthest in cases:
    distances = np.arange(2 * farthest)
    for both_ways in (True, False):
      theirs = reference(-torch.tensor(distances), both_ways, count, farthest)
      ours = t5.buckets(count // 2 if both_ways else count, farthest)
      np.testing.assert_array_equal(ours[np.minimum(distances, farthest)], theirs)


def test_every_layer_shares_the_bias_of_its_stack():
  """The table of distances acts in the second layer as in the first."""
  model, params, (source, valid, decoder_input, _) = shallow('t5', decoder_layers=2)
  first = params['decoder']['layers_0']
  tree = {**params['decoder'], 'layers_1': first}

  @jit
  def logits(table):
    decoder = {**tree, 'relative_attention_bias': {'of': {'embedding': table}}}
    everything = {**params, 'decoder': decoder}
    return compute_logits(model, everything, source, valid, decoder_input)

  table = params['decoder']['relative_attention_bias']['of']['embedding']
  before = logits(table)
  # One number for every distance changes no softmax; one distance alone does.
  np.testing.assert_allclose(logits(table + 1), before, rtol=0, atol=1e-5)
  assert jnp.abs(logits(table.at[1].add(1)) - before).max() > 1e-3


def test_a_bart_needs_its_own_special_tokens():
  """Those of T5 have nothing to begin with."""
  with pytest.raises(InputError, match="BART's special tokens"):
    models.make_model('bart', 'tiny', 9, IDS)


def test_one_deviation_serves_both_families():
  """`init_std` is that of a matrix of D inputs, for a T5 as for a BART."""
  own = models.model_config('t5', 'tiny', 10, IDS)
  same = models.model_config('t5', 'tiny', 10, IDS, init_std=own.width**-0.5)
  twice = models.model_config('t5', 'tiny', 10, IDS, init_std=2 * own.width**-0.5)
  assert (own.init_factor, same.init_factor, twice.init_factor) == (1, 1, 2)


def test_sides_that_differ_cannot_be_written_for_hugging_face():
  """Whose T5 has one number of heads, and one width of feed-forward layers."""
  config = models.model_config('t5', 'tiny', 10, IDS, decoder_ffn=96)
  with pytest.raises(InputError, match=r'one d_ff.*\(4, 128\) and \(4, 96\)'):
    convert.config_to_hf(config)
