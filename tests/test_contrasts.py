"""Contrasts against tables, designs whose variance is known, and repeated samples."""

import math

import numpy as np
import pytest
from scipy import stats

from masklearn.evaluation import contrasts
from masklearn.types import InputError
from tests.small import slow_case

NOMINAL = 0.93, 0.97  # in which the coverage of an interval of the level 0.95 is to lie


def coverage(draw, truth, repeats):
  """The share of intervals that have the truth in them."""
  found = (draw() for _ in range(repeats))
  return np.mean([e.low <= truth <= e.high for e in found])


def test_without_overlap_the_corrected_interval_is_students():
  """And with it the variance grows by the ratio of test to training."""
  values = [0.1, 0.3, 0.2, 0.5]
  plain, wider = contrasts.resampled(values), contrasts.resampled(values, 0.6)
  test = stats.ttest_1samp(values, 0)
  assert plain.p == pytest.approx(test.pvalue)
  assert plain[1:3] == pytest.approx(tuple(test.confidence_interval(0.95)))
  widths = [e.high - e.low for e in (plain, wider)]
  assert widths[1] / widths[0] == pytest.approx(math.sqrt((1 / 4 + 0.6) / (1 / 4)))


def test_one_seed_says_nothing_of_others():
  """Neither of a difference nor of a share."""
  for found in (contrasts.resampled([0.2]), contrasts.share([0.2], [0.4])):
    assert np.isnan([found.low, found.high]).all()
    assert not found.clear
  assert contrasts.share([0.2], [0.4]).mean == pytest.approx(0.5)


def test_one_seed_of_many_questions_has_an_interval_over_questions():
  """That of Student."""
  values = np.random.default_rng(0).normal(0.1, 1, 40)
  found = contrasts.crossed(values[None])
  assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_where_seeds_alone_differ_seeds_alone_count():
  """Student's interval of the seeds' means, and that of questions where these do."""
  rng = np.random.default_rng(1)
  seeds, questions = rng.normal(0.2, 1, 4), rng.normal(0.2, 1, 30)
  for table, own in (
    (np.repeat(seeds[:, None], 30, 1), seeds),
    (np.repeat(questions[None], 4, 0), questions),
  ):
    found = contrasts.crossed(table)
    assert found.p == pytest.approx(stats.ttest_1samp(own, 0).pvalue, rel=1e-6)


def test_equal_differences_have_no_width():
  """And are zero with certainty, or not."""
  assert contrasts.crossed(np.zeros((3, 4))) == (0.0, 0.0, 0.0, 1.0)
  assert contrasts.crossed(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5, 0.0)


@pytest.mark.parametrize(
  ('seeds', 'questions', 'spread'),
  [
    (5, 60, (0.015, 0.3, 0.4)),  # the demo's countries
    slow_case(3, 60, (0.05, 0.3, 0.4)),
    slow_case(8, 60, (0.015, 0.0, 0.4)),
    slow_case(3, 3_000, (0.01, 0.3, 0.4)),  # invented people
    slow_case(3, 3_000, (0.0, 0.3, 0.4)),
  ],
)
def test_crossed_covers_the_truth(seeds, questions, spread):
  """In settings with few seeds, of which each, or each question, has its own effect."""
  rng = np.random.default_rng(2)

  def draw():
    of_seed, of_question, rest = (
      rng.normal(0, scale, shape)
      for scale, shape in zip(
        spread, ((seeds, 1), (1, questions), (seeds, questions)), strict=True
      )
    )
    return contrasts.crossed(0.1 + of_seed + of_question + rest)

  low, high = NOMINAL
  assert low <= coverage(draw, 0.1, 2_000) <= high


@pytest.mark.parametrize(
  ('seeds', 'overlap'), [(5, 0.375), slow_case(3, 0.375), slow_case(8, 0.2)]
)
def test_resampled_covers_the_truth(seeds, overlap):
  """Where seeds are as alike as the share of all groups that is in a test."""
  rng, ratio = np.random.default_rng(3), overlap / (1 - overlap)

  def draw():
    common, own = rng.normal(size=1), rng.normal(size=seeds)
    values = math.sqrt(overlap) * common + math.sqrt(1 - overlap) * own
    return contrasts.resampled(0.1 + values, ratio)

  low, high = NOMINAL
  assert low <= coverage(draw, 0.1, 4_000) <= high


@pytest.mark.parametrize(
  ('seeds', 'own', 'least'), [(3, 0.015, 0.93), slow_case(5, 0.015, 0.93)]
)
def test_splits_of_the_same_groups_need_the_correction(seeds, own, least):
  """Of 199 countries, half train and 30% test: it covers, and Student's does not."""
  rng, groups = np.random.default_rng(4), 199

  def draw():
    of_group = rng.normal(0, 0.3, groups)
    tests = [rng.permutation(groups)[-60:] for _ in range(seeds)]
    return [of_group[test].mean() + rng.normal(0, own) for test in tests]

  drawn = [draw() for _ in range(3_000)]
  shares = [
    np.mean([e.low <= 0 <= e.high for e in (contrasts.resampled(d, r) for d in drawn)])
    for r in (0.6, 0.0)
  ]
  assert shares[0] >= least
  assert shares[1] < least


