"""Places of phrases in a text, whatever their case and inflection."""

import collections
import functools
from collections.abc import Iterable

from masklearn.text import segmentation
from masklearn.types import Span


def loose_occurrences(text: str, phrases: Iterable[str]) -> dict[str, tuple[Span, ...]]:
  """Every place where the words of a phrase stand, by their Porter stems.

  Marks count as words. For English; in other languages words are compared without
  their case.

  Args:
    text: where to look.
    phrases: what to look for; the places of one may overlap those of another.

  Returns:
    Phrase -> its spans, in order.

  >>> loose_occurrences('Republics pay in Euros.', ['republic', 'the euro', 'euro'])
  {'republic': (Span(start=0, end=9, label=''),), 'the euro': (), \
'euro': (Span(start=17, end=22, label=''),)}

  References:
    Porter, An Algorithm for Suffix Stripping (1980), as nltk has it.
  """
  bounds = segmentation.words(text)
  stems = tuple(_stem(text[a:b].casefold()) for a, b in bounds)
  places = collections.defaultdict(list)
  for place, stem in enumerate(stems):
    places[stem].append(place)
  found = {}
  for phrase in dict.fromkeys(phrases):
    wanted = _stems(phrase)
    found[phrase] = tuple(
      Span(bounds[at][0], bounds[at + len(wanted) - 1][1])
      for at in (places.get(wanted[0], ()) if wanted else ())
      if stems[at : at + len(wanted)] == wanted
    )
  return found


@functools.lru_cache(maxsize=2**16)
def _stems(phrase):
  folded = phrase.casefold()
  return tuple(_stem(folded[a:b]) for a, b in segmentation.words(folded))


@functools.lru_cache(maxsize=2**17)
def _stem(word):
  return _stemmer().stem(word)


@functools.cache
def _stemmer():
  from nltk.stem import porter  # its import takes a while

  return porter.PorterStemmer()
