"""Words and sentences of a text, as characters [start, end): no tokenizer needed."""

import re

_WORD = re.compile(r"\d[\d,.]*\d|\w(?:[\w'’.\-]*\w)?|[^\w\s]")
_SENTENCE_END = re.compile(r'[.!?](["”\')\]]*)\s+(?=["“\'(\[]?[A-Z0-9])')
_ABBREVIATION = re.compile(r'\b(?:[A-Z]|St|Mt|Mr|Mrs|Ms|Dr|Gen|No|vs|ca|approx)\.$')
_LONGEST = len('approx.')


def words(text: str) -> list[tuple[int, int]]:
  """Characters of each word: letters and digits with inner ' . -, or one mark."""
  return [m.span() for m in _WORD.finditer(text)]


def sentences(text: str) -> list[tuple[int, int]]:
  """Characters of each sentence, by rule: a full stop, a space and a capital."""
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
