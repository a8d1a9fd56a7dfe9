"""Scores of a prediction against its gold answers, as the official scorers have them.

ROUGE comes in two forms: KILT reports that of the package `rouge`, summarization that
of `rouge-score`. They share a name and little else: tokens, stemming and the counting
of repeated words differ.

For all of them: the best gold answer counts, blank ones are dropped, and an empty
prediction scores 0, as in KILT's evaluation, even where a gold answer normalizes to
nothing. (SQuAD's own script gives exact match 1 there.)
"""

import collections
import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from masklearn.evaluation import subsequences
from masklearn.io.lookup import check_name
from masklearn.text import segmentation
from masklearn.text.normalization import normalize, normalize_trivia


def exact_match(
  prediction: str, golds: Sequence[str], normalize: Callable[[str], str] = normalize
) -> bool:
  """Whether the normalized prediction is one of the normalized golds.

  >>> exact_match('The Nile.', ['nile', 'River Nile'])
  True
  """
  if not prediction.strip():
    return False
  return normalize(prediction) in {normalize(gold) for gold in golds if gold.strip()}


def f1(
  prediction: str, golds: Sequence[str], normalize: Callable[[str], str] = normalize
) -> float:
  """The largest F1 in [0, 1] of normalized words over the golds.

  A word counts as often as it occurs on both sides. 0 where either side normalizes to
  nothing, as in SQuAD v1.1, TriviaQA and KILT.

  >>> f1('the river Nile', ['Nile'])
  0.6666666666666666
  """
  words = collections.Counter(normalize(prediction).split())
  return max((_f1(words, normalize(gold).split()) for gold in golds), default=0.0)


def accuracy(prediction: str, golds: Sequence[str]) -> bool:
  """Whether the prediction is one of the golds, white space around it aside.

  >>> accuracy(' Nile', ['Nile']), accuracy('nile', ['Nile'])
  (True, False)

  References:
    KILT's accuracy,
    https://github.com/facebookresearch/KILT/blob/main/kilt/eval_downstream.py
  """
  prediction = prediction.strip()
  return prediction != '' and prediction in {gold.strip() for gold in golds}


def match(prediction: str, golds: Sequence[str]) -> bool:
  """Whether one of the golds is a part of the prediction, letter by letter.

  >>> match('It is the Nile.', ['Nile']), match('the nile', ['Nile'])
  (True, False)

  Nothing is normalized, and a part of a word counts: 'Nile' is in 'Juvenile Nile' and
  in 'Nileside'. WikiDYK's own F1 looks at the first gold answer alone.

  References:
    WikiDYK's match,
    https://github.com/zhang-yu-wei/WikiDYK/blob/main/src/utils/metrics.py
  """
  return any(gold in prediction for gold in golds if gold.strip())


def best(
  pairwise: Callable[[str, str], float], prediction: str, golds: Sequence[str]
) -> float:
  """The largest `pairwise(prediction, gold)`, of texts without outer spaces."""
  prediction = prediction.strip()
  wanted = {gold.strip() for gold in golds} - {''}
  if not prediction:
    return 0.0
  return max((pairwise(prediction, gold) for gold in wanted), default=0.0)


def kilt_rouge_l(prediction: str, gold: str) -> float:
  """The F1 in [0, 1] of KILT's ROUGE-L, without any normalization.

  It is summary-level ROUGE-L over *distinct* words, case and punctuation kept, where
  each '.' ends a sentence, also the one in "U.S.":

    P = |LCS words| / |words of prediction|,  R = |LCS words| / |words of gold|,
    F1 = 2 P R / (P + R + 1e-8),

  so a text scores 1 - 5e-9 against itself. A text of nothing but '.' has no sentence
  and scores 0, as KILT's scorer has it. Its numbers are those of the package `rouge`.

  References:
    https://github.com/facebookresearch/KILT/blob/main/kilt/eval_downstream.py
    https://github.com/pltrdy/rouge
  """
  ours, theirs = (
    [' '.join(part.split()).split(' ') for part in text.split('.') if part]
    for text in (prediction, gold)
  )
  if not ours or not theirs:
    return 0.0
  known, union = set(itertools.chain(*ours)), set()
  for sentence in theirs:
    possible = known & set(sentence)
    for other in ours:
      if possible <= union:
        break
      found = subsequences.indices(sentence, other, shorten_y=True)
      union.update(sentence[i] for i in found)
  recall = len(union) / len(set(itertools.chain(*theirs)))
  precision = len(union) / len(known)
  return 2.0 * ((precision * recall) / (precision + recall + 1e-8))


