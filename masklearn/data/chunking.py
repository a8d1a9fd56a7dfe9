"""Documents cut into passages: by words for the corpus, by tokens for a model."""

import bisect
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from masklearn import text
from masklearn.types import Passage, Span

T = TypeVar('T')

USUAL = 10  # characters of a word, or more
TOKENS = 36  # of a character at most: one is 18 letters of two bytes in NFKC


def chunk(document: Passage, words: int) -> Iterator[Passage]:
  """Yields the passages of a document, of at most `words` words each.

  A passage has as many whole sentences as fit, of the document's own or, where it has
  none, those of `text.sentences`. A sentence that alone is too long is cut after every
  `words` words. Words are those of `text.spaced`, by the white space between them, and
  none is cut; the white space between passages is lost, and a span that a cut goes
  through. The passages of document X are X/0, X/1, ..., or X if it is one.

  Args:
    document: of any length.
    words: of a passage at most; 0 leaves documents whole.

  >>> [p.text for p in chunk(Passage('x', 'It rains. We stay. Why not?'), 4)]
  ['It rains. We stay.', 'Why not?']

  References:
    Karpukhin et al., Dense Passage Retrieval for Open-Domain Question Answering,
    section 4.1 (100 words, there without regard to sentences).
    https://arxiv.org/abs/2004.04906
  """
  body = document.text
  # In texts much longer than usual words, it is cheaper to count sentence by sentence.
  few = len(body) <= USUAL * words and len(text.spaced(body)) <= words
  if not words or few:
    yield document
    return
  pieces: list[tuple[int, int]] = []
  room = 0
  for start, end in _sentences(document):
    found = text.spaced(body[start:end])
    if len(found) <= words:
      units = [(start, end, len(found))] if found else []
    else:
      parts = [found[i : i + words] for i in range(0, len(found), words)]
      units = [(start + p[0][0], start + p[-1][1], len(p)) for p in parts]
    for first, last, count in units:
      if pieces and count <= room:
        pieces[-1] = pieces[-1][0], last
        room -= count
      else:
        pieces.append((first, last))
        room = words - count
  yield from _pieces(document, pieces) if len(pieces) > 1 else [document]


def split_passages(
  passages: Iterable[Passage], length: Callable[[str], int], longest: int
) -> list[Passage]:
  """Passages of at most `longest` tokens, cut between sentences.

  A sentence that alone is too long is cut between words, and such a word between
  graphemes; a span that a cut goes through is lost. The pieces of passage X are X/0,
  X/1, ...

  Args:
    passages: any length.
    length: text -> number of its tokens.
    longest: tokens that the model reads at once.

  >>> passage = Passage('x', 'It rains. We stay here.')
  >>> [(p.id, p.text) for p in split_passages([passage], lambda t: len(t.split()), 4)]
  [('x/0', 'It rains.'), ('x/1', 'We stay here.')]
  """
  return [piece for piece, _ in fit_passages(passages, length, longest, int)]


def fit_passages(
  passages: Iterable[Passage],
  encode: Callable[[str], T],
  longest: int,
  length: Callable[[T], int] = lambda encoding: len(encoding.ids),
) -> Iterator[tuple[Passage, T]]:
  """Yields the passages of `split_passages`, each with its encoding.

  Args:
    passages: any length.
    encode: text -> its encoding, such as `Tokenizer.encode`. A passage that fits is
      encoded once; of others so are the sentences, and a few candidates for each piece:
      as much in all as the passage is long.
    longest: tokens that the model reads at once.
    length: encoding -> number of its tokens.
  """
  for passage in passages:
    body = passage.text
    whole = encode(body)
    if length(whole) <= longest:
      yield passage, whole
      continue

    def fits(encoding):
      return length(encoding) <= longest

    once = functools.cache(encode)  # a sentence may be a piece
    units = list(_units(passage, once, fits, longest))
    # Characters that are about as many tokens as fit.
    room = len(body) * longest // length(whole)
    pieces, encodings = [], []
    first = 0
    while first < len(units):
      behind, found = _most(body, units, first, once, fits, room)
      pieces.append((units[first][0], units[behind - 1][1]))
      encodings.append(found)
      first = behind
    yield from zip(_pieces(passage, pieces), encodings, strict=True)


def _units(passage, encode, fits, longest) -> Iterator[tuple[int, int]]:
  """Yields the characters of all that no cut goes through, as long as that is possible.

  Sentences, the words of one that alone does not fit, and the graphemes of such a word.
  """
  body = passage.text
  for start, end in _sentences(passage):
    if fits(encode(body[start:end])):
      yield start, end
      continue
    for first, last in text.words(body[start:end]):
      first, last = start + first, start + last
      short = (last - first) * TOKENS <= longest
      if short or fits(encode(body[first:last])):
        yield first, last
      else:
        yield from ((first + a, first + b) for a, b in text.graphemes(body[first:last]))


def _most(body, units, first, encode, fits, room) -> tuple[int, T]:
  """How many units fit in one piece, from `first` on: up to which, and the encoding.

  At least one. The number is guessed, and then enclosed, in steps that double.
  """
  start = units[first][0]

  def encoded(behind):
    return encode(body[start : units[behind - 1][1]])

  # The first number fits, or is one, which has to do; the second does not fit.
  low, high = first + 1, len(units) + 1
  found = None
  guess = bisect.bisect(units, start + room, low, key=lambda unit: unit[1])
  step = 1
  while low + 1 < high:
    guess = min(max(guess, low + 1), high - 1)
    tried = encoded(guess)
    if fits(tried):
      low, found = guess, tried
      guess = low + step if high > len(units) else (low + high) // 2
    else:
      high = guess
      guess = high - step if low == first + 1 else (low + high) // 2
    step *= 2
  return low, encoded(low) if found is None else found


def _sentences(passage: Passage) -> Iterator[tuple[int, int]]:
  """Yields the characters from one sentence to the next, white space at the end left.

  From start to start, so that no text between sentences is lost.
  """
  bounds = passage.sentences or text.sentences(passage.text)
  cuts = [0, *(start for start, _ in bounds[1:]), len(passage.text)]
  for start, end in itertools.pairwise(cuts):
    yield start, start + len(passage.text[start:end].rstrip())


def _pieces(passage: Passage, bounds: Sequence[tuple[int, int]]) -> Iterator[Passage]:
  """Yields the parts of a passage, with what lies within them."""
  salient = passage.salient
  shares = zip(
    bounds,
    _shares(passage.spans, bounds),
    _shares([Span(*s) for s in passage.sentences], bounds, partly=True),
    _shares(salient or (), bounds),
    strict=True,
  )
  for i, ((start, end), spans, sentences, found) in enumerate(shares):
    yield dataclasses.replace(
      passage,
      id=f'{passage.id}/{i}',
      text=passage.text[start:end],
      spans=spans,
      sentences=tuple(s[:2] for s in sentences),
      salient=None if salient is None else found,
    )


def _shares(spans, bounds, partly=False) -> list[tuple[Span, ...]]:
  """The spans in each part of a text, moved to its start; both are in order."""
  shares = [[] for _ in bounds]
  at = 0
  for first, last, label in spans:
    while at < len(bounds) and bounds[at][1] <= first:
      at += 1
    for i in range(at, len(bounds)):
      start, end = bounds[i]
      if last <= start:
        break
      if partly or (start <= first and last <= end):
        moved = max(first, start) - start, min(last, end) - start
        shares[i].append(Span(*moved, label))
  return [tuple(share) for share in shares]
