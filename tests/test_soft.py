"""Soft draws: shares of words, and the hard draw that they go over into."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.meta import soft
from masklearn.policies import sampling
from masklearn.types import Policy
from tests.small import IDS, make_batch

BATCH = make_batch([[1, 2, 1, 1, 3, 1, 1, 1, 2, 1], [1, 1], [2]])
LONGEST, RATE = 3, 0.4
WORDS = np.array([4, 1, 1])  # of the budget


def scores(theta, batch):
  """Those of a table, with some spans that are none."""
  return jnp.where(sampling.fits(batch, LONGEST) & (theta < 1.5), theta, -jnp.inf)


POLICY = Policy(None, scores, None)
THETA = jax.random.normal(jax.random.key(0), (*BATCH.tokens.shape, LONGEST))


@jax.jit
def both(key, temperature):
  """Soft shares and straight-through decisions [P, L] of one noise, and hard ones."""
  noise = soft.sample(POLICY, THETA, BATCH, key, temperature, IDS.mask, 0.0)
  spans = sampling.take_spans(noise.gumbel, scores(THETA, BATCH), BATCH, RATE)
  return (
    soft.shares(POLICY, THETA, noise, RATE),
    soft.straight(POLICY, THETA, noise, RATE),
    sampling.to_draw(spans, BATCH).mask,
  )


def by_word(values):
  """Sums of words, from the first token of each: [P]."""
  first = np.diff(BATCH.word, axis=1, prepend=-1) > 0
  return (np.asarray(values) * (first & BATCH.valid)).sum(1)


@pytest.mark.parametrize('temperature', [0.1, 1.0, 5.0])
def test_shares_are_alike_within_words_and_keep_to_the_budget(temperature):
  """In [0, 1], none of padding, and hardly less than the budget in all."""
  for seed in range(5):
    shares = np.asarray(both(jax.random.key(seed), temperature)[0])
    assert (shares >= 0).all()
    assert (shares <= 1 + 1e-6).all()
    assert not shares[~BATCH.valid].any()
    for row, word in zip(shares, BATCH.word, strict=True):
      assert all(np.ptp(row[word == w]) < 1e-6 for w in range(1, word.max() + 1))
    total = by_word(shares)
    assert (total <= WORDS + 1e-5).all()
    assert (total >= 0.9 * WORDS).all()


def test_a_cold_draw_is_the_hard_one_of_the_same_noise():
  """And straight-through decisions are hard at any temperature."""
  for seed in range(20):
    cold, straight, hard = both(jax.random.key(seed), 1e-3)
    np.testing.assert_allclose(cold, hard, atol=1e-3)
    np.testing.assert_allclose(straight, hard, atol=1e-6)
    np.testing.assert_allclose(both(jax.random.key(seed), 1.0)[1], hard, atol=1e-6)
    np.testing.assert_array_equal(by_word(hard), WORDS)


def test_scores_have_a_gradient_through_shares():
  """Finite, and the straight-through one is the same."""
  noise = soft.sample(POLICY, THETA, BATCH, jax.random.key(3), 1.0, IDS.mask, 0.0)
  weight = jax.random.normal(jax.random.key(4), BATCH.tokens.shape)

  def value(theta, decide):
    return (weight * decide(POLICY, theta, noise, RATE)).sum()

  gradient = jax.jit(jax.grad(value), static_argnums=1)
  one, two = (gradient(THETA, decide) for decide in (soft.shares, soft.straight))
  assert np.isfinite(one).all()
  assert jnp.abs(one).max() > 1e-3
  np.testing.assert_allclose(one, two, rtol=1e-6)


def test_the_log_probability_of_spans_is_that_of_their_draw():
  """Computed again from spans and scores, filler words included."""
  table = scores(THETA, BATCH)
  for seed in range(5):
    spans = sampling.draw_spans(jax.random.key(seed), table, BATCH, RATE)
    found = sampling.log_prob(table, spans, BATCH, RATE)
    np.testing.assert_allclose(found, spans.log_prob, rtol=1e-6)
    assert (spans.log_prob <= 0).all()