def summary_rouge(kind: str, prediction: str, gold: str) -> float:
  """The F1 in [0, 1] of ROUGE as the summarization literature reports it.

  Words are runs of a-z and 0-9 after lower-casing, stemmed by Porter's algorithm where
  they have more than three letters; other scripts have no words and score 0.

  Args:
    kind: 'rouge1', 'rouge2', 'rougeL' (of the whole text) or 'rougeLsum' (of
      sentences; what ROUGE-1.5.5 calls ROUGE-L). On both sides a sentence ends with its
      line or by the rules of `text.segmentation`, as T5 cannot write a line break.
    prediction: a summary.
    gold: the one to compare with.

  References:
    Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004,
    https://aclanthology.org/W04-1013
    https://github.com/google-research/google-research/tree/master/rouge
  """
  if kind == 'rougeL':
    theirs, ours = _tokens(gold), _tokens(prediction)
    same = subsequences.length(theirs, ours)
    return _f(same, len(ours), len(theirs))
  if kind == 'rougeLsum':
    return _of_sentences(_sentences(prediction), _sentences(gold))
  return float(_summary_scorer(kind).score(gold, prediction)[kind].fmeasure)


# Name -> function(prediction, golds) -> float in [0, 1].
METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
  'em': exact_match,
  'f1': f1,
  'accuracy': accuracy,
  'match': match,
  'rougeL': functools.partial(best, kilt_rouge_l),
  'trivia_em': functools.partial(exact_match, normalize=normalize_trivia),
  'trivia_f1': functools.partial(f1, normalize=normalize_trivia),
  **{
    f'summary_{kind}': functools.partial(best, functools.partial(summary_rouge, kind))
    for kind in ('rouge1', 'rouge2', 'rougeL', 'rougeLsum')
  },
}


def table(
  predictions: Sequence[str], golds: Sequence[Sequence[str]], names: Sequence[str]
) -> dict[str, np.ndarray]:
  """The scores of Q questions by each metric, name -> [Q] float64.

  >>> table(['Nile', ''], [['Nile'], ['Po']], ['em'])
  {'em': array([1., 0.])}

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
  return _f(same, predicted.total(), len(wanted))


def _f(same: int, predicted: int, wanted: int) -> float:
  """F1 of a number of common words, and of those on each side."""
  if same == 0:
    return 0.0
  precision, recall = same / predicted, same / wanted
  return 2 * precision * recall / (precision + recall)


def _of_sentences(ours: list[list[str]], theirs: list[list[str]]) -> float:
  """The F1 of union LCS, where no word counts more often than it occurs.

  References:
    Lin, 2004, section 3.2; `rouge_scorer._summary_level_lcs` of rouge-score.
  """
  left = collections.Counter(itertools.chain(*ours))
  hits = 0
  for sentence in theirs:
    union = set()
    for other in ours:
      union.update(subsequences.indices(sentence, other, shorten_y=False))
    for i in union:
      if left[sentence[i]] > 0:  # In `theirs` it occurs where it was found.
        left[sentence[i]] -= 1
        hits += 1
  return _f(hits, sum(map(len, ours)), sum(map(len, theirs)))


def _sentences(text: str) -> list[list[str]]:
  """The words of each sentence."""
  lines = text.split('\n')
  parts = [line[a:b] for line in lines for a, b in segmentation.sentences(line)]
  return [_tokens(part) for part in parts]


def _tokens(text: str) -> list[str]:
  return _tokenizer().tokenize(text)


@functools.cache
def _tokenizer():
  from rouge_score import tokenizers  # brings nltk, whose import takes a while

  return tokenizers.DefaultTokenizer(use_stemmer=True)


@functools.cache
def _summary_scorer(kind):
  from rouge_score import rouge_scorer

  return rouge_scorer.RougeScorer([kind], use_stemmer=True)
