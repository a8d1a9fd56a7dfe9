"""Answer-span recall: the share of answers a policy hides, before any training.

A cheap measure of a policy that needs passages with known answers, and no model. All
policies hide as many spans and as many words of a passage, so that none is better for
hiding more: one span for every `every` words, `words` words each on average.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn import data, text
from masklearn.data import answer_spans
from masklearn.data.answer_spans import Answered
from masklearn.evaluation import intervals
from masklearn.types import Answers, InputError, Policy

EVERY, WORDS = 20, 3  # a span for every 20 words, of 3 words


class Recall(NamedTuple):
  """The answers that a policy hid."""

  questions: np.ndarray  # [Q] share of draws and answers that were wholly hidden
  passages: np.ndarray  # [Q] int, the passage of each question
  words: float  # hidden words a passage
  spans: float  # hidden spans a passage


def measure(
  scores: Callable[[Any], jax.Array],
  answered: Sequence[Answered],
  encoded: Answers,
  tokenizer: text.Tokenizer,
  *,
  seed: int,
  top_k: int = 0,
  draws: int = 8,
  every: int = EVERY,
  words: int = WORDS,
  batch_size: int = 16,
) -> Recall:
  """The share of the answers that a policy hides.

  An answer counts if all its characters are within one hidden span. Of a question
  with several answers each counts in part, and the mean over the draws is taken.

  Args:
    scores: `scores(batch)` [B, W, N] of the policy, compiled.
    answered: the passages and the places of their answers.
    encoded: the same, by `answer_spans.encode`.
    tokenizer: of the passages.
    seed: of the draws.
    top_k: draws each span from the k best, 0 from all; see `sampling.draw_spans`.
    draws: of each passage.
    every: words of a passage to a span.
    words: of a span, on average.
    batch_size: passages at once.
  """
  if min(every, words, draws) < 1 or words >= every:
    raise InputError(
      'Recall needs at least one draw, and spans of fewer words than they are apart, '
      f'got draws={draws}, words={words}, every={every}.'
    )
  rows = len(answered)
  filled = data.filled(rows, batch_size)
  tables = [np.asarray(scores(data.take(encoded.passages, i))) for i in filled]
  tables = np.concatenate(tables)[:rows]
  shares, owners, hidden, chosen = [], [], 0, 0
  for row, (passage, questions) in enumerate(answered):
    bounds = answer_spans.word_bounds(passage.text, tokenizer, encoded.passages, row)
    found = np.zeros((draws, len(questions)))
    count = max(1, round(len(bounds) / every))
    budget = min(len(bounds), count * words)
    for draw in range(draws):
      rng = np.random.default_rng([seed, row, draw])
      spans = choose(rng, tables[row, : len(bounds)], count, budget, top_k)
      hidden += sum(length for _, length in spans)
      chosen += len(spans)
      places = [(bounds[w][0], bounds[w + n - 1][1]) for w, n in spans]
      found[draw] = [
        np.mean([any(a <= s.start and s.end <= b for a, b in places) for s in spans])
        for spans in questions
      ]
    shares.append(found.mean(0))
    owners.append(np.full(len(questions), row))
  count = draws * rows
  return Recall(
    np.concatenate(shares), np.concatenate(owners), hidden / count, chosen / count
  )


def choose(
  rng: np.random.Generator, scores: np.ndarray, count: int, budget: int, top_k: int = 0
) -> list[tuple[int, int]]:
  """Draws exactly `count` spans of `budget` words in all, without overlap.

  One after the other, as `sampling.draw_spans` does, but each leaves a word for those
  to come; then what is left of the budget widens spans, a word at a time at a random
  end. Where no candidate is left, a single word is drawn from all.

  >>> scores = np.array([[0, 9], [0, 0], [0, 0], [0, 0]])  # 'words 0 and 1' is best
  >>> choose(np.random.default_rng(0), scores, count=1, budget=2, top_k=1)
  [(0, 2)]

  Args:
    rng: of the draw.
    scores: [W, N] log-weights, -inf for what is no candidate.
    count: of the spans; fewer if the passage has no room for them.
    budget: words, at least `count`.
    top_k: draws from the k best, 0 from all.

  Returns:
    (first word, number of words) of each, in order of place.
  """
  width, longest = scores.shape
  free, spans, left = np.ones(width, bool), [], budget
  lengths = np.arange(1, longest + 1)
  for k in range(min(count, width, budget)):
    possible = _free_runs(free, longest) & (lengths <= left - (count - 1 - k))
    values = np.where(possible, scores, -np.inf)
    if not np.isfinite(values).any():
      values = np.where(possible & (lengths == 1), 0.0, -np.inf)
    if 0 < top_k < values.size:
      values[values < np.partition(values, -top_k, axis=None)[-top_k]] = -np.inf
    if not np.isfinite(values).any():
      break  # Every word is hidden.
    if top_k != 1:
      values = values + rng.gumbel(size=values.shape)
    start, length = divmod(int(values.argmax()), longest)
    length += 1
    free[start : start + length] = False
    spans.append((start, length))
    left -= length
  return sorted(_widened(rng, spans, free, left))


def of_policies(
  made: Iterable[tuple[str, Policy, Sequence[Any], int]],
  answered: Sequence[Answered],
  encoded: Answers,
  tokenizer: text.Tokenizer,
  seed: int,
  **budget,
) -> dict[str, Recall]:
  """The share of answers that policies hide, by name: means over their seeds.

  Args:
    made: the name, the policy, its parameters for each seed, and its `top_k`.
    answered: the passages.
    encoded: the same.
    tokenizer: of the passages.
    seed: of the first draws.
    **budget: see `measure`.
  """
  found: dict[str, Recall] = {}
  for name, policy, thetas, top_k in made:
    scores, by_seed = jax.jit(policy.scores), []
    for i, theta in enumerate(thetas):
      of_theta = functools.partial(scores, theta)
      how = {'seed': seed + i, 'top_k': top_k, **budget}
      by_seed.append(measure(of_theta, answered, encoded, tokenizer, **how))
    found[name] = averaged(by_seed)
  return found


def averaged(found: Sequence[Recall]) -> Recall:
  """The mean over seeds, question by question."""
  questions, words, spans = (
    np.mean([getattr(one, field) for one in found], axis=0)
    for field in ('questions', 'words', 'spans')
  )
  return Recall(questions, found[0].passages, float(words), float(spans))


def summary(
  found: Mapping[str, Recall], references: Sequence[str], seed: int = 0
) -> list[dict[str, Any]]:
  """One row a policy, best first: its recall, and how far it is above others.

  Args:
    found: by policy, of the same questions.
    references: names of policies to compare with, as far as they are there.
    seed: of the intervals.
  """

  def difference(one, other):
    # Questions about one passage are not independent of each other.
    mean, *bounds = map(
      float, intervals.bootstrap(one.questions - other, seed=seed, groups=one.passages)
    )
    # Of a single passage, nothing is known of others.
    low, high = (mean if np.isnan(bound) else bound for bound in bounds)
    return {'mean': mean, 'low': low, 'high': high}

  rows = []
  for name, one in found.items():
    others = [other for other in references if other != name and other in found]
    row = {
      'policy': name,
      'recall': difference(one, np.zeros_like(one.questions)),
      'above': {other: difference(one, found[other].questions) for other in others},
      'n': len(one.questions),
      'words': one.words,
      'spans': one.spans,
    }
    rows.append(row)
  return sorted(rows, key=lambda row: -row['recall']['mean'])


def _free_runs(free, longest):
  """Whether the n + 1 words from w on are free, [W, N]."""
  runs = np.lib.stride_tricks.sliding_window_view(
    np.pad(free, (0, longest - 1)), longest
  )
  return np.logical_and.accumulate(runs, axis=1)


def _widened(rng, spans, free, left):
  """The spans with `left` more words, as far as there is room."""
  free, spans = free.copy(), list(spans)
  for _ in range(left):
    ends = [
      (i, word)
      for i, (start, length) in enumerate(spans)
      for word in (start - 1, start + length)
      if 0 <= word < len(free) and free[word]
    ]
    if not ends:
      break
    i, word = ends[rng.integers(len(ends))]
    start, length = spans[i]
    spans[i] = min(start, word), length + 1
    free[word] = False
  return spans
