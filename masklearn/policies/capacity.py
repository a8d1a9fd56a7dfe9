"""The longest target of a draw: what arrays must have room for."""

import math

import numpy as np

from masklearn.policies import heuristic, pretraining
from masklearn.types import Batch, InputError, Specials

AT_ONCE = 4_096  # passages


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
  parts = [np.zeros(0, np.int32)]
  for sizes in _word_sizes(passages):
    words = sizes.shape[1]
    sizes = np.pad(sizes, ((0, 0), (0, longest)))
    runs = sum(sizes[:, n : words + n] for n in range(longest))
    parts.append((runs.max(1) + 2).astype(np.int32))
  return np.concatenate(parts)


def _largest(passages, budget):
  """The tokens of the `budget(words)` largest words, and their number: [2, P] int32."""
  words = np.array([budget(n) for n in range(passages.word.shape[1] + 1)], np.int32)
  parts = [np.zeros((2, 0), np.int32)]
  for sizes in _word_sizes(passages):
    count = np.where(sizes, np.arange(1, sizes.shape[1] + 1), 0).max(1)
    taken = words[count][:, None]
    # Radix sort, which NumPy has for narrow numbers, takes a third of the time.
    largest = np.sort(sizes.astype(np.uint16), axis=1, kind='stable')[:, ::-1].cumsum(1)
    last = np.clip(taken - 1, 0, sizes.shape[1] - 1)
    hidden = np.where(taken > 0, np.take_along_axis(largest, last, axis=1), 0)
    parts.append(np.concatenate([hidden, taken], axis=1).T.astype(np.int32))
  return np.concatenate(parts, axis=1)


def _word_sizes(passages):
  """Yields the tokens of every word of some passages after others, [P, W]."""
  for first in range(0, len(passages.word), AT_ONCE):
    some = slice(first, first + AT_ONCE)
    word, valid = passages.word[some], passages.valid[some]
    count, words = word.shape  # at most as many as tokens
    place = word + words * np.arange(count)[:, None]
    found = np.bincount(place[valid], minlength=count * words)
    yield found.reshape(count, words)


def _check(claim, spans, ids, more=', or lower the rate'):
  if ids.sentinels and spans.max(initial=0) > len(ids.sentinels):
    raise InputError(
      f'{claim}, but the tokenizer has {len(ids.sentinels)} sentinels. Split the '
      f'corpus into shorter passages{more}.'
    )
