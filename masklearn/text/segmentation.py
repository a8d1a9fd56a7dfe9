"""Words and sentences of a text, as characters [start, end): no tokenizer needed."""

import re
from collections.abc import Iterable

from masklearn.types import Span

_WORD = re.compile(r"\d[\d,.]*\d|\w(?:[\w'’.\-]*\w)?|[^\w\s]")
_SENTENCE_END = re.compile(r'[.!?](["”\')\]]*)\s+(?=["“\'(\[]?[A-Z0-9])')
_ABBREVIATION = re.compile(r'\b(?:[A-Z]|St|Mt|Mr|Mrs|Ms|Dr|Gen|No|vs|ca|approx)\.$')
_LONGEST = len('approx.')


def words(text: str) -> list[tuple[int, int]]:
  """Characters of each word: letters and digits with inner ' . -, or one mark.

  >>> text = "N'Djamena (U.S.) paid Guinea-Bissau 3,450.5."
  >>> [text[a:b] for a, b in words(text)]
  ["N'Djamena", '(', 'U.S', '.', ')', 'paid', 'Guinea-Bissau', '3,450.5', '.']
  """
  return [m.span() for m in _WORD.finditer(text)]


def sentences(text: str) -> list[tuple[int, int]]:
  """Characters of each sentence, by rule: a full stop, a space and a capital.

  >>> sentences('Mt. Etna is "high". On 6 August it had 3,450.5 m.')
  [(0, 19), (20, 49)]
  """
  bounds, start = [], 0
  for match in _SENTENCE_END.finditer(text):
    stop, last = match.span(1)
    if _ABBREVIATION.search(text, max(start, stop - _LONGEST), stop):
      continue
    bounds.append((start, last))
    start = match.end()
  if text[start:].strip():
    bounds.append((start, len(text.rstrip())))
  return bounds


def occurrences(text: str, phrases: Iterable[str]) -> dict[str, tuple[Span, ...]]:
  """Every place where a phrase begins and ends as `words` do, in its case.

  Args:
    text: where to look.
    phrases: what to look for; the places of one may overlap those of another.

  Returns:
    Phrase -> its spans, in order.

  >>> occurrences('Guinea-Bissau borders Guinea.', ['Guinea'])
  {'Guinea': (Span(start=22, end=28, label=''),)}
  """
  bounds = words(text)
  starts, ends = {start for start, _ in bounds}, {end for _, end in bounds}
  found = {}
  for phrase in dict.fromkeys(phrases):
    spans, at = [], text.find(phrase) if phrase else -1
    while at >= 0:
      if at in starts and at + len(phrase) in ends:
        spans.append(Span(at, at + len(phrase)))
      at = text.find(phrase, at + 1)
    found[phrase] = tuple(spans)
  return found
