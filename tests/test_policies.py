"""What policies hide: budgets, candidates, places, and what they may look at."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from masklearn import policies
from masklearn.policies import sampling
from masklearn.policies.capacity import token_capacity
from masklearn.policies.learned import BOUND
from masklearn.study import stage
from masklearn.training import corruption
from masklearn.types import InputError
from tests import small
from tests.small import IDS, make_batch, make_policy, slow_case

BATCH = make_batch(
  [[1, 2, 1, 1, 1, 3, 1, 1, 1, 2], [2, 1, 1, 1, 1, 1]],
  sentences=[[4, 6], [3, 3]],
  salient=[[(0, 1), (1, 2), (7, 3)], [(0, 2)]],
  asked=[[(7, 3)], [(4, 1)]],
  length=16,
)
WORDS = np.array([10, 6])


def hidden_words(batch, draw):
  """Which words each draw hides, as one row of booleans a passage."""
  mask = np.asarray(draw.mask) > 0
  assert not mask[~batch.valid].any()
  rows = []
  for word, valid, hidden in zip(batch.word, batch.valid, mask, strict=True):
    by_word = [hidden[valid & (word == w)] for w in range(word[valid].max() + 1)]
    assert all(m.all() or not m.any() for m in by_word), 'a word is hidden in part'
    rows.append(np.array([m.all() for m in by_word]))
  return rows


def draws(count, name, rate, **options):
  """So many draws of a policy that learns nothing, each with its hidden words."""
  policy = small.compiled(policies.POLICIES[name](rate, **options))
  for seed in range(count):
    draw = policy.draw({}, jax.random.key(seed), BATCH)
    yield draw, hidden_words(BATCH, draw)


@pytest.mark.parametrize('name', small.BUDGETED)
@pytest.mark.parametrize('rate', [slow_case(0.1), 0.35, slow_case(0.5)])
def test_budget_is_exact(name, rate):
  """Of round(rate * words) whole words, in draws that are functions of their keys."""
  policy, theta = make_policy(name, rate)
  found = [policy.draw(theta, jax.random.key(k), BATCH) for k in (0, 0, *range(1, 9))]
  expected = np.maximum(np.round(np.float32(rate) * WORDS.astype(np.float32)), 1)
  for draw in found:
    rows = hidden_words(BATCH, draw)
    np.testing.assert_array_equal([r.sum() for r in rows], expected)
  first, again, *others = found
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert any((first.mask != other.mask).any() for other in others)


def test_salient_hides_annotated_spans_whole():
  """With a budget that fits, spans are hidden whole and marked where they begin."""
  seen = set()
  for draw, (first, second) in draws(30, 'salient', 0.3):  # 3 words of 10, 2 of 6
    seen.add(tuple(np.flatnonzero(first).tolist()))
    assert np.flatnonzero(second).tolist() == [0, 1]
    if first[0] and first[1]:  # two spans that touch
      assert np.asarray(draw.start[0]).sum() == 2
  assert seen == {(0, 1, 2), (7, 8, 9)}


def test_annotated_falls_back_on_parts_and_then_on_anything():
  """A budget above the asked words takes all of them and fills up at random."""
  for _, (first, second) in draws(10, 'annotated', 0.5):  # 5 words of 10, 3 of 6
    assert first[7:].all()
    assert second[4]
  for _, (first, _) in draws(
    10, 'annotated', 0.2
  ):  # 2 of the 3 words that are asked about
    assert not first[:7].any()


def test_control_stays_in_the_sentences_of_its_reference():
  """As many words in each sentence as the compared policy hides there."""
  reference, places = policies.POLICIES['annotated'](0.3), set()
  found = draws(40, 'same_sentences_random', 0.3, reference=reference)
  for _, (first, second) in found:
    assert not first[:4].any()
    assert second[3:].any()
    places.add(tuple(np.flatnonzero(first).tolist()))
  # One span of three words in a sentence of six words: four places.
  assert places == {(4, 5, 6), (5, 6, 7), (6, 7, 8), (7, 8, 9)}


def test_random_span_keeps_the_lengths_and_leaves_the_places():
  """Spans as long as the reference's, and anywhere in the passage."""
  reference, places = policies.POLICIES['annotated'](0.3), set()
  for draw, (first, _) in draws(60, 'random_span', 0.3, reference=reference):
    words = np.flatnonzero(first)
    assert words[-1] - words[0] == 2
    assert np.asarray(draw.start[0]).sum() == 1
    places.add(int(words[0]))
  assert places == set(range(8))


