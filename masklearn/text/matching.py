"""Places of phrases in a text, in other forms than their own."""

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


def prefix_occurrences(
  text: str, phrases: Iterable[str]
) -> dict[str, tuple[Span, ...]]:
  """Every place whose words begin with those of a phrase, in any case.

  For answers that words are derived from, in whichever way; many more words begin so
  by chance. A word of one or two letters has to be the same.

  Args:
    text: where to look.
    phrases: what to look for; the places of one may overlap those of another.

  Returns:
    Phrase -> its spans, in order.

  >>> prefix_occurrences('Tynemouth is in England.', ['Tyne', 'In', 'the Tyne'])
  {'Tyne': (Span(start=0, end=9, label=''),), 'In': (Span(start=13, end=15, \
label=''),), 'the Tyne': ()}
  """
  bounds = segmentation.words(text)
  words = [text[a:b].casefold() for a, b in bounds]

  def begins(word, wanted):
    return word.startswith(wanted) if len(wanted) > 2 else word == wanted

  found = {}
  for phrase in dict.fromkeys(phrases):
    folded = phrase.casefold()
    wanted = [folded[a:b] for a, b in segmentation.words(folded)]
    found[phrase] = tuple(
      Span(bounds[at][0], bounds[at + len(wanted) - 1][1])
      for at in range(len(words) - len(wanted) + 1 if wanted else 0)
      if all(map(begins, words[at : at + len(wanted)], wanted))
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
