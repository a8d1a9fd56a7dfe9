"""ROUGE of one prediction against one gold text, in the two forms that are reported.

KILT reports that of the package `rouge`, summarization that of `rouge-score`. They
share a name and little else: tokens, stemming and the counting of repeated words
differ.
"""

import contextlib
import functools
import sys


def kilt_rouge_l(prediction: str, gold: str) -> float:
  """Returns the F1 in [0, 1] of KILT's ROUGE-L, without any normalization.

  It is summary-level ROUGE-L over *distinct* words, case and punctuation kept, where
  each '.' ends a sentence, also the one in "U.S.":

    P = |LCS words| / |words of prediction|,  R = |LCS words| / |words of gold|,
    F1 = 2 P R / (P + R + 1e-8),

  so a text scores 1 - 5e-9 against itself. A text of nothing but '.' has no sentence
  and scores 0, as KILT's scorer has it. Time and memory grow with the product of the
  numbers of words.

  References:
    https://github.com/facebookresearch/KILT/blob/main/kilt/eval_downstream.py
    https://github.com/pltrdy/rouge
  """
  with _stack_for(len(prediction.split()) + len(gold.split())):
    try:
      (scores,) = _kilt_scorer().get_scores(prediction, gold)
    except ValueError:  # no sentence on one side
      return 0.0
  return float(scores['rouge-l']['f'])


def summary_rouge(kind: str, prediction: str, gold: str) -> float:
  """Returns the F1 in [0, 1] of ROUGE as the summarization literature reports it.

  Words are runs of a-z and 0-9 after lower-casing, stemmed by Porter's algorithm where
  they have more than three letters; other scripts have no words and score 0.

  Args:
    kind: 'rouge1', 'rouge2', 'rougeL' (of the whole text) or 'rougeLsum' (of
      sentences, one a line; what ROUGE-1.5.5 calls ROUGE-L).
    prediction: a summary.
    gold: the one to compare with.

  References:
    Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004,
    https://aclanthology.org/W04-1013
    https://github.com/google-research/google-research/tree/master/rouge
  """
  return float(_summary_scorer(kind).score(gold, prediction)[kind].fmeasure)


@functools.cache
def _kilt_scorer():
  from rouge import rouge  # few need it

  return rouge.Rouge(metrics=['rouge-l'])


@functools.cache
def _summary_scorer(kind):
  from rouge_score import rouge_scorer  # brings nltk, whose import takes a while

  return rouge_scorer.RougeScorer([kind], use_stemmer=True)


@contextlib.contextmanager
def _stack_for(calls: int):
  """Lets Python recurse `calls` deeper than now: the package does, for each word."""
  before = sys.getrecursionlimit()
  if calls < before // 8:
    yield
    return
  sys.setrecursionlimit(before + calls)
  try:
    yield
  finally:
    sys.setrecursionlimit(before)
