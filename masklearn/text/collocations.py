"""Collocations of a corpus: n-grams of words that go together more than by chance.

  PMI_n(w_1 .. w_n) = min over segmentations of  log p(w_1 .. w_n) / prod_s p(s)

where a segmentation cuts the n-gram into two or more parts s, and p is the share that
an n-gram has of all of its length. So "the united states" is no collocation because
"united states" is one: a part that explains the rest leaves nothing.

Words count in lower case, and n-grams reach over no mark and no end of a sentence. The
best of each length are taken, in the proportions of the paper, until they hold about
half of the corpus's words, as in the paper too; so the list grows with the corpus.

Memory: at most `CAPACITY` n-grams are counted, in roughly 200 bytes each. When there
are more, the rarer half is forgotten, up to a count c. So no n-gram is ever counted too
often, and none is undercounted by more than the sum of these c, the `undercount`; where
it is 0, all counts are exact.

References:
  Levine et al., PMI-Masking: Principled Masking of Correlated Spans (2021), section 3,
  equation 3; and the README of its lists, https://github.com/AI21Labs/pmi-masking, for
  the proportions. (The published lists square p(w_1 .. w_n).) Manku and Motwani,
  Approximate Frequency Counts over Data Streams (2002), for what counting with a
  bounded table can promise.
"""

import bisect
import collections
import dataclasses
import functools
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator

from masklearn.io import files
from masklearn.text import segmentation
from masklearn.types import InputError, Passage

LONGEST = 5  # words
PROPORTIONS = {2: 0.5, 3: 0.25, 4: 0.125, 5: 0.125}  # of the list, by words
CAPACITY = 2_000_000  # n-grams whose counts are in memory


@dataclasses.dataclass(frozen=True)
class Collocations:
  """A list of n-grams, and how it was made."""

  ngrams: tuple[str, ...]  # lower case, single spaces; the best of each length first
  words: int  # of the corpus
  minimum: int  # times that an n-gram has to occur
  coverage: float  # share of the words that the list was meant to hold
  undercount: int  # by how much any count may be too small

  @functools.cached_property
  def _first(self) -> dict[str, tuple[int, ...]]:
    """First word -> the lengths of the n-grams that begin with it, longest first."""
    found = collections.defaultdict(set)
    for ngram in self.ngrams:
      first, *rest = ngram.split(' ')
      found[first].add(len(rest) + 1)
    return {word: tuple(sorted(sizes)[::-1]) for word, sizes in found.items()}

  @functools.cached_property
  def _known(self) -> frozenset[str]:
    return frozenset(self.ngrams)

  def units(self, passage: Passage) -> list[tuple[int, int]]:
    """The passage cut into collocations and single words: characters of each.

    From left to right, the longest collocation that begins at a word; marks are words
    here, as they are for every policy.
    """
    units, behind = [], 0
    for run in _runs(passage, marks=True):
      words = [passage.text[a:b].lower() for a, b in run]
      behind = 0
      for i, (start, end) in enumerate(run):
        if i < behind:
          continue
        for n in self._first.get(words[i], ()):
          if ' '.join(words[i : i + n]) in self._known and i + n <= len(run):
            behind, end = i + n, run[i + n - 1][1]
            break
        units.append((start, end))
    return units


