"""The networks of a learned policy: what they see, what they learn, what is drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from masklearn import policies
from masklearn.models.bert import Bert
from masklearn.models.sizes import BertConfig
from masklearn.policies import sampling
from masklearn.policies.encoders import ENCODERS, EncoderConfig
from masklearn.types import InputError
from tests.small import make_batch, moved, slow_case

BERT = BertConfig(
  vocab_size=41, width=12, layers=1, heads=3, ffn=10, max_positions=13, bos=0, eos=2,
  init_std=0.3,
)  # fmt: skip
RATE, LONGEST = 0.4, 3
BATCH = make_batch([[1, 2, 1, 1, 2], [2, 1, 1]], length=9)
WORDS = np.array([5, 3])
ALL = pytest.mark.parametrize('name', ['conv', 'bert', slow_case('bilstm')])


@functools.cache
def make(name, **options):
  """A policy, parameters that are no longer the first ones, and compiled scores."""
  shape = {'longest': LONGEST, 'width': 8, 'kernel_size': 3, 'embedding': 6, **options}
  bert = BERT if name == 'bert' else None
  policy = policies.POLICIES['learned'](RATE, 40, encoder=name, bert=bert, **shape)
  theta = jax.jit(policy.init)(jax.random.key(1))
  return policy, moved(theta, 0.3), jax.jit(policy.scores)


@ALL
def test_scores_are_those_of_the_spans_within_the_passage(name):
  """Finite and no two alike for these, -inf past the end; rows are independent."""
  _, theta, scores = make(name)
  found = np.asarray(scores(theta, BATCH))  # [B, W, N]
  np.testing.assert_array_equal(np.isfinite(found), sampling.fits(BATCH, LONGEST))
  for row, words in zip(found, WORDS, strict=True):
    finite = row[np.isfinite(row)]
    assert finite.size == sum(words - n for n in range(LONGEST))
    assert np.unique(finite.round(4)).size == finite.size
  swapped = scores(theta, jax.tree.map(lambda x: x[::-1], BATCH))
  np.testing.assert_allclose(swapped[::-1], found, rtol=0, atol=1e-5)


@ALL
def test_padding_changes_nothing(name):
  """Whatever stands behind a passage, and however much, its scores are the same."""
  _, theta, scores = make(name)
  found = np.asarray(scores(theta, BATCH))
  garbage = np.where(BATCH.valid, BATCH.tokens, 17)
  other = scores(theta, BATCH._replace(tokens=garbage))
  np.testing.assert_array_equal(other, found)
  longer = jax.tree.map(lambda x: np.pad(x, ((0, 0), (0, 2))), BATCH)
  np.testing.assert_allclose(scores(theta, longer)[:, :9], found, rtol=0, atol=1e-5)


@ALL
def test_a_gradient_reaches_what_is_learned(name):
  """Every weight; none reaches the words of a model, and a BERT's own words learn."""
  policy, theta, _ = make(name)

  def total(theta):
    scores = policy.scores(theta, BATCH)
    return jnp.where(jnp.isfinite(scores), jnp.square(scores), 0.0).sum()

  for path, slope in jax.tree.leaves_with_path(jax.jit(jax.grad(total))(theta)):
    where = jax.tree_util.keystr(path)
    # One number more for every key of a query changes no softmax.
    if "'k_proj']['bias']" in where:
      assert jnp.abs(slope).max() < 1e-4
    else:
      assert bool(jnp.any(slope)) == ("['embed']" not in where), where


@ALL
def test_draws_hide_the_budget_without_overlap(name):
  """Exactly; spans that touch and spans at both ends of the passage are drawn, too."""
  _, theta, scores = make(name)
  table = scores(theta, BATCH)

  @jax.jit
  @jax.vmap
  def draw(key):
    spans = sampling.draw_spans(key, table, BATCH, RATE)
    return spans, sampling.hidden_words(spans, BATCH)

  spans, hidden = jax.device_get(draw(jax.random.split(jax.random.key(0), 300)))
  budget = np.round(RATE * WORDS)  # 2 words of 5, 1 of 3
  assert (spans.length.sum(-1) == budget).all()
  assert (hidden.sum(-1) == budget).all()
  for row, words in enumerate(WORDS):
    assert not hidden[:, row, words:].any()
    assert hidden[:, row, 0].any()
    assert hidden[:, row, words - 1].any()
  start, length = spans.start[:, 0, :2], spans.length[:, 0, :2]
  touching = (length == 1).all(-1) & (np.abs(start[:, 0] - start[:, 1]) == 1)
  assert touching.any()


