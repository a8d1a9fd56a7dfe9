"""Scores of a prediction against its gold answers, as the official scorers have them.

For all of them: the best gold answer counts, blank ones are dropped, and an empty
prediction scores 0, as in KILT's evaluation, even where a gold answer normalizes to
nothing. (SQuAD's own script gives exact match 1 there.)
"""

import collections
import functools
from collections.abc import Callable, Sequence

import numpy as np

from masklearn.evaluation import rouge
from masklearn.io.lookup import check_name
from masklearn.text.normalization import normalize, normalize_trivia


def exact_match(
  prediction: str,
  golds: Sequence[str],
  normalize: Callable[[str], str] = normalize,
) -> bool:
  """Returns whether the normalized prediction is one of the normalized golds."""
  if not prediction.strip():
    return False
  return normalize(prediction) in {normalize(gold) for gold in golds if gold.strip()}


def f1(
  prediction: str,
  golds: Sequence[str],
  normalize: Callable[[str], str] = normalize,
) -> float:
  """Returns the largest F1 in [0, 1] of normalized words over the golds.

  A word counts as often as it occurs on both sides. 0 where either side normalizes to
  nothing, as in SQuAD v1.1, TriviaQA and KILT.
  """
  words = collections.Counter(normalize(prediction).split())
  return max((_f1(words, normalize(gold).split()) for gold in golds), default=0.0)


def accuracy(prediction: str, golds: Sequence[str]) -> bool:
  """Returns whether the prediction is one of the golds, white space around it aside.

  References:
    KILT's accuracy,
    https://github.com/facebookresearch/KILT/blob/main/kilt/eval_downstream.py
  """
  prediction = prediction.strip()
  return prediction != '' and prediction in {gold.strip() for gold in golds}


def best(
  pairwise: Callable[[str, str], float], prediction: str, golds: Sequence[str]
) -> float:
  """Returns the largest `pairwise(prediction, gold)`, of texts without outer spaces."""
  prediction = prediction.strip()
  wanted = {gold.strip() for gold in golds} - {''}
  if not prediction:
    return 0.0
  return max((pairwise(prediction, gold) for gold in wanted), default=0.0)


# Name -> function(prediction, golds) -> float in [0, 1].
METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
  'em': exact_match,
  'f1': f1,
  'accuracy': accuracy,
  'rougeL': functools.partial(best, rouge.kilt_rouge_l),
  'trivia_em': functools.partial(exact_match, normalize=normalize_trivia),
  'trivia_f1': functools.partial(f1, normalize=normalize_trivia),
  'summary_rouge1': functools.partial(
    best, functools.partial(rouge.summary_rouge, 'rouge1')
  ),
  'summary_rouge2': functools.partial(
    best, functools.partial(rouge.summary_rouge, 'rouge2')
  ),
  'summary_rougeL': functools.partial(
    best, functools.partial(rouge.summary_rouge, 'rougeL')
  ),
  'summary_rougeLsum': functools.partial(
    best, functools.partial(rouge.summary_rouge, 'rougeLsum')
  ),
}


def table(
  predictions: Sequence[str], golds: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, np.ndarray]:
  """Returns the scores of Q questions by each metric, name -> [Q] float64.

  Args:
    predictions: one a question.
    golds: the gold answers of each.
    names: of `METRICS`.

  Raises:
    InputError: there is no metric of such a name.
  """
  for name in names:
    check_name(METRICS, name, 'metric')
  pairs = list(zip(predictions, golds, strict=True))
  return {
    name: np.array([METRICS[name](*pair) for pair in pairs], float) for name in names
  }


def _f1(predicted: collections.Counter, wanted: Sequence[str]) -> float:
  same = (predicted & collections.Counter(wanted)).total()
  if same == 0:
    return 0.0
  precision, recall = same / predicted.total(), same / len(wanted)
  return 2 * precision * recall / (precision + recall)