def test_a_base_model_sees_any_number_of_hidden_spans():
  """From one to all that fit the budget, equally often, and all words as often."""
  policy = small.compiled(stage.uniform(0.5, longest=1, varied=True))
  batch, counts = make_batch([[1, 2, 1, 1, 1, 1], [3, 1]]), collections.Counter()
  hidden = np.zeros(6)
  for i in range(600):
    draw = policy.draw({}, jax.random.key(i), batch)
    first, second = (
      np.unique(batch.word[row][np.asarray(draw.mask[row]) > 0]) for row in range(2)
    )
    assert len(second) == 1  # of two words
    counts[len(first)] += 1
    hidden[first] += 1
  assert sorted(counts) == [1, 2, 3]
  assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
  assert scipy.stats.chisquare(hidden).pvalue > 1e-3


def test_one_span_hides_one_span_of_up_to_five_words():
  """All spans of a passage are equally likely, and none is longer than the passage."""
  policy = small.compiled(policies.POLICIES['one_span'](0.3))
  batch = make_batch([[1, 2, 1, 1, 1, 1], [3, 1]])
  found = [collections.Counter(), collections.Counter()]
  for i in range(400):
    draw = policy.draw({}, jax.random.key(i), batch)
    for row, counts in enumerate(found):
      words = np.unique(batch.word[row][np.asarray(draw.mask[row]) > 0])
      assert np.asarray(draw.start[row]).sum() == 1
      assert (np.diff(words) == 1).all()
      counts[tuple(words.tolist())] += 1
    np.testing.assert_allclose(draw.log_prob, -np.log([20, 3]), rtol=1e-6)
  assert [len(counts) for counts in found] == [6 + 5 + 4 + 3 + 2, 3]
  assert scipy.stats.chisquare(list(found[0].values())).pvalue > 1e-3
  lengths = policies.POLICIES['one_span'].longest_targets(batch, 0.3, IDS)
  assert lengths.tolist() == [1 + 6 + 1, 1 + 4 + 1]


@pytest.mark.parametrize('within_sentence', [False, True])
def test_moved_scores_are_the_distribution_of_moved_spans(within_sentence):
  """First spans fall where the scores say, by frequency over many draws."""
  scores = make_policy('salient')[0].scores({}, BATCH)
  compute = jax.jit(sampling.moved_scores, static_argnums=2)
  moved = compute(scores, BATCH, within_sentence)
  expected = jax.nn.softmax(moved.reshape(2, -1)).reshape(moved.shape)

  def one(key):
    spans = sampling.Spans(jnp.array([[7], [0]]), jnp.array([[3], [2]]), jnp.zeros(2))
    return sampling.move_spans(key, spans, BATCH, within_sentence).mask

  # Of passage 1, whose only salient span has two words, compare word by word.
  masks = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 4000))
  share = np.asarray(sampling.spans_cover(expected))[1, :6]
  tokens = np.asarray(sampling.token_of_word(BATCH))[1, :6]
  np.testing.assert_allclose(masks[:, 1, tokens].mean(0), share, atol=0.03)


def test_log_prob_is_that_of_the_draw():
  """For a budget of one word, exp(log_prob) is the frequency of each word."""
  batch = make_batch([[1, 2, 1, 1]])
  table = jnp.array([[[0.0], [1.0], [-1.0], [0.5], [9.0]]])

  def one(key):
    spans = sampling.draw_spans(key, table, batch, 0.25)
    return spans.start[0, 0], spans.log_prob[0]

  start, log_prob = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 4000))
  for word in range(4):
    chosen = np.asarray(start) == word
    np.testing.assert_allclose(np.exp(log_prob[chosen][0]), chosen.mean(), atol=0.03)


def test_learned_scores_are_bounded_and_belong_to_whole_spans():
  """Twice the bound apart at most; a span is no sum of what its two ends are worth."""
  policy, theta = make_policy('learned')
  theta = small.moved(theta, 0.5)
  scores = np.asarray(policy.scores(theta, BATCH))[0]
  # The ends of words 2 and 3 exchanged between spans from words 1 and 2.
  parts = scores[1, 1] + scores[2, 1], scores[1, 2] + scores[2, 0]
  assert abs(parts[0] - parts[1]) > 1e-3
  large = jax.tree.map(lambda x: 1e3 * x, theta)
  found = np.asarray(policy.scores(large, BATCH))
  assert np.abs(found[np.isfinite(found)]).max() == BOUND


def test_learned_policy_sees_no_annotation():
  """Without any annotation it draws what it draws with it."""
  policy, theta = make_policy('learned')
  theta, none = small.moved(theta, 0.3), np.zeros_like(BATCH.salient)
  blank = BATCH._replace(salient=none, asked=none)
  for seed in range(3):
    a, b = (policy.draw(theta, jax.random.key(seed), x) for x in (BATCH, blank))
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_learned_policy_reads_the_words_of_a_model_and_leaves_them_alone():
  """Another table gives other scores, and no gradient reaches it."""
  policy, theta = make_policy('learned')
  theta = small.moved(theta, 0.3)
  table = 1 - theta['embed']['embedding']

  def total(theta):
    scores = policy.scores(theta, BATCH)
    return jnp.where(jnp.isfinite(scores), jnp.square(scores), 0.0).sum()

  compute = jax.jit(jax.value_and_grad(total))
  value, gradient = compute(policies.with_words(theta, table))
  assert value != compute(theta)[0]
  assert not np.any(gradient['embed']['embedding'])
  assert np.any(gradient['conv_0']['kernel'])


