"""Intervals against tables, known distributions and repeated samples."""

import math

import numpy as np
import pytest
from scipy import stats

from masklearn.evaluation import intervals
from masklearn.types import InputError


def test_student_of_known_values():
  """Three values: mean 2, standard error 1 / sqrt(3), t(2, 0.975) = 4.302653."""
  mean, low, high = intervals.student([1.0, 2.0, 3.0])
  assert mean == pytest.approx(2)
  assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
  assert mean - low == pytest.approx(high - mean)
  _, _, narrower = intervals.student([1.0, 2.0, 3.0], level=0.9)
  assert narrower - mean == pytest.approx(2.919986 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize('interval', [intervals.student, intervals.bootstrap])
def test_intervals_of_one_value_are_unknown_and_of_equal_ones_empty(interval):
  """One seed or question says nothing of others; where all agree, no sample differs."""
  mean, low, high = interval([0.4])
  assert mean == 0.4
  assert np.isnan([low, high]).all()
  assert interval([0.5] * 7) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize('interval', [intervals.student, intervals.bootstrap])
def test_intervals_refuse_what_has_no_mean(interval):
  """No values and an impossible level are the caller's mistakes."""
  with pytest.raises(ValueError, match='at least one value'):
    interval([])
  with pytest.raises(ValueError, match='level'):
    interval([1.0, 2.0], level=95)


def test_bootstrap_of_many_values_is_normal():
  """With 500 values the interval is mean -+ 1.96 standard errors, to some percent."""
  values = np.random.default_rng(0).exponential(size=500)
  mean, low, high = intervals.bootstrap(values)
  error = values.std() / math.sqrt(500)
  assert mean == pytest.approx(values.mean())
  assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)
  assert low < mean < high
  _, inner, outer = intervals.bootstrap(values, level=0.5)
  assert (outer - inner) / 2 == pytest.approx(0.674 * error, rel=0.06)


def test_bootstrap_covers_the_mean_as_often_as_it_says():
  """Of 300 samples of 60 answers, 95% of the intervals hold the true 0.3, or nearly."""
  rng = np.random.default_rng(1)
  answers = rng.random((300, 60)) < 0.3
  bounds = [intervals.bootstrap(a, draws=400, seed=i) for i, a in enumerate(answers)]
  covered = np.mean([low <= 0.3 <= high for _, low, high in bounds])
  assert 0.91 <= covered <= 0.98


def test_bootstrap_draws_all_scores_of_a_question_together():
  """Columns share their samples; each has the interval that it has alone."""
  values = np.random.default_rng(2).random((37, 3))
  values[:, 2] = 1 - values[:, 0]
  mean, low, high = intervals.bootstrap(values)
  assert mean.shape == low.shape == high.shape == (3,)
  np.testing.assert_allclose(low[2], 1 - high[0])
  for i in range(3):
    alone = intervals.bootstrap(values[:, i])
    np.testing.assert_allclose(alone, (mean[i], low[i], high[i]))


def test_bootstrap_is_a_function_of_its_seed(monkeypatch):
  """The same seed gives the same interval, in whatever pieces it is computed."""
  values = np.random.default_rng(3).random(29)
  first = intervals.bootstrap(values, draws=101)
  monkeypatch.setattr(intervals, '_CELLS', 29 * 10)
  np.testing.assert_allclose(intervals.bootstrap(values, draws=101), first)
  assert intervals.bootstrap(values, draws=101, seed=1)[1] != first[1]


@pytest.mark.parametrize(
  ('differences', 'p'),
  [
    ([1, 2, 3], 2 / 8),
    ([1.0] * 5, 2 / 32),
    ([0, 0, 2, 2], 2 / 4),  # what does not differ has no sign
    ([1, -1, 1, -1], 1.0),
    ([0.1, 0.2, -0.3], 1.0),  # sums to 0 but for rounding
    ([3, 1, -1], 6 / 8),
    ([0, 0], 1.0),
  ],
)
def test_sign_flips_are_counted_exactly(differences, p):
  """All signs of a few differences, by hand."""
  assert intervals.sign_flip(differences) == pytest.approx(p)
  assert intervals.sign_flip(np.negative(differences)) == pytest.approx(p)


def test_sign_flips_of_many_differences_are_drawn():
  """Differences of one size make the test binomial, whose p is known."""
  differences = np.array([1] * 27 + [-1] * 13 + [0] * 9)
  exact = stats.binomtest(13, 40).pvalue
  found = intervals.sign_flip(differences, draws=20_000)
  assert found == pytest.approx(exact, abs=0.005)
  assert intervals.sign_flip([1] * 40, draws=99) == 1 / 100  # never 0


def scores(matrix, first=0):
  """Returns one mapping a seed, of ids that start at `first`."""
  return [{str(first + q): x for q, x in enumerate(row)} for row in matrix]


