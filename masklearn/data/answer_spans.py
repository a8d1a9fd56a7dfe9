"""The places of answers in passages, which supervise a policy and measure it.

A passage may have many questions, and a question several answers that all count,
each at a place of its own; the places may overlap.
"""

import collections
import dataclasses
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from masklearn import text
from masklearn.data import arrays, chunking
from masklearn.types import Answers, Batch, Example, Passage, Span


class Answered(NamedTuple):
  """A passage, and the places of the answers to each of its questions."""

  passage: Passage
  answers: tuple[tuple[Span, ...], ...]


def of_examples(
  examples: Iterable[Example], corpus_passages: Iterable[Passage] = ()
) -> list[Answered]:
  """The gold passages of questions, each once, with all of their answers.

  Questions without a gold passage, or whose answer does not stand in it, are left
  out. A passage's group is that of its questions.

  Args:
    examples: the questions.
    corpus_passages: a gold passage that is part of one of these, of the same group,
      gives way to it, so that a policy learns from texts like those that it will hide:
      "Algeria. Capital: Algiers" for "Algiers". Of several it is one that ends with the
      gold passage, and of these the shortest.
  """
  examples = [e for e in examples if e.context and e.answer_spans]
  wholes: dict[str, list[str]] = {e.group: [] for e in examples if e.group}
  for passage in corpus_passages:
    if passage.group in wholes:
      wholes[passage.group].append(passage.text)
  found: dict[tuple[str, str], list[tuple[Span, ...]]] = collections.defaultdict(list)
  for example in examples:
    part, spans = example.context, _distinct(example.answer_spans)
    around = [whole for whole in wholes.get(example.group, ()) if part in whole]
    if around:
      whole = min(around, key=lambda whole: (not whole.endswith(part), len(whole)))
      at = whole.rfind(part)
      part, spans = whole, tuple(Span(at + a, at + b) for a, b, *_ in spans)
    found[example.group, part].append(spans)
  return [
    Answered(Passage(f'{group or "context"}/{i}', context, group), tuple(spans))
    for i, ((group, context), spans) in enumerate(found.items())
  ]


def by_match(
  passages: Sequence[Passage],
  examples: Iterable[Example],
  occurrences: Callable = text.occurrences,
) -> list[Answered]:
  """The passages that literally contain answers to questions of their group.

  Distant supervision, for tasks without gold passages: a match may be accidental. An
  answer counts where it stands as whole words, in the case of the target; of a
  question each target, everywhere. A question without a group is looked for in all
  passages, and so is every question where no passage has a group.

  Args:
    passages: where to look.
    examples: the questions.
    occurrences: `text.occurrences`; `text.loose_occurrences` for any case and
      inflection, `text.prefix_occurrences` for words that begin with those of answers.
  """
  loose = occurrences is not text.occurrences
  grouped = any(passage.group for passage in passages)
  asked: dict[str, list[tuple[str, ...]]] = collections.defaultdict(list)
  for example in examples:
    asked[example.group if grouped else ''].append(example.targets)
  anywhere = asked.pop('', [])
  begun = {} if loose else _by_first_word(anywhere)
  out = []
  for passage in passages:
    questions = list(asked.get(passage.group, ()))
    if loose:  # The first word may be in another form.
      questions += anywhere
    elif anywhere:
      met = (begun.get(word, ()) for word in _words(passage.text))
      questions += [anywhere[q] for q in sorted(set().union(*met))]
    places = occurrences(passage.text, itertools.chain(*questions))
    found = [_distinct(s for t in targets for s in places[t]) for targets in questions]
    if any(found):
      out.append(Answered(passage, tuple(filter(None, found))))
  return out


def _by_first_word(questions):
  """Word -> the places in `questions` of those that have a target beginning with it."""
  found = collections.defaultdict(set)
  for place, targets in enumerate(questions):
    for target in targets:
      for word in _words(target)[:1]:
        found[word].add(place)
  return found


def _words(body):
  return [unicodedata.normalize('NFC', body[a:b]) for a, b in text.words(body)]


def split(
  answered: Iterable[Answered], length: Callable[[str], int], longest: int
) -> tuple[list[Answered], int]:
  """Pieces of at most `longest` tokens, and how many questions were lost.

  See `chunking.split_passages`. A question is lost if cuts go through all of its
  answers, and a piece without questions is left out.
  """
  out, lost = [], 0
  for passage, questions in answered:
    # The label says whose answer a span is, while the passage is cut.
    spans = (s._replace(label=str(q)) for q, qs in enumerate(questions) for s in qs)
    labelled = dataclasses.replace(passage, spans=tuple(spans))
    pieces = chunking.split_passages([labelled], length, longest)
    lost += len(questions) - len({s.label for piece in pieces for s in piece.spans})
    for piece in pieces:
      each = collections.defaultdict(list)
      for span in piece.spans:
        each[span.label].append(Span(span.start, span.end))
      if each:
        answers = tuple(tuple(spans) for spans in each.values())
        out.append(Answered(dataclasses.replace(piece, spans=()), answers))
  return out, lost


def encode(
  answered: Sequence[Answered], tokenizer: text.Tokenizer, max_length: int
) -> Answers:
  """All passages as numpy arrays, answers as spans of whole words, [P, A].

  Args:
    answered: passages of at most `max_length` tokens.
    tokenizer: text to tokens.
    max_length: of a passage, in tokens.
  """
  passages = [a.passage for a in answered]
  batch = arrays.encode_passages(passages, tokenizer, max_length=max_length)
  rows = []
  for row, (passage, questions) in enumerate(answered):
    bounds = word_bounds(passage.text, tokenizer, batch, row)
    shares: dict[tuple[int, int], float] = collections.defaultdict(float)
    for spans in questions:
      for span in spans:
        shares[_words_of(span, bounds)] += 1 / len(spans)
    rows.append(sorted(shares.items()))
  shape = len(rows), max(map(len, rows))
  start, length = np.zeros(shape, np.int32), np.ones(shape, np.int32)
  weight = np.zeros(shape, np.float32)
  for row, shares in enumerate(rows):
    for place, ((first, count), share) in enumerate(shares):
      start[row, place], length[row, place], weight[row, place] = first, count, share
  return Answers(batch, start, length, weight)


def word_bounds(
  passage: str, tokenizer: text.Tokenizer, batch: Batch, row: int
) -> list[tuple[int, int]]:
  """Characters [start, end) of each word of row `row` of a batch, by its tokens.

  Words as policies count them: a token that holds two makes one of them.
  """
  offsets = tokenizer.encode(passage).offsets
  words = batch.word[row, : len(offsets)]
  bounds: list[tuple[int, int]] = []
  for word, (start, end) in zip(words, offsets, strict=True):
    if word == len(bounds):
      bounds.append((start, end))
    elif start < end:  # Space behind the last word has a place, and no characters.
      bounds[word] = bounds[word][0], max(end, bounds[word][1])
  return bounds


def _words_of(span, bounds):
  """(first word, number of words) of a span of characters."""
  inside = [w for w, (a, b) in enumerate(bounds) if a < span.end and b > span.start]
  if not inside:  # White space alone, or what the tokenizer leaves out.
    return int(np.searchsorted([b for _, b in bounds], span.start)), 1
  return inside[0], len(inside)


def _distinct(spans):
  return tuple(dict.fromkeys(Span(s.start, s.end) for s in spans))
