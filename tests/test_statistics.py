"""What a policy is said to hide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import data
from masklearn.policies import heuristic, statistics
from masklearn.types import MaskDraw
from tests.small import make_batch, make_policy

BATCH = make_batch(
  [[1, 2, 1, 1], [1, 1, 1]], asked=[[(1, 1), (2, 2)], [(0, 1)]], length=6
)


def counts(*draw):
  """Shares under a policy that always draws the same: words, and where spans begin."""
  mask, start = (jnp.array([list(map(float, row)) for row in rows]) for rows in draw)
  draw = MaskDraw(mask, start, None)
  policy = heuristic.from_scores(lambda theta, batch: None, 0.5)._replace(
    draw=lambda theta, key, batch: draw._replace(log_prob=jnp.zeros(2))
  )
  return statistics.hidden(policy, {}, jax.random.key(0), BATCH, draws=2, batch_size=2)


def test_shares_of_asked_words_and_spans():
  """Words count one by one; a span only if it begins and ends as an asked one."""
  # The second word of passage 1, whole; the first two words of passage 2.
  found = counts(['011000', '110000'], ['010000', '100000'])
  assert found.words == 1.5
  assert found.answer_precision == pytest.approx(2 / 3)
  assert found.span_precision == 0.5
  # Two asked spans that touch, told apart by where they begin.
  found = counts(['011110', '100000'], ['010100', '100000'])
  assert found.span_precision == 1.0
  # The same words as one span, and half of an asked one.
  found = counts(['011110', '000000'], ['010000', '000000'])
  assert found.span_precision == 0.0
  found = counts(['000100', '000000'], ['000100', '000000'])
  assert (found.span_precision, found.answer_precision) == (0.0, 1.0)


def test_probability_is_the_frequency_of_draws():
  """For one word of four, every word is hidden in a quarter of the draws."""
  policy, theta = make_policy('random', 0.25)
  found = statistics.hidden(policy, theta, jax.random.key(0), BATCH, draws=400)
  np.testing.assert_allclose(found.probability[0, :5], 0.25, atol=0.08)
  assert (found.probability[0, 5:] == 0).all()
  assert (found.probability[0, 1] == found.probability[0, 2]).all()


def test_hidden_words_are_counted_once_whatever_fills_a_batch():
  """Three passages in batches of two: budgets are exact, so counts have no noise."""
  three = data.take(BATCH, np.array([0, 1, 0]))
  policy, theta = make_policy('random', 0.5)
  found = statistics.hidden(policy, theta, jax.random.key(0), three, 4, batch_size=2)
  assert found.probability.shape == three.tokens.shape
  assert found.words == pytest.approx((2 + 2 + 2) / 3)
  again = statistics.hidden(policy, theta, jax.random.key(0), three, 4, batch_size=2)
  np.testing.assert_array_equal(found.probability, again.probability)
  # The first passage and the last are drawn each by itself.
  assert (found.probability[0] != found.probability[2]).any()
