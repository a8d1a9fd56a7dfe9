"""Texts in, what a policy hides out: `masklearn.mask_texts`."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from masklearn.masking import infill
from masklearn.masking.apply import ROWS, Masker, choose
from masklearn.text.collocations import Collocations
from masklearn.types import InputError, Passage

LENGTH = 254  # tokens of a passage


class MaskedText(NamedTuple):
  """A text, or a part of a long one, with what a draw of a policy hides of it."""

  text: str
  spans: tuple[tuple[int, int, float], ...]  # characters [start, end), probability
  source: str  # with markers in place of the hidden spans
  target: str


def mask_texts(
  texts: Iterable[str],
  policy: str,
  *,
  rate: float | None = None,
  tokenizer: str = '',
  format: str = 't5',
  target: str = 'spans',
  reference: str = '',
  collocations: Collocations | None = None,
  seed: int = 0,
) -> list[MaskedText]:
  """What a policy hides of each text, and the pair that a model learns from.

  Args:
    texts: in which no marker of the format may stand.
    policy: a name of `POLICIES`, or a directory that policy learning has left.
    rate: share of the words to hide; None for the policy's own, or 0.15.
    tokenizer: a file, a directory or a Hugging Face name; '' takes words for tokens.
    format: how hidden spans are marked, 't5' or 'bart'.
    target: 'spans', or 'full' for the whole text.
    reference: of policies that move another one's spans: its name or directory.
    collocations: of a corpus, for policies that need them, see `text.collocations`.
    seed: of the draws; text i is masked alike whatever stands beside it.

  Returns:
    One for each text, in their order, and of a text of more than 254 tokens several;
    between sentences, or words, or within a word that is too long.

  Raises:
    InputError: an unknown policy, one that needs more than it was given, or a text that
      cannot be masked; says which.

  >>> masked, = mask_texts(['It lies near Oslo, in Norway.'], 'salient', rate=0.3)
  >>> [masked.text[start:end] for start, end, _ in masked.spans]
  ['Oslo', 'Norway']
  """
  infill.check(format, target)
  chosen = choose(
    policy, form=format, rate=rate, tokenizer=tokenizer, reference=reference
  )
  masker = Masker(chosen, seed, min(LENGTH, chosen.longest), format, collocations)
  passages, numbers = [], []
  for i, body in enumerate(texts):
    try:
      body.encode()
    except UnicodeEncodeError:
      problems = ['the text has half a surrogate pair, which has no encoding.']
    else:
      parts, problems, _ = masker.cut(Passage(f'texts[{i}]', body))
    if problems:
      raise InputError(f'texts[{i}]: {problems[0]}')
    passages += parts
    numbers += [(i, part) for part in range(len(parts))]
  masked = []
  for first in range(0, len(passages), ROWS):
    some = slice(first, first + ROWS)
    finish = masker.start(passages[some], np.array(numbers[some], np.int32))
    masked += [
      MaskedText(hidden.passage.text, tuple(hidden.spans), *hidden.pair(format, target))
      for hidden in finish()
    ]
  return masked