@pytest.mark.parametrize(
  ('seeds', 'alike'), [(3, 0.5), slow_case(5, 0.9), slow_case(8, 0.0)]
)
def test_share_covers_the_truth(seeds, alike):
  """Of gains and rooms that go together, a little, or not at all."""
  rng = np.random.default_rng(5)
  covariance = 0.03**2 * np.array([[1, alike], [alike, 1]])

  def draw():
    both = rng.multivariate_normal([0.2, 0.25], covariance, seeds)
    return contrasts.share(both[:, 0], both[:, 1])

  low, high = NOMINAL
  assert low <= coverage(draw, 0.8, 1_000) <= high


@pytest.mark.parametrize(
  ('seeds', 'groups'), [(1, 60), slow_case(3, 60), slow_case(5, 60)]
)
def test_a_share_over_questions_covers_the_truth(seeds, groups):
  """Also that of one seed, which says nothing of others."""
  rng, effect = np.random.default_rng(9), (0.2, 0.25)

  def draw():
    of_seed, of_group, rest = (
      rng.normal(0, scale, (2, *shape))
      for scale, shape in (
        (0.015 * (seeds > 1), (seeds, 1)), (0.2, (1, groups)), (0.2, (seeds, groups))
      )
    )  # fmt: skip
    gains, rooms = (
      m + x for m, x in zip(effect, of_seed + of_group + rest, strict=True)
    )
    return contrasts.share(gains, rooms)

  low, high = NOMINAL
  assert low - 0.01 <= coverage(draw, 0.8, 500) <= high + 0.01


def test_a_share_of_nothing_has_no_interval():
  """Where the reference does not clearly gain."""
  found = contrasts.share([0.1, 0.2, 0.3], [0.3, -0.2, 0.05])
  assert np.isnan([found.low, found.high]).all()


def test_a_share_solves_fiellers_equation():
  """At both bounds the test of gains - r rooms has p = 0.05."""
  gains, rooms = np.array([0.2, 0.26, 0.31, 0.22]), np.array([0.3, 0.33, 0.35, 0.28])
  found = contrasts.share(gains, rooms)
  for bound in (found.low, found.high):
    assert stats.ttest_1samp(gains - bound * rooms, 0).pvalue == pytest.approx(0.05)


def test_differences_go_by_the_design():
  """A frozen test is crossed, by groups; tests that differ are resampled."""
  groups = {f'{g}{i}': g for g in 'abc' for i in range(2)}
  rng = np.random.default_rng(6)
  ours = [{q: rng.random() for q in groups} for _ in range(3)]
  theirs = [{q: rng.random() for q in groups} for _ in range(3)]
  table = [
    [np.mean([a[f'{g}{i}'] - b[f'{g}{i}'] for i in range(2)]) for g in 'abc']
    for a, b in zip(ours, theirs, strict=True)
  ]
  found = contrasts.differences(ours, theirs, groups)
  np.testing.assert_allclose(found, table)
  assert contrasts.estimate(found, 0.5) == contrasts.crossed(found)
  for rows in (ours, theirs):
    rows[0] = {q: x for q, x in rows[0].items() if groups[q] != 'a'}
  means = [np.mean([a[q] - b[q] for q in a]) for a, b in zip(ours, theirs, strict=True)]
  found = contrasts.differences(ours, theirs, groups)
  np.testing.assert_allclose(found, means)
  assert contrasts.estimate(found, 0.5) == contrasts.resampled(found, 0.5)


def test_a_group_counts_by_its_questions():
  """The mean is that over all questions."""
  ours = [{'a0': 1.0, 'a1': 1.0, 'a2': 1.0, 'b0': 0.0}] * 2
  theirs = [dict.fromkeys(ours[0], 0.0)] * 2
  found = contrasts.differences(ours, theirs, {q: q[0] for q in ours[0]})
  assert found.mean() == pytest.approx(0.75)


def test_differences_refuse_what_is_not_paired():
  """Other seeds, other questions, none."""
  one = [{'a': 1.0}]
  for other in ([], [{'b': 1.0}], [{'a': 1.0}, {'a': 0.0}]):
    with pytest.raises(InputError, match='contrast needs the same'):
      contrasts.differences(one, other, {})


def test_equivalence_is_an_interval_within_the_margin():
  """No difference that was found is no equivalence."""
  narrow = contrasts.Estimate(0.01, -0.02, 0.04)
  wide = contrasts.Estimate(0.0, -0.2, 0.2)
  assert contrasts.equivalent(narrow, 0.05)
  assert not contrasts.equivalent(wide, 0.05)
  assert not contrasts.equivalent(contrasts.Estimate(0.0, math.nan, math.nan), 0.05)
  with pytest.raises(ValueError, match='margin'):
    contrasts.equivalent(narrow, 0)


def test_holm_controls_the_family():
  """Of ten claims that are all false, one is made in 5% of the cases at most."""
  rng = np.random.default_rng(7)
  names = 'abcdefghij'

  def made():
    p = contrasts.holm(dict(zip(names, rng.random(10), strict=True)))
    return min(p.values()) <= 0.05

  assert np.mean([made() for _ in range(4_000)]) < 0.06