def test_paired_difference_by_hand():
  """Two seeds of three questions: the mean of differences, and both sign tests."""
  a, b = scores([[1, 1, 0], [1, 0.5, 1]]), scores([[0, 1, 0], [0, 0, 0]])
  found = intervals.paired(a, b)
  assert (found.n, found.seeds) == (3, 2)
  assert found.difference == pytest.approx((1 / 3 + 2.5 / 3) / 2)
  assert found.p_seeds == pytest.approx(2 / 4)
  assert found.p_questions == pytest.approx(2 / 8)  # 1, 1/4 and 1/2
  assert found.low <= found.difference <= found.high
  other = intervals.paired(b, a)
  assert other.difference == -found.difference
  assert other.low == pytest.approx(-found.high)


def test_questions_are_joined_by_id_and_not_by_place():
  """The same scores in another order are the same comparison."""
  a, b = scores([[1, 0, 1, 0]]), scores([[0, 0, 1, 1]])
  turned = [dict(reversed(b[0].items()))]
  assert intervals.paired(a, turned)[:5] == intervals.paired(a, b)[:5]
  assert intervals.paired(a, b).difference == 0


def test_equal_policies_do_not_differ():
  """No sample has a difference, and every sign is as good."""
  a = scores(np.random.default_rng(0).random((3, 8)))
  found = intervals.paired(a, a)
  assert found == (8, 3, 0.0, 0.0, 0.0, 1.0, 1.0)


def test_seeds_are_resampled_too():
  """Questions that all say the same leave the spread between seeds."""
  ours = np.repeat([[0.0], [0.3], [0.6], [0.9]], 50, axis=1)
  found = intervals.paired(scores(ours), scores(np.zeros((4, 50))), draws=4_000)
  error = np.std([0.0, 0.3, 0.6, 0.9]) / 2  # of the mean of four seeds
  assert found.difference == pytest.approx(0.45)
  assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_questions_are_resampled_too():
  """Seeds that all say the same leave the spread between questions."""
  row = np.random.default_rng(1).random(200)
  found = intervals.paired(scores([row] * 3), scores(np.zeros((3, 200))))
  error = row.std() / math.sqrt(200)
  assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
  alone = intervals.paired(scores([row]), scores([np.zeros(200)]))
  assert math.isnan(alone.p_seeds)
  # Three copies of a seed know no more about questions than one.
  assert alone.high - alone.low == pytest.approx(found.high - found.low, rel=0.1)


def test_seeds_may_have_questions_of_their_own():
  """Seeds weigh the same, however many questions they have."""
  a = scores([[1, 1]]) + scores([[0, 0, 0, 1, 0]], first=2)
  b = scores([[0, 0]]) + scores([[0, 0, 0, 0, 0]], first=2)
  found = intervals.paired(a, b)
  assert (found.n, found.seeds) == (7, 2)
  assert found.difference == pytest.approx((1 + 1 / 5) / 2)
  assert 0 <= found.low < found.difference < found.high <= 1
  # A sample may draw the question of one seed and the other seed: it has no mean.
  a, b = (scores([[x]]) + scores([[x]], first=1) for x in (1, 0))
  found = intervals.paired(a, b)
  assert (found.low, found.difference, found.high) == (1, 1, 1)


def test_paired_interval_covers_the_difference():
  """Of 200 studies of 12 seeds and 40 questions, most intervals hold the truth."""
  rng, covered, nothing = np.random.default_rng(2), 0, scores(np.zeros((12, 40)))
  for i in range(200):
    seeds, questions = rng.normal(size=(12, 1)), rng.normal(size=40)
    ours = 0.5 + seeds + questions + rng.normal(size=(12, 40))
    found = intervals.paired(scores(ours), nothing, draws=300, seed=i)
    covered += found.low <= 0.5 <= found.high
  assert 0.86 <= covered / 200 <= 0.99


def test_one_question_has_no_interval():
  """Its difference is known, and nothing about others."""
  found = intervals.paired(scores([[1]]), scores([[0]]))
  assert found.difference == 1
  assert math.isnan(found.low)
  assert math.isnan(found.high)


@pytest.mark.parametrize(
  ('a', 'b', 'message'),
  [
    ([], [], 'at least one, got 0 and 0'),
    (scores([[1]]), scores([[1], [1]]), 'the same seeds of both.*got 1 and 2'),
    (scores([[1, 1]]), scores([[1]]), "got 2 and 1 in seed 0, 1 of them.*'1'"),
    (scores([[1]]), scores([[1]], first=4), "2 of them without a partner.*'0'"),
    ([{}], [{}], 'got 0 and 0 in seed 0'),
  ],
)
def test_paired_needs_the_same_questions(a, b, message):
  """What has no partner is an error, with its number and the first."""
  with pytest.raises(InputError, match=message):
    intervals.paired(a, b)