@pytest.mark.parametrize(
  ('name', 'far'), [('conv', False), ('bilstm', True), ('bert', True)]
)
def test_how_far_a_network_sees(name, far):
  """The last word's token changes scores at the start, but not of convolutions."""
  _, theta, scores = make(name)
  found = scores(theta, BATCH)
  changed = np.array(BATCH.tokens)
  changed[0, 6] = 31  # the last token of five words
  other = scores(theta, BATCH._replace(tokens=changed))
  np.testing.assert_array_equal(other[1], found[1])
  changes = jnp.abs(other - found)[0, :, 0] > 1e-6  # of single words, [W]
  assert changes[4]
  assert bool(changes[0]) == far


def test_a_span_is_scored_by_its_first_and_its_last_token():
  """Where a state is its own token's alone, others of a span have no influence."""
  _, theta, scores = make('conv', kernel_size=1)
  found = scores(theta, BATCH)
  first, last = [0, 1, 3, 4, 5], [0, 2, 3, 4, 6]  # of the first passage's words
  for token in range(7):
    changed = np.array(BATCH.tokens)
    changed[0, token] = 31
    changes = np.asarray(scores(theta, BATCH._replace(tokens=changed)) != found)
    assert not changes[1].any()
    for word in range(5):
      for n in range(min(LONGEST, 5 - word)):
        expected = token in (first[word], last[word + n])
        assert changes[0, word, n] == expected, (token, word, n)


def test_the_parameters_of_convolutions_have_their_names():
  """What was saved by them is read by them."""
  _, theta, _ = make('conv')
  layer = {'bias', 'kernel'}
  assert {k: set(v) if isinstance(v, dict) else v.shape for k, v in theta.items()} == {
    'embed': {'embedding'}, 'conv_0': layer, 'conv_1': layer, 'start': layer,
    'end': layer, 'span': layer, 'length': (LONGEST, 8),
  }  # fmt: skip


def test_bert_reads_a_passage_between_its_two_tokens():
  """[CLS] stands before it and [SEP] right behind, whatever the row's length."""

  class Reader(nn.Module):
    @nn.compact
    def __call__(self, tokens, valid):
      return ENCODERS['bert'](tokens, valid, EncoderConfig(40, 6, 'bert', bert=BERT))

  _, theta, _ = make('bert')
  found = Reader().apply({'params': theta}, BATCH.tokens, BATCH.valid)
  assert found.shape == (2, 9, 12)
  for row, count in enumerate((7, 4)):
    text = np.concatenate([[0], BATCH.tokens[row, :count], [2]])[None].astype(np.int32)
    states = Bert(BERT).apply({'params': theta['bert']}, text, text >= 0)
    np.testing.assert_allclose(found[row, :count], states[0, 1:-1], rtol=0, atol=1e-5)


def test_a_policy_starts_from_a_checkpoint():
  """A fresh theta has the given BERT, and a model's words replace only a table."""
  _, theta, _ = make('bert')
  given, learned = theta['bert'], policies.POLICIES['learned']
  policy = learned(RATE, 40, encoder='bert', bert=BERT, start=given)
  fresh = policy.init(jax.random.key(3))
  jax.tree.map(np.testing.assert_array_equal, fresh['bert'], given)
  assert not fresh['span']['kernel'].any()
  assert policies.with_words(fresh, jnp.ones((40, 6))) is fresh
  with pytest.raises(InputError, match=r"encoder 'bert' .*, got .* conv_0"):
    policies.with_encoder(make('conv')[1], given)


def test_wrong_settings_are_refused():
  """Every message names the rule and what was given."""
  for size, options, message in (
    (40, {'encoder': 'bilstn'}, "'bilstn'; did you mean 'bilstm'"),
    (40, {'encoder': 'bert'}, "configuration of a BERT, got encoder 'bert'"),
    (40, {'bert': BERT}, "configuration of a BERT, got encoder 'conv'"),
    (
      42,
      {'encoder': 'bert', 'bert': BERT},
      '42 tokens, but BERT embeddings of only',
    ),
  ):
    with pytest.raises(InputError, match=message):
      policies.POLICIES['learned'](RATE, size, **options)
  policy, theta, _ = make('bert')
  with pytest.raises(InputError, match=r'has 14 tokens .*, but BERT has 13 positions'):
    policy.scores(theta, make_batch([[1] * 12]))


def test_token_shares_add_up_the_spans_that_hide_a_token():
  """By going through all spans; where there is no candidate, all words are alike."""
  _, theta, scores = make('conv')
  table = scores(theta, BATCH)
  share = np.exp(np.asarray(table[0]))
  share /= share.sum()
  word, expected = BATCH.word[0, :7], np.zeros(9)
  for (first, n), chance in np.ndenumerate(share):
    expected[:7] += chance * ((first <= word) & (word <= first + n))
  found = sampling.token_shares(table.at[1].set(-jnp.inf), BATCH)
  np.testing.assert_allclose(found[0], expected, rtol=1e-5)
  np.testing.assert_allclose(found[1], [*[1 / 3] * 4, *[0] * 5], rtol=1e-5)
