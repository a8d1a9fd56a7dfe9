"""Intervals and tests: of a mean of scores, and of a difference of means."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from masklearn.types import InputError

DRAWS = 2_000  # bootstrap samples; Efron and Tibshirani ask for 1,000 at least
_EXACT = 16  # differences of which all 2^n signs are tried
_CELLS = 2**22  # numbers that are drawn at once


class Difference(NamedTuple):
  """The difference of A and B, on the same questions and seeds."""

  n: int  # questions that differ in their id
  seeds: int
  difference: float  # mean over seeds of the mean of A - B over a seed's questions
  low: float  # of the bootstrap interval over seeds and questions; NaN for n = 1
  high: float
  p_seeds: float  # sign-flip test of the seeds' means; NaN for a single seed
  p_questions: float  # sign-flip test of questions, each averaged over the seeds


def student(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
  """(mean, low, high): Student's two-sided interval of the mean.

  low and high are NaN for a single value: one seed says nothing about others.

  >>> [round(x, 3) for x in student([1.0, 2.0, 3.0])]
  [2.0, -0.484, 4.484]
  """
  _check(len(values), level)
  mean = statistics.fmean(values)
  if len(values) == 1:
    return mean, math.nan, math.nan
  half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))
  return mean, mean - half, mean + half


def bootstrap(
  values,
  level: float = 0.95,
  draws: int = DRAWS,
  seed: int = 0,
  groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """(mean, low, high): the bootstrap's percentile interval of the mean.

  A sample draws Q of the Q questions with replacement; low and high are quantiles
  (1 - level) / 2 and (1 + level) / 2 of the samples' means. It says how the mean would
  move with other questions of the same kind, and nothing about other seeds. NaN for a
  single question; without width where all values are equal, which understates.

  >>> mean, low, high = bootstrap([0, 1, 1, 0, 1, 1, 1, 0])
  >>> float(mean), float(low), float(high)
  (0.625, 0.25, 1.0)

  Args:
    values: [Q], or [Q, M] for M scores of the same questions, drawn together; then
      what comes back is [M].
    level: of confidence.
    draws: samples.
    seed: of the samples; the same gives the same interval.
    groups: [Q] numbers from 0 of what is drawn instead of questions, each with all its
      questions, such as the passage that they are about.

  References:
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
  """
  values = np.asarray(values, float)
  _check(len(values), level)
  mean = values.mean(0)
  sums, sizes = values, np.ones(len(values))
  if groups is not None:
    sizes = np.bincount(groups).astype(float)
    sums = np.zeros((len(sizes), *values.shape[1:]))
    np.add.at(sums, groups, values)
  if len(sizes) == 1:
    return mean, mean * np.nan, mean * np.nan

  def of_samples(drawn, axis):
    times = _counts(drawn, len(sizes))
    return (times @ sums).T / (times @ sizes)

  means = _resampled([len(sizes)], of_samples, draws, seed)
  return mean, *_quantiles(means, level)


def paired(
  a: Sequence[Mapping[str, float]],
  b: Sequence[Mapping[str, float]],
  level: float = 0.95,
  draws: int = DRAWS,
  seed: int = 0,
) -> Difference:
  """The difference A - B of two policies that answered the same questions.

  With d(s, q) the difference of seed s on question q and Q(s) the questions of s,

    difference = mean over s of [mean over q in Q(s) of d(s, q)].

  Seeds may share their questions or have their own. A bootstrap sample draws seeds
  and, independently, ids of questions with replacement (both factors are random, the
  "pigeonhole" bootstrap); a question counts as often as it was drawn in every seed
  that has it. The interval is of percentiles. With few seeds it is too narrow: the
  spread between S seeds is understated by sqrt((S - 1) / S), and a single seed is not
  resampled. `student` of the seeds' means needs no such excuse; report both.

  Args:
    a: for each seed the score of each question, id -> score.
    b: the same of the other policy: the same seeds in the same order, the same ids.
    level: of confidence.
    draws: bootstrap samples, and signs drawn where there are too many to try all.
    seed: of both.

  Raises:
    InputError: A and B differ in the number of seeds or in a seed's ids, or have none.

  References:
    Owen, The pigeonhole bootstrap, 2007, https://arxiv.org/abs/0712.1111
  """
  difference, present = _differences(a, b)  # both [S, Q]
  seeds, questions = present.shape
  _check(questions, level)
  by_seed = difference.sum(1) / present.sum(1)
  by_question = difference.sum(0) / present.sum(0)
  low, high = math.nan, math.nan
  if seeds == 1:
    _, low, high = map(float, bootstrap(by_question, level, draws, seed))
  elif questions > 1:

    def of_samples(drawn_questions, drawn_seeds, axis):
      counts = _counts(drawn_questions, questions)  # [C, Q]
      weight = counts @ present.T  # [C, S] questions of each seed in the sample
      means = counts @ difference.T / np.maximum(weight, 1)
      # A seed without a question says nothing, nor does a sample without a seed.
      drawn = _counts(drawn_seeds, seeds) * (weight > 0)
      total = drawn.sum(axis)
      return np.stack([(drawn * means).sum(axis) / np.maximum(total, 1), total > 0])

    means, some = _resampled([questions, seeds], of_samples, draws, seed)
    low, high = map(float, _quantiles(means[some > 0], level))
  mean = float(by_seed.mean())
  p_seeds = sign_flip(by_seed, draws, seed) if seeds > 1 else math.nan
  p_questions = sign_flip(by_question, draws, seed)
  return Difference(questions, seeds, mean, low, high, p_seeds, p_questions)


def sign_flip(differences, draws: int = DRAWS, seed: int = 0) -> float:
  """The two-sided p of "each difference might as well have the other sign".

  p is the share of all sign vectors whose |sum| is at least the observed one: exact
  for up to 16 differences that are not zero (five seeds cannot go below 2 / 2^5 =
  0.0625), else (k + 1) / (draws + 1), where k of `draws` random vectors reach it. The
  digits of the latter depend on `seed`, and on how scipy draws signs.

  >>> sign_flip([1, 2, 3])
  0.25

  References:
    Fisher, The Design of Experiments, 1935, section 21.
    Phipson and Smyth, Permutation p-values should never be zero, 2010.
  """
  differences = np.asarray(differences, float)
  differences = differences[differences != 0]
  if len(differences) < 2:
    return 1.0
  size = np.abs(differences).sum()

  def distance(x, axis):
    # Sums of the same numbers in another order differ in their last bits.
    return np.abs(x.sum(axis) / size).round(9)

  found = stats.permutation_test(
    (differences,),
    distance,
    permutation_type='samples',
    alternative='greater',
    vectorized=True,
    n_resamples=draws if len(differences) > _EXACT else np.inf,
    batch=max(1, _CELLS // len(differences)),
    rng=np.random.default_rng(seed),
  )
  return float(found.pvalue)


def _check(count: int, level: float) -> None:
  if not count:
    raise ValueError('an interval needs at least one value, got none.')
  if not 0 < level < 1:
    raise ValueError(f'level must lie in (0, 1), got {level}.')


def _quantiles(means: np.ndarray, level: float) -> np.ndarray:
  return np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)


def _resampled(sizes: Sequence[int], statistic, draws: int, seed: int) -> np.ndarray:
  """A statistic of bootstrap samples of `sizes` things each: [.., draws]."""
  return stats.bootstrap(
    [np.arange(size) for size in sizes],
    statistic,
    vectorized=True,
    n_resamples=draws,
    batch=max(1, _CELLS // sizes[0]),
    method='percentile',
    rng=np.random.default_rng(seed),
  ).bootstrap_distribution


def _counts(drawn: np.ndarray, count: int) -> np.ndarray:
  """The times that each of `count` things is in each of C samples: [C, count]."""
  rows = len(drawn)
  drawn = drawn + count * np.arange(rows)[:, None]
  return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)


def _differences(a, b) -> tuple[np.ndarray, np.ndarray]:
  """A - B, 0 where a seed lacks a question, and where it has it: [S, Q]."""
  if len(a) != len(b) or not len(a):
    raise InputError(
      f'A comparison needs the same seeds of both, at least one, got {len(a)} and '
      f'{len(b)}.'
    )
  for s, (ours, theirs) in enumerate(zip(a, b, strict=True)):
    if ours.keys() != theirs.keys() or not ours:
      odd = sorted(ours.keys() ^ theirs.keys())
      raise InputError(
        f'A comparison needs the same questions of both, got {len(ours)} and '
        f'{len(theirs)} in seed {s}, {len(odd)} of them without a partner'
        + (f', the first is {odd[0]!r}.' if odd else '.')
      )
  column = {id: q for q, id in enumerate(dict.fromkeys(itertools.chain(*a)))}
  difference = np.zeros((len(a), len(column)))
  present = np.zeros_like(difference)
  for s, (ours, theirs) in enumerate(zip(a, b, strict=True)):
    places = [column[id] for id in ours]
    difference[s, places] = [ours[id] - theirs[id] for id in ours]
    present[s, places] = 1
  return difference, present
