"""Greedy decoding against the model without a cache, and against Hugging Face's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from masklearn.models import generate
from masklearn.types import InputError
from tests.hf import forward, jit, ours, shallow

LENGTH = 5  # as in the stored batch, whose compiled forward pass is used again
greedy = jit(
  generate.greedy,
  static_argnames=('model', 'max_length', 'forced_bos', 'forced_eos'),
)


def greedy_without_cache(model, params, source, valid):
  """Tokens [B, LENGTH], from all logits again for every token."""
  config = model.config
  tokens = np.full((len(source), LENGTH + 1), config.pad, np.int32)
  tokens[:, 0] = config.decoder_start
  ended = np.zeros(len(source), bool)
  for t in range(LENGTH):
    logits = forward(model, params, source, valid, jnp.asarray(tokens[:, :LENGTH]))
    tokens[:, t + 1] = np.where(ended, config.pad, logits[:, t].argmax(-1))
    ended |= tokens[:, t + 1] == config.eos
  return tokens[:, 1:]


def test_greedy_takes_the_most_likely_token_until_the_end():
  """Rows end alone: after `</s>` comes padding while others go on."""
  model, params, (source, valid, _, _) = shallow()
  flat, unravel = ravel_pytree(params)
  # Larger than the stored parameters, with which every row is the same; found by trial.
  params = unravel(0.5 * jax.random.normal(jax.random.key(14), flat.shape))
  params['final_logits_bias'] += 2.0 * jax.nn.one_hot(model.config.eos, 41)
  expected = greedy_without_cache(model, params, source, valid)
  assert sorted((expected != model.config.pad).sum(-1)) == [1, 2, 5]
  tokens = greedy(model, params, source, valid, LENGTH)
  assert tokens.dtype == jnp.int32
  np.testing.assert_array_equal(tokens, expected)


def test_greedy_stops_when_every_row_has_ended():
  """A row that ends at once leaves nothing but padding."""
  model, params, (source, valid, _, _) = shallow()
  bias = params['final_logits_bias'].at[model.config.eos].set(1e9)
  params = {**params, 'final_logits_bias': bias}
  tokens = greedy(model, params, source, valid, LENGTH)
  np.testing.assert_array_equal(tokens, [[2, 1, 1, 1, 1]] * 3)


def test_greedy_refuses_more_tokens_than_positions():
  """The table of positions has an end."""
  model, params, (source, valid, _, _) = shallow()
  with pytest.raises(InputError, match=r'target has 18 tokens, but .* 17 positions'):
    greedy(model, params, source, valid, 18)


@pytest.mark.parametrize(
  ('family', 'seed', 'end', 'sizes', 'forced'),
  [
    ('bart', 1, 3, {'init_std': 0.5, 'scale_embedding': False}, {}),
    (
      'bart',
      4,
      5,
      {'init_std': 0.8, 'encoder_layers': 1, 'decoder_layers': 2},
      {'forced_bos': 0, 'forced_eos': 2},
    ),
    ('t5', 4, 2, {'num_layers': 1}, {}),
    (
      't5',
      2,
      4,
      {
        'feed_forward_proj': 'relu',
        'initializer_factor': 2.0,
        'tie_word_embeddings': True,
      },
      {},
    ),
  ],
)
def test_greedy_writes_what_hugging_face_writes(family, seed, end, sizes, forced):
  """Token for token, for sources of all lengths and outputs of many."""
  torch = pytest.importorskip('torch', reason='needs the extra `parity`')
  from tests.testdata import make_golden

  theirs = make_golden.random_model(family, seed, **sizes)
  make_golden.favour_end(theirs, end)
  lengths = [2 + row % 9 for row in range(36)]
  source, valid, _, _ = make_golden.random_batch(family, 3, 41, lengths, [1])

  model, params = ours(theirs)
  tokens = greedy(model, params, source, valid, 9, **forced)
  expected = theirs.generate(
    torch.tensor(source, dtype=torch.long),
    attention_mask=torch.tensor(valid, dtype=torch.long),
    num_beams=1,
    do_sample=False,
    max_new_tokens=9,
    **{f'{name}_token_id': token for name, token in forced.items()},
  )[:, 1:].numpy()
  width = expected.shape[1]  # theirs stops where its longest row does
  np.testing.assert_array_equal(tokens[:, :width], expected)
  assert (tokens[:, width:] == model.config.pad).all()
  assert len(np.unique(expected, axis=0)) > 20  # of 36
  assert len(np.unique((expected != model.config.pad).sum(-1))) > 5
