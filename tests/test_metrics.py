"""Scores against SQuAD v1.1's rules, intervals against a table of Student's t."""

import math

import pytest

from masklearn import metrics


@pytest.mark.parametrize(
  ('text', 'normal'),
  [
    ('The Swiss  franc.', 'swiss franc'),
    ('a\tman,\nan Ox & the Sea', 'man ox sea'),
    ('U.S.', 'us'),
    ("Côte d'Ivoire", 'côte divoire'),
    ('Ærø «Å»', 'ærø «å»'),  # only ASCII punctuation is stripped
    ('theatre another bath', 'theatre another bath'),  # articles are whole words
    ('a-b', 'ab'),  # punctuation goes first, so this is no article
    ('The!', ''),
    ('', ''),
  ],
)
def test_normalize(text, normal):
  """Case, punctuation, articles and spaces go, everything else stays."""
  assert metrics.normalize(text) == normal


@pytest.mark.parametrize(
  ('prediction', 'targets', 'em', 'f1'),
  [
    ('the Euro', ['euro'], True, 1.0),
    ('euro', ['lira', 'Euro.'], True, 1.0),
    ('swiss franc', ['franc'], False, 2 / 3),
    ('franc franc', ['franc'], False, 2 / 3),  # a word counts as often as it occurs
    ('old swiss franc', ['lira', 'swiss franc', 'franc'], False, 0.8),
    ('Côte', ['Cote'], False, 0.0),
    ('', ['euro'], False, 0.0),
    (' ', ['The'], False, 0.0),  # an empty prediction is wrong, whatever was asked
    ('a', ['The'], True, 0.0),  # F1 has no words to count on either side
    ('euro', ['...'], False, 0.0),
    ('euro', [], False, 0.0),
  ],
)
def test_exact_match_and_f1(prediction, targets, em, f1):
  """The best target counts; nothing on either side never scores in F1."""
  assert metrics.exact_match(prediction, targets) is em
  assert metrics.f1(prediction, targets) == pytest.approx(f1)


def test_interval_of_known_values():
  """Three values: mean 2, standard error 1 / sqrt(3), t(2, 0.975) = 4.302653."""
  mean, low, high = metrics.interval([1.0, 2.0, 3.0])
  assert mean == pytest.approx(2)
  assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
  assert mean - low == pytest.approx(high - mean)
  _, _, narrower = metrics.interval([1.0, 2.0, 3.0], level=0.9)
  assert narrower - mean == pytest.approx(2.919986 / math.sqrt(3), rel=1e-6)


def test_interval_of_one_value_is_unknown():
  """A single seed has a mean and no interval; equal seeds have an empty one."""
  mean, low, high = metrics.interval([0.4])
  assert mean == 0.4
  assert math.isnan(low)
  assert math.isnan(high)
  assert metrics.interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_interval_refuses_what_has_no_mean():
  """No values and an impossible level are the caller's mistakes."""
  with pytest.raises(ValueError, match='at least one value'):
    metrics.interval([])
  with pytest.raises(ValueError, match='level'):
    metrics.interval([1.0], level=95)
