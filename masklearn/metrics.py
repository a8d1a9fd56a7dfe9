"""Scores of answers, and what several seeds say about a score."""

import collections
import math
import re
import statistics
import string
from collections.abc import Sequence

from scipy import special

_ARTICLES = re.compile(r'\b(a|an|the)\b')
_PUNCTUATION = str.maketrans('', '', string.punctuation)


def normalize(text: str) -> str:
  """Returns `text` in lower case without punctuation, articles and extra spaces.

  Punctuation is ASCII's, as in the source: typographic quotes stay.

  References:
    The evaluation script of SQuAD v1.1, https://rajpurkar.github.io/SQuAD-explorer/
  """
  text = text.lower().translate(_PUNCTUATION)
  return ' '.join(_ARTICLES.sub(' ', text).split())


def exact_match(prediction: str, targets: Sequence[str]) -> bool:
  """Returns whether the normalized prediction is one of the normalized targets.

  An empty prediction is always wrong, as in KILT's evaluation, even where a target
  normalizes to nothing.
  """
  if not prediction.strip():
    return False
  return normalize(prediction) in {normalize(target) for target in targets}


def f1(prediction: str, targets: Sequence[str]) -> float:
  """Returns the largest F1 in [0, 1] of normalized words over the targets.

  0 where either side normalizes to nothing, as in SQuAD v1.1 and KILT.
  """
  return max((_f1(prediction, target) for target in targets), default=0.0)


def interval(
  values: Sequence[float], level: float = 0.95
) -> tuple[float, float, float]:
  """Returns (mean, low, high): Student's two-sided interval of the mean.

  low and high are NaN for a single value: one seed says nothing about others.
  """
  if not values:
    raise ValueError('an interval needs at least one value, got none.')
  if not 0 < level < 1:
    raise ValueError(f'level must lie in (0, 1), got {level}.')
  mean = statistics.fmean(values)
  if len(values) == 1:
    return mean, math.nan, math.nan
  quantile = float(special.stdtrit(len(values) - 1, (1 + level) / 2))
  half = quantile * statistics.stdev(values) / math.sqrt(len(values))
  return mean, mean - half, mean + half


def _f1(prediction: str, target: str) -> float:
  predicted, wanted = normalize(prediction).split(), normalize(target).split()
  common = collections.Counter(predicted) & collections.Counter(wanted)
  same = common.total()
  if same == 0:
    return 0.0
  precision, recall = same / len(predicted), same / len(wanted)
  return 2 * precision * recall / (precision + recall)