def count(
  passages: Iterable[Passage],
  minimum: int = 10,
  coverage: float = 0.5,
  capacity: int = CAPACITY,
) -> Collocations:
  """The collocations of a corpus, which is read once.

  Args:
    passages: the corpus.
    minimum: times that an n-gram has to occur.
    coverage: share of the corpus's words that the list may hold, were no occurrence
      inside another.
    capacity: n-grams whose counts are in memory.
  """
  if minimum < 2 or not 0 < coverage <= 1:
    raise InputError(
      'Collocations occur at least twice and hold a share of the words in (0, 1], got '
      f'minimum={minimum}, coverage={coverage}.'
    )
  counts: collections.Counter[str] = collections.Counter()
  totals, undercount = [0] * (LONGEST + 1), 0
  for passage in passages:
    for run in _runs(passage):
      words = [passage.text[a:b].lower() for a, b in run]
      for n in range(1, min(LONGEST, len(words)) + 1):
        totals[n] += len(words) - n + 1
        counts.update(map(' '.join, zip(*(words[k:] for k in range(n)), strict=False)))
    if len(counts) > capacity:
      least = sorted(counts.values())[len(counts) // 2]
      undercount += least
      counts = collections.Counter({k: c for k, c in counts.items() if c > least})
  ngrams = _best(counts, totals, minimum, coverage)
  return Collocations(tuple(ngrams), totals[1], minimum, coverage, undercount)


def load_or_count(path: str | os.PathLike, passages: Iterable[Passage]) -> Collocations:
  """Reads the collocations of a corpus from a file, or counts them and writes it."""
  if not pathlib.Path(path).exists():
    files.write_json(path, dataclasses.asdict(count(passages)))
  return read(path)


def read(path: str | os.PathLike) -> Collocations:
  """Reads what `load_or_count` wrote.

  Raises:
    InputError: it is something else.
  """
  try:
    said = files.read_json(path)
    found = Collocations(**said)
    if not all(isinstance(ngram, str) for ngram in found.ngrams):
      raise TypeError('an n-gram is no string')
  except (OSError, ValueError, TypeError) as error:
    raise InputError(f'{path} is no file of collocations: {error}.') from error
  return dataclasses.replace(found, ngrams=tuple(found.ngrams))


def pmi(ngram: str, counts: collections.Counter, totals: list[int]) -> float:
  """PMI_n of an n-gram of two or more words, in nats.

  Args:
    ngram: words with single spaces.
    counts: of n-grams of all lengths; one that was forgotten counts as often as what
      contains it.
    totals: all n-grams of each number of words.
  """
  words = ngram.split(' ')
  at_least = counts[ngram]

  @functools.cache
  def log_p(start, stop):
    found = max(counts.get(' '.join(words[start:stop]), 0), at_least)
    return math.log(found / totals[stop - start])

  @functools.cache
  def likeliest(start, stop):
    """Of all ways to cut a part, or to leave it whole."""
    return max(log_p(start, stop), cut(start, stop))

  def cut(start, stop):
    ways = (likeliest(start, k) + likeliest(k, stop) for k in range(start + 1, stop))
    return max(ways, default=-math.inf)

  return log_p(0, len(words)) - cut(0, len(words))


def _best(counts, totals, minimum, coverage) -> Iterator[str]:
  """The best n-grams of each length that together stay within the share of words."""
  ranked = {n: [] for n in PROPORTIONS}
  for ngram, times in counts.items():
    n = ngram.count(' ') + 1
    if n > 1 and times >= minimum:
      score = pmi(ngram, counts, totals)
      if score > 0:
        ranked[n].append((-score, ngram))
  held = {}  # words in the first k n-grams of a length
  for n, found in ranked.items():
    found.sort()
    sizes = (n * counts[ngram] for _, ngram in found)
    held[n] = list(itertools.accumulate(sizes, initial=0))

  def taken(size):
    parts = {n: min(round(size * p), len(ranked[n])) for n, p in PROPORTIONS.items()}
    return parts, sum(held[n][k] for n, k in parts.items())

  # The largest list that holds no more; no list can be longer than all there are.
  sizes = range(int(max(len(ranked[n]) / p for n, p in PROPORTIONS.items())) + 2)
  behind = bisect.bisect(sizes, coverage * totals[1], key=lambda size: taken(size)[1])
  for n, k in taken(behind - 1)[0].items():
    yield from (ngram for _, ngram in ranked[n][:k])


def _runs(passage: Passage, marks: bool = False) -> Iterator[list[tuple[int, int]]]:
  """Words that stand together: no mark and no end of a sentence between them.

  A sentence of `segmentation.sentences` ends with a mark; only those that came with
  the passage need to be looked at. With `marks`, each mark is a run of its own.
  """
  body, run = passage.text, []
  ends = {start for start, _ in passage.sentences}
  for start, end in segmentation.words(body):
    mark = not (body[start].isalnum() or body[start] == '_')
    if (mark or start in ends) and run:
      yield run
      run = []
    if not mark:
      run.append((start, end))
    elif marks:
      yield [(start, end)]
  if run:
    yield run
