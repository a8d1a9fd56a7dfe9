"""Greedy decoding against the model without a cache, and against Hugging Face's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from masklearn.models import generate
from masklearn.types import InputError
from tests.hf import forward, jit, ours, shallow
from tests.small import slow_case

LENGTH = 5  # as in the stored batch, whose compiled forward pass is used again
greedy = jit(generate.greedy, static_argnames=('model', 'max_length', 'rules'))
beam = jit(
  generate.beam,
  static_argnames=(
    'model', 'max_length', 'beams', 'best', 'length_penalty', 'early_stopping', 'rules',
  ),
)  # fmt: skip


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


@pytest.mark.parametrize('width', [3, 16, 35])
def test_top_k_takes_the_first_of_equals(width):
  """Rows full of equals, of -inf and with a last block that is not full."""
  x = jax.random.randint(jax.random.key(0), (7, width), 0, 4).astype(jnp.float32)
  x = jnp.where(x == 0, -jnp.inf, x)
  x = x.at[0].set(-jnp.inf).at[1].set(2.0)
  values, index = jax.lax.top_k(x, 3)
  found, where = generate.top_k(x, 3, block=4)
  np.testing.assert_array_equal(found, values)
  np.testing.assert_array_equal(where, index)


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


def generate_theirs(theirs, source, valid, rules, max_new_tokens=9, **search):
  """What Hugging Face's `generate` gives; its `min_length` counts the first token."""
  import torch

  return theirs.generate(
    torch.tensor(source, dtype=torch.long),
    attention_mask=torch.tensor(valid, dtype=torch.long),
    min_length=rules.min_length + 1,
    no_repeat_ngram_size=rules.no_repeat_ngram,
    forced_bos_token_id=rules.forced_bos,
    forced_eos_token_id=rules.forced_eos,
    do_sample=False,
    max_new_tokens=max_new_tokens,
    **search,
  )


def assert_same_tokens(tokens, expected, pad):
  """Theirs are as wide as their longest row; behind it ours have padding."""
  width = expected.shape[1]
  np.testing.assert_array_equal(tokens[:, :width], expected)
  assert (tokens[:, width:] == pad).all()
  assert len(np.unique(expected, axis=0)) > 20  # of 36


def random_sources(family, seed, end, sizes):
  """A model of Hugging Face's, sources [36, S] of many lengths, and their mask."""
  from tests.testdata import make_golden

  theirs = make_golden.random_model(family, seed, **sizes)
  make_golden.favour_end(theirs, end)
  lengths = [2 + row % 9 for row in range(36)]
  return theirs, *make_golden.random_batch(family, 3, 41, lengths, [1])[:2]


# Found by trial: their outputs are many, and of many lengths.
BART = {'init_std': 0.5, 'scale_embedding': False}
DEEP = {'init_std': 0.8, 'encoder_layers': 1, 'decoder_layers': 2}
T5 = {'num_layers': 1}
FIRST = {
  'feed_forward_proj': 'relu',
  'tie_word_embeddings': True,
  'initializer_factor': 2.0,
}


@pytest.mark.parametrize(
  ('family', 'seed', 'end', 'sizes', 'rules'),
  [
    ('bart', 1, 3, BART, generate.Rules()),
    slow_case('bart', 4, 5, DEEP, generate.Rules(forced_bos=0, forced_eos=2)),
    slow_case('t5', 4, 2, T5, generate.Rules()),
    ('t5', 2, 4, FIRST, generate.Rules(min_length=3, no_repeat_ngram=2)),
  ],
)
def test_greedy_writes_what_hugging_face_writes(family, seed, end, sizes, rules):
  """Token for token, for sources of all lengths and outputs of many."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  theirs, source, valid = random_sources(family, seed, end, sizes)
  model, params = ours(theirs)
  tokens = greedy(model, params, source, valid, 9, rules)
  expected = generate_theirs(theirs, source, valid, rules, num_beams=1)[:, 1:].numpy()
  assert_same_tokens(tokens, expected, model.config.pad)
  assert len(np.unique((expected != model.config.pad).sum(-1))) > 5


@pytest.mark.parametrize(
  ('family', 'seed', 'end', 'sizes', 'search', 'rules'),
  [
    slow_case('bart', 1, 3, BART, {'beams': 4, 'best': 3}, generate.Rules()),
    (
      'bart', 4, 5, DEEP,
      {'beams': 3, 'best': 3, 'length_penalty': 2.0, 'early_stopping': True},
      generate.Rules(forced_bos=0, forced_eos=2, no_repeat_ngram=2),
    ),
    slow_case(
      't5', 4, 2, T5,
      {'beams': 5, 'best': 2, 'length_penalty': 0.5, 'early_stopping': 'never'},
      generate.Rules(),
    ),
    (
      't5', 2, 4, FIRST,
      {'beams': 2, 'best': 1, 'length_penalty': -1.0},
      generate.Rules(min_length=3, no_repeat_ngram=1),
    ),
  ],
)  # fmt: skip
def test_beams_are_those_of_hugging_face(family, seed, end, sizes, search, rules):
  """Token for token and with the same scores, the best of each row and the next."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  theirs, source, valid = random_sources(family, seed, end, sizes)
  model, params = ours(theirs)
  found = beam(model, params, source, valid, 9, rules=rules, **search)
  search = dict(search)
  search |= {
    'num_beams': search.pop('beams'),
    'num_return_sequences': search.pop('best'),
  }
  search |= {'output_scores': True, 'return_dict_in_generate': True}
  result = generate_theirs(theirs, source, valid, rules, **search)
  expected = result.sequences[:, 1:].numpy()
  # Theirs fill up with </s> where <pad> has the id 0, which counts as none.
  past = np.cumsum(expected == model.config.eos, axis=1) > 1
  expected = np.where(past, model.config.pad, expected)
  assert_same_tokens(found.tokens.reshape(-1, 9), expected, model.config.pad)
  scores = result.sequences_scores.numpy()
  np.testing.assert_allclose(found.scores.reshape(-1), scores, rtol=1e-4, atol=1e-4)


def test_one_beam_is_greedy():
  """Where nothing else is kept, the search takes the likeliest token every time."""
  model, params, (source, valid, _, _) = shallow()
  alone = beam(model, params, source, valid, LENGTH, 1, early_stopping=True)
  np.testing.assert_array_equal(
    alone.tokens[:, 0], greedy(model, params, source, valid, LENGTH)
  )


def test_wrong_settings_of_a_search_are_refused():
  """More outputs than beams, and a way to stop that does not exist."""
  model, params, (source, valid, _, _) = shallow()
  with pytest.raises(InputError, match='got 3 of 2'):
    generate.beam(model, params, source, valid, LENGTH, 2, best=3)
  with pytest.raises(InputError, match="got 'always'"):
    generate.beam(model, params, source, valid, LENGTH, 2, early_stopping='always')
