"""The longest target of a draw: what arrays must have room for."""

import math

import numpy as np

from masklearn.policies import pretraining
from masklearn.types import Batch, InputError, Specials


def word_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length that the `spans` target of each passage never exceeds at this rate.

  The words with most tokens, each behind a marker of its own, and `</s>`.

  Returns:
    [P] int32.

  Raises:
    InputError: a draw may have more spans than T5 has sentinels.
  """
  lengths = np.zeros(len(passages.word), np.int32)
  for row, (word, valid) in enumerate(zip(passages.word, passages.valid, strict=True)):
    sizes = np.sort(np.bincount(word[valid]))[::-1]
    words = max(1, round(rate * len(sizes)))
    if ids.sentinels and words > len(ids.sentinels):
      raise InputError(
        f'A draw hides up to {words} spans of a passage, but the tokenizer has '
        f'{len(ids.sentinels)} sentinels. Split the corpus into shorter passages, or '
        'lower the rate.'
      )
    lengths[row] = sizes[:words].sum() + words + 1
  return lengths


def span_capacity(passages: Batch, longest: int) -> int:
  """Length T that no target of a single span exceeds.

  Its marker, up to `longest` words with most tokens, and `</s>`.
  """
  capacity = 0
  for word, valid in zip(passages.word, passages.valid, strict=True):
    sizes = np.pad(np.bincount(word[valid]), (0, longest))
    runs = sum(sizes[n : len(sizes) - longest + n] for n in range(longest))
    capacity = max(capacity, int(runs.max()) + 2)
  return capacity


def token_capacity(passages: Batch, rate: float, ids: Specials) -> np.ndarray:
  """Length of the `spans` target of each passage under `random_token`.

  Returns:
    [P] int32.

  Raises:
    InputError: a draw may have more spans than T5 has sentinels.
  """
  hidden = pretraining.token_budget(passages.tokens.shape[1], rate)[
    passages.valid.sum(1)
  ]
  if ids.sentinels and hidden.max() > len(ids.sentinels):
    raise InputError(
      f'A draw hides {hidden.max()} single tokens of a passage, but the tokenizer has '
      f'{len(ids.sentinels)} sentinels. Split the corpus into shorter passages, or '
      'lower the rate.'
    )
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
  lengths = np.zeros(len(passages.word), np.int32)
  t5 = pretraining.t5_sizes(
    passages.tokens.shape[1], pretraining.T5_RATE, pretraining.MEAN_LENGTH
  )
  for row, (word, valid) in enumerate(zip(passages.word, passages.valid, strict=True)):
    if ids.sentinels:
      hidden, spans = t5[:, valid.sum()]
      if spans > len(ids.sentinels):
        raise InputError(
          f'T5 hides {spans} spans of a passage of {valid.sum()} tokens, but the '
          f'tokenizer has {len(ids.sentinels)} sentinels. Split the corpus into '
          'shorter passages.'
        )
    else:
      sizes = np.sort(np.bincount(word[valid]))[::-1]
      spans = math.ceil(pretraining.BART_RATE * len(sizes))
      hidden = sizes[:spans].sum()
    lengths[row] = hidden + spans + 1
  return lengths
