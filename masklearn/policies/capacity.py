"""The longest target of a draw: what arrays must have room for."""

import math

import numpy as np

from masklearn.policies import heuristic, pretraining
from masklearn.types import Batch, InputError, Specials


def word_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length that the `spans` target of each passage never exceeds at this rate.

  The words with most tokens, each behind a marker of its own, and `</s>`.

  Returns:
    [P] int32.

  Raises:
    InputError: a draw may have more spans than T5 has sentinels.
  """
  hidden, words = _largest(passages, lambda count: max(1, round(rate * count)))
  _check(f'A draw hides up to {words.max(initial=0)} spans of a passage', words, ids)
  return hidden + words + 1


def part_capacity(passages: Batch, parts: int, ids: Specials) -> np.ndarray:
  """Length of the `spans` target of each passage, of whose words a part is hidden.

  As `word_capacity`, for one of so many parts of equal numbers of words.

  Returns:
    [P] int32.

  Raises:
    InputError: a part may have more words than T5 has sentinels.
  """
  hidden, words = _largest(passages, lambda count: -(-count // parts))
  claim = f'One of {parts} parts has up to {words.max(initial=0)} words of a passage'
  _check(claim, words, ids, ', or make more parts')
  return hidden + words + 1


def span_capacity(passages: Batch, longest: int) -> int:
  """Length T that no target of a single span exceeds.

  Its marker, up to `longest` words with most tokens, and `</s>`.
  """
  return int(_span_lengths(passages, longest).max(initial=0))


def one_span_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length that the `spans` target of each passage never exceeds under `one_span`.

  Returns:
    [P] int32.
  """
  del rate, ids
  return _span_lengths(passages, heuristic.ONE_SPAN)


def token_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length of the `spans` target of each passage under `random_token`.

  Returns:
    [P] int32.

  Raises:
    InputError: a draw may have more spans than T5 has sentinels.
  """
  budget = pretraining.token_budget(passages.tokens.shape[1], rate)
  hidden = budget[passages.valid.sum(1)]
  claim = f'A draw hides {hidden.max(initial=0)} single tokens of a passage'
  _check(claim, hidden, ids)
  return 2 * hidden + 1  # each behind a marker, and `</s>`


def original_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length that the `spans` target of each passage never exceeds under `original`.

  The rate is the objective's own, whatever the others have.

  Returns:
    [P] int32.

  Raises:
    InputError: a draw may have more spans than T5 has sentinels.
  """
  del rate
  if ids.sentinels:
    sizes = passages.tokens.shape[1], pretraining.T5_RATE, pretraining.MEAN_LENGTH
    hidden, spans = pretraining.t5_sizes(*sizes)[:, passages.valid.sum(1)]
    longest = passages.valid.sum(1).max(initial=0)
    claim = f'T5 hides {spans.max(initial=0)} spans of a passage of {longest} tokens'
    _check(claim, spans, ids, '')
  else:
    hidden, spans = _largest(
      passages, lambda count: math.ceil(pretraining.BART_RATE * count)
    )
  return hidden + spans + 1


def _span_lengths(passages, longest):
  """The longest target of a single span of each passage [P] int32."""
  found = np.zeros(len(passages.word), np.int32)
  for row, (word, valid) in enumerate(zip(passages.word, passages.valid, strict=True)):
    sizes = np.pad(np.bincount(word[valid]), (0, longest))
    runs = sum(sizes[n : len(sizes) - longest + n] for n in range(longest))
    found[row] = runs.max() + 2
  return found


def _largest(passages, budget):
  """The tokens of the `budget(words)` largest words, and their number: [2, P] int32."""
  found = np.zeros((2, len(passages.word)), np.int32)
  for row, (word, valid) in enumerate(zip(passages.word, passages.valid, strict=True)):
    sizes = np.sort(np.bincount(word[valid]))[::-1]
    words = budget(len(sizes))
    found[:, row] = sizes[:words].sum(), words
  return found


def _check(claim, spans, ids, more=', or lower the rate'):
  if ids.sentinels and spans.max(initial=0) > len(ids.sentinels):
    raise InputError(
      f'{claim}, but the tokenizer has {len(ids.sentinels)} sentinels. Split the '
      f'corpus into shorter passages{more}.'
    )