@pytest.mark.parametrize('rate', [0.0, 1.0, -0.1])
def test_rate_must_be_a_share(rate):
  """A rate outside (0, 1) is refused when the policy is made."""
  with pytest.raises(InputError, match='rate='):
    policies.POLICIES['random'](rate)


def test_what_still_fits_is_free_and_within_the_budget():
  """After two words of four, spans of up to two of what is free; then single words."""
  start, length = jnp.array([[2, 0], [0, 0]]), jnp.array([[2, 0], [1, 0]])
  spans = sampling.Spans(start, length, jnp.zeros(2))
  possible = np.asarray(sampling.still_possible(spans, BATCH, 0.35, longest=3))
  free = np.arange(16)[None] < WORDS[:, None]
  free[0, 2:4] = free[1, 0] = False
  pairs = free & np.pad(free[:, 1:], ((0, 0), (0, 1)))
  np.testing.assert_array_equal(possible[..., 0], free)
  np.testing.assert_array_equal(possible[0, :, 1], pairs[0])
  assert not possible[1, :, 1].any()
  assert not possible[..., 2].any()


@pytest.mark.parametrize('rate', [0.1, 0.35, 0.5])
def test_random_token_hides_an_exact_number_of_tokens(rate):
  """Of 14 and of 7 tokens; every one alike, each a span of its own."""
  policy = policies.POLICIES['random_token'](rate)
  many = jax.jit(jax.vmap(lambda key: policy.draw({}, key, BATCH)))
  draw = jax.device_get(many(jax.random.split(jax.random.key(0), 3000)))
  np.testing.assert_array_equal(draw.mask, draw.start)
  for row, n in enumerate((14, 7)):
    hidden, share = round(rate * n), draw.mask[:, row].mean(0)
    assert (draw.mask[:, row].sum(-1) == hidden).all()
    np.testing.assert_allclose(share[:n], hidden / n, atol=0.04)
    assert not share[n:].any()
    ways = math.comb(n, hidden)
    np.testing.assert_allclose(draw.log_prob[:, row], -np.log(ways), rtol=1e-5)


def test_random_token_hides_the_token_of_a_passage_of_one():
  """A budget is at least 1, and never more than there is."""
  batch = make_batch([[1], [2]], length=4)
  draw = make_policy('random_token', 0.1)[0].draw({}, jax.random.key(0), batch)
  assert np.asarray(draw.mask).sum(1).tolist() == [1, 1]
  assert draw.mask[0, 0] == 1


def test_random_token_fits_its_target_and_its_sentinels():
  """`<mask>` and token for each, and `</s>`; more than T5 can number is refused."""
  capacity = token_capacity(BATCH, 0.35, IDS)
  draw = make_policy('random_token', 0.35)[0].draw({}, jax.random.key(0), BATCH)
  assert capacity.tolist() == [11, 5]
  for less, lost in ((0, [0, 0]), (1, [1, 0])):
    found = corruption.overflow(BATCH, draw, IDS, int(capacity.max()) - less)
    assert found.tolist() == lost
  with pytest.raises(InputError, match='5 sentinels'):
    token_capacity(BATCH, 0.5, small.T5_IDS)


@pytest.mark.parametrize(
  ('name', 'rate', 'worst'),
  [
    ('random', 0.35, 0.02),
    slow_case('random_span', 0.35, 0.12),
    slow_case('salient', 0.1, 0.03),
    ('salient', 0.3, 0.2),
    slow_case('annotated', 0.5, 0.03),
    slow_case('pmi_span', 0.35, 0.08),
    ('learned', 0.35, 0.25),  # where a few spans are nearly sure
  ],
)
def test_inclusion_is_near_the_frequency_of_being_hidden(name, rate, worst):
  """By 2,000 draws; the sum over words is the budget."""
  policy, theta = make_policy(name, rate)
  key, keys = jax.random.key(2), jax.random.split(jax.random.key(0), 2000)
  theta = jax.tree.map(lambda x: x + 0.5 * jax.random.normal(key, x.shape), theta)
  often = jax.lax.map(lambda key: policy.draw(theta, key, BATCH).mask, keys).mean(0)
  compute = jax.jit(sampling.inclusion, static_argnums=2)
  share = np.asarray(compute(policy.scores(theta, BATCH), BATCH, rate))
  assert np.abs(share - often).max() < worst
  firsts = np.asarray(sampling.token_of_word(BATCH))
  for row, words in enumerate(WORDS):
    total = share[row, firsts[row, :words]].sum()
    assert total == pytest.approx(float(sampling.budget(BATCH, rate)[row]), abs=1e-3)
  assert not share[~np.asarray(BATCH.valid)].any()
