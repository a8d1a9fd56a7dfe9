"""How long the target of a draw can get: what arrays must have room for."""

import numpy as np

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
