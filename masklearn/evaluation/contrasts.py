"""What a study may claim: differences of paired scores over seeds and questions.

Two designs, as seeds have the same test questions or split them anew:

- `crossed`: a frozen test. Seeds and questions are both random, and every seed has
  answered every question.
- `resampled`: every seed draws its own test from the same groups. Tests overlap, so
  seeds are no independent samples, and Student's interval is too narrow.

`share` is of ratios, `equivalent` of "as good as", `holm` of several claims at once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from masklearn.types import InputError

_FAR = 100.0  # from a ratio, where bounds are not looked for any more


class Estimate(NamedTuple):
  """A number, its interval, and the p of "it is zero"."""

  mean: float
  low: float  # NaN where nothing can be said, infinite where there is no bound
  high: float
  p: float = math.nan  # two-sided

  @property
  def clear(self) -> bool:
    """Whether the interval excludes zero."""
    return self.low > 0 or self.high < 0


def resampled(
  differences: Sequence[float], ratio: float = 0.0, level: float = 0.95
) -> Estimate:
  """The mean over seeds that split the same groups anew, by a corrected t interval.

  The variance of the mean is s^2 (1 / S + ratio) and not s^2 / S: two seeds share part
  of their training and of their test.

  >>> [round(x, 3) for x in resampled([1.0, 2.0, 3.0], ratio=0.5)[:3]]
  [2.0, -1.928, 5.928]

  Args:
    differences: [S] of one seed each.
    ratio: test groups to training groups of a split; 0 is Student's interval, for
      independent seeds.
    level: of confidence.

  References:
    Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52
    (2003), section 3.
  """
  values = _values(differences, level)
  if ratio < 0:
    raise ValueError(f'ratio must be at least 0, got {ratio}.')
  count = len(values)
  if count == 1:
    return Estimate(float(values[0]), math.nan, math.nan)
  error = values.std(ddof=1) * math.sqrt(1 / count + ratio)
  return _student(float(values.mean()), float(error), count - 1, level)


def crossed(differences, level: float = 0.95) -> Estimate:
  """The mean over seeds and questions, where every seed has answered all of them.

  With mean squares of rows (seeds), columns (questions) and the rest, the variance of
  the mean is (MS_rows + MS_columns - MS_rest) / (S Q), at least the largest of the
  single parts; degrees of freedom are Satterthwaite's.

  Args:
    differences: [S, Q] of a seed on a question, or on a group of questions: what is
      about the same thing is no two samples.
    level: of confidence.

  References:
    Cornfield and Tukey, Average Values of Mean Squares in Factorials (1956).
    Satterthwaite, An Approximate Distribution of Estimates of Variance Components
    (1946).
  """
  table = np.asarray(differences, float)
  if table.ndim != 2 or not table.size:
    raise ValueError(f'crossed needs seeds x questions, got the shape {table.shape}.')
  _check_level(level)
  rows, columns = table.shape
  mean = float(table.mean())
  if min(rows, columns) == 1:
    line = table.ravel()
    if rows == 1 and columns > 1:  # questions alone: nothing is known of other seeds
      return resampled(line, 0.0, level)
    return resampled(table.mean(1), 0.0, level)
  used = _mean_squares(table)
  (of_rows, _), (of_columns, _), (of_rest, _) = used
  total = of_rows + of_columns - of_rest
  if total < max(of_rows, of_columns):
    # The estimate of a part is below zero: what is left is the larger of the two.
    used = [max(used[:2])]
    total = used[0][0]
  if total <= 0:
    return Estimate(mean, mean, mean, 0.0 if mean else 1.0)
  freedom = total**2 / sum(square**2 / df for square, df in used)
  return _student(mean, math.sqrt(total / (rows * columns)), freedom, level)


def differences(
  ours: Sequence[Mapping[str, float]],
  theirs: Sequence[Mapping[str, float]],
  group_of: Mapping[str, str],
) -> np.ndarray:
  """The differences of two policies, in the design that their questions show.

  Args:
    ours: for each seed the score of each question, id -> score.
    theirs: the same of the other policy.
    group_of: id -> what the question is about; the same for several is one sample.

  Returns:
    [S, G] of each seed and group, where all seeds have the same groups: a frozen test.
    A group counts by its questions, so that the mean is that over all questions.
    Else [S], the mean of each seed.

  Raises:
    InputError: the two differ in seeds or in a seed's questions.
  """
  if len(ours) != len(theirs) or not ours:
    raise InputError(
      f'A contrast needs the same seeds of both, got {len(ours)} and {len(theirs)}.'
    )
  rows = []
  for a, b in zip(ours, theirs, strict=True):
    if a.keys() != b.keys() or not a:
      raise InputError(
        f'A contrast needs the same questions of both, got {len(a)} and {len(b)}.'
      )
    groups: dict[str, list[float]] = {}
    for question in a:
      found = groups.setdefault(group_of.get(question) or question, [])
      found.append(a[question] - b[question])
    rows.append(groups)
  if any(row.keys() != rows[0].keys() for row in rows):
    means = [np.mean([x for found in row.values() for x in found]) for row in rows]
    return np.array(means)
  size = np.mean([len(found) for found in rows[0].values()])
  return np.array([[np.sum(row[group]) / size for group in rows[0]] for row in rows])


def estimate(found: np.ndarray, ratio: float = 0.0, level: float = 0.95) -> Estimate:
  """The mean of `differences`: `crossed` of [S, G], `resampled` of [S]."""
  found = np.asarray(found, float)
  return crossed(found, level) if found.ndim == 2 else resampled(found, ratio, level)


def share(gains, rooms, ratio: float = 0.0, level: float = 0.95) -> Estimate:
  """The ratio of two means in one design, such as of a reference's gain.

  Fieller's interval: all r for which the mean of gains - r rooms is not distinguished
  from zero. Where the mean of the rooms is not clearly above zero there is none, and
  both bounds are NaN; so too where either side has no bound.

  >>> [round(x, 2) for x in share([0.8, 0.9, 1.0], [1.0, 1.1, 1.3])[:3]]
  [0.79, 0.74, 0.89]

  Args:
    gains: [S] or [S, G], see `differences`.
    rooms: the same of the same seeds and groups.
    ratio: see `resampled`.
    level: of confidence.

  References:
    Fieller, Some Problems in Interval Estimation (1954).
  """
  gains, rooms = np.asarray(gains, float), np.asarray(rooms, float)
  if gains.shape != rooms.shape or not gains.size:
    raise ValueError(
      f'share needs the same seeds of both, got {gains.shape} and {rooms.shape}.'
    )
  room = estimate(rooms, ratio, level)
  mean = float(gains.mean() / room.mean) if room.mean else math.nan
  if not room.low > 0:
    return Estimate(mean, math.nan, math.nan)

  def excess(r):
    """Above zero where r is refused."""
    found = estimate(gains - r * rooms, ratio, level)
    return max(found.low, -found.high)

  bounds = [_bound(excess, mean, side) for side in (-1, 1)]
  if any(map(math.isnan, bounds)):
    bounds = [math.nan, math.nan]
  return Estimate(mean, *bounds)


def _bound(excess, mean, side):
  """Where what is refused begins, on one side of a ratio; NaN if nowhere near."""
  if not excess(mean) < 0:  # without any spread
    return mean
  step = 0.05
  while step < _FAR and not excess(mean + side * step) > 0:
    step *= 2
  if step >= _FAR:
    return math.nan
  return float(optimize.brentq(excess, mean, mean + side * step))


def equivalent(found: Estimate, margin: float) -> bool:
  """Whether two policies are as good as each other, up to a margin named beforehand.

  The two one-sided tests, both at 5%, are an interval of the level 0.9 that lies within
  the margin; one of the level 0.95 asks for a little more.

  Args:
    found: the difference, with its interval.
    margin: the difference that does not matter.

  References:
    Schuirmann, A Comparison of the Two One-Sided Tests Procedure (1987).
  """
  if margin <= 0:
    raise ValueError(f'margin must be above 0, got {margin}.')
  return -margin < found.low and found.high < margin


def holm(values: Mapping[str, float]) -> dict[str, float]:
  """The p of several claims, so that all hold together with the level of one.

  >>> holm({'a': 0.01, 'b': 0.04, 'c': 0.03})
  {'a': 0.03, 'b': 0.06, 'c': 0.06}

  References:
    Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
  """
  ordered = sorted(values, key=values.get)
  adjusted, highest = {}, 0.0
  for place, name in enumerate(ordered):
    highest = max(highest, min(1.0, (len(ordered) - place) * values[name]))
    adjusted[name] = highest
  return {name: round(adjusted[name], 12) for name in values}


def _mean_squares(table):
  """Those of rows, columns and the rest, each with its degrees of freedom."""
  rows, columns = table.shape
  by_row, by_column = table.mean(1), table.mean(0)
  rest = table - by_row[:, None] - by_column[None] + table.mean()
  freedom = (rows - 1) * (columns - 1)
  return [
    (columns * float(by_row.var(ddof=1)), rows - 1),
    (rows * float(by_column.var(ddof=1)), columns - 1),
    (float((rest**2).sum()) / freedom, freedom),
  ]


def _student(mean, error, freedom, level):
  if error == 0:
    return Estimate(mean, mean, mean, 0.0 if mean else 1.0)
  half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
  p = float(2 * stats.t.sf(abs(mean) / error, freedom))
  return Estimate(mean, mean - half, mean + half, p)


def _values(values, level):
  array = np.asarray(values, float)
  _check_level(level)
  if array.ndim != 1 or not len(array):
    raise ValueError('an interval needs at least one value, got none.')
  return array


def _check_level(level):
  if not 0 < level < 1:
    raise ValueError(f'level must lie in (0, 1), got {level}.')
