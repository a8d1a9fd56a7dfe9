"""Documents cut into passages: by words for the corpus, by tokens for a model."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from masklearn import text
from masklearn.types import Passage, Span

T = TypeVar('T')

USUAL = 10  # characters of a word, or more
_WORD = re.compile(r'\S+')


def chunk(document: Passage, words: int) -> Iterator[Passage]:
  """Yields the passages of a document, of at most `words` words each.

  A passage has as many whole sentences as fit, of the document's own or, where it has
  none, those of `text.sentences`. A sentence that alone is too long is cut after every
  `words` words. What white space separates is a word, and none is cut; the white space
  between passages is lost, and a span that a cut goes through. The passages of document
  X are X/0, X/1, ..., or X if it is one.

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
  few = len(body) <= USUAL * words and len(body.split()) <= words
  if not words or few:
    yield document
    return
  pieces: list[tuple[int, int]] = []
  room = 0
  for start, end in _sentences(document):
    size = len(body[start:end].split())
    if size <= words:
      units = [(start, end, size)] if size else []
    else:
      found = [m.span() for m in _WORD.finditer(body, start, end)]
      parts = [found[i : i + words] for i in range(0, size, words)]
      units = [(part[0][0], part[-1][1], len(part)) for part in parts]
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

  A sentence that alone is too long is cut between words, and a span that a cut goes
  through is lost. The pieces of passage X are X/0, X/1, ...

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
      encoded once; of others so are the sentences, and each piece as it grows.
    longest: tokens that the model reads at once.
    length: encoding -> number of its tokens.
  """
  for passage in passages:
    body = passage.text
    whole = encode(body)
    if length(whole) <= longest:
      yield passage, whole
      continue
    units: list[tuple[int, int, T | None]] = []
    for start, end in _sentences(passage):
      sentence = encode(body[start:end])
      if length(sentence) <= longest:
        units.append((start, end, sentence))
      else:
        words = text.words(body[start:end])
        units += [(start + a, start + b, None) for a, b in words]
    pieces: list[tuple[int, int]] = []
    encodings: list[T | None] = []
    for start, end, own in units:
      if pieces:
        grown = encode(body[pieces[-1][0] : end])
        if length(grown) <= longest:
          pieces[-1], encodings[-1] = (pieces[-1][0], end), grown
          continue
      pieces.append((start, end))
      encodings.append(own)
    for piece, found in zip(_pieces(passage, pieces), encodings, strict=True):
      yield piece, encode(piece.text) if found is None else found


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
