"""Episodes to learn a policy from: passages with questions about them."""

import collections
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from masklearn import data, text
from masklearn.meta import contexts
from masklearn.meta.outer import Episode
from masklearn.text import Tokenizer
from masklearn.types import Batch, Corrupted, Example, InputError, Passage

AT_ONCE = 2**20  # numbers that are shuffled
PRIOR = 4.0  # passages that the scale of all questions counts as, for each of them


class Joined(NamedTuple):
  """Passages and the questions that are asked about each: N episodes."""

  rows: np.ndarray  # [N] of the corpus, and behind it of `more`
  asked: np.ndarray  # [N, Q] of the questions
  more: list[Passage]  # contexts that are no passage of the corpus
  by_context: int  # episodes with questions whose context is in the passage

  def __str__(self) -> str:
    said = f'{self.by_context:,} episodes from contexts'
    added = f' ({len(self.more):,} of them no passage of the corpus)' * bool(self.more)
    return f'{said}{added}, {len(self.rows) - self.by_context:,} from groups'


def join(
  passages: Iterable[Passage],
  groups: Sequence[str],
  examples: Sequence[Example],
  questions: int,
  seed: int,
  pieces: Callable[[Passage], Iterable[Passage]] = lambda passage: (passage,),
) -> Joined:
  """Joins every passage with `questions` questions about it, at random.

  A question with a context is about the passages that contain the context, or that the
  context contains, see `contexts.meet`; where the corpus has none, the context itself
  is a passage. Another question is about all passages of its group. Passages with fewer
  questions repeat some. Those that nobody asks about are left out.

  Args:
    passages: of the corpus; read only where a question has a context.
    groups: of the passages, in their order.
    examples: the questions.
    questions: Q.
    seed: of what is joined with what.
    pieces: of a context that is too long for a passage, such as of `fitting`.
  """
  by_group: dict[str, list[int]] = {}
  by_context: dict[tuple[str, str], list[int]] = {}
  for row, example in enumerate(examples):
    if example.context.strip():
      by_context.setdefault((example.group, example.context), []).append(row)
    elif example.group:  # what is about nothing is not about the same
      by_group.setdefault(example.group, []).append(row)
  met, more = _met(passages, len(groups), by_context, pieces)
  own: dict[int, list[int]] = {}
  for row, group in enumerate(itertools.chain(groups, [''] * len(more))):
    some = by_group.get(group, [])
    if some := met[row] + some if row in met else some:
      own[row] = some
  if not own:
    raise InputError(
      'No passage shares its group with a training question, so there is nothing to '
      'learn a policy from. Give both a `group`, or each question its context.'
    )
  chosen = _chosen(list(own.values()), questions, seed)
  return Joined(np.array(list(own)), chosen, more, len(met))


def _met(passages, count, by_context, pieces):
  """Row of a passage -> the questions of contexts in it; and contexts in none."""
  met: dict[int, list[int]] = collections.defaultdict(list)
  more: list[Passage] = []
  if not by_context:  # A corpus is not read again for nothing.
    return met, more
  found = contexts.meet(passages, list(by_context))
  for i, ((group, body), rows) in enumerate(zip(by_context, found, strict=True)):
    if not rows:
      own = list(pieces(Passage(f'context/{i}', body.strip(), group)))
      rows = range(count + len(more), count + len(more) + len(own))
      more += own
    for row in rows:
      met[row] += by_context[group, body]
  return met, more


def _chosen(own, questions, seed) -> np.ndarray:
  """So many of each passage's questions, at random, [N, Q]."""
  rng = np.random.default_rng(seed)
  counts = np.array([len(some) for some in own])
  chosen = np.zeros((len(own), questions), int)
  for count in np.unique(counts):  # all with as many questions at once, or some
    alike, repeats = np.flatnonzero(counts == count), -(-questions // count)
    for part in np.array_split(alike, len(alike) * count * repeats // AT_ONCE + 1):
      order = np.tile(np.arange(count), (len(part) * repeats, 1))
      order = rng.permuted(order, axis=1).reshape(len(part), -1)[:, :questions]
      table = np.array([own[i] for i in part]).reshape(len(part), count)
      chosen[part] = np.take_along_axis(table, order, axis=1)
  return chosen


def fitting(tokenizer: Tokenizer, longest: int) -> Callable:
  """The pieces of a passage that have at most `longest` tokens each, for `join`."""

  def pieces(passage: Passage) -> Iterable[Passage]:
    return (p for p, _ in data.fit_passages([passage], tokenizer.encode, longest))

  return pieces


class Episodes:
  """One episode a passage, in the order of the corpus, and then of contexts."""

  def __init__(
    self,
    joined: Joined,
    passages: Batch,
    encoded: Corrupted,
    tokenizer: Tokenizer,
    *,
    held_out: bool,
    inner_steps: int = 1,
  ):
    """Encodes contexts; the scale of every question is 1 until it is measured.

    Args:
      joined: the passages and questions of each episode.
      passages: the corpus, encoded [P, L].
      encoded: the questions [X, ..], see `data.encode_examples`.
      tokenizer: of both.
      held_out: whether an episode is tuned on the questions of another one.
      inner_steps: K, denoising steps on an episode's passage, each with a draw of its
        own.
    """
    self.rows, self.asked, more, _ = joined  # [N], [N, Q]
    self.batches = [passages]  # [P, L] each: the corpus, and maybe contexts
    if more:
      longest = passages.tokens.shape[1]
      known = passages.collocation is not None
      units = (lambda p: text.words(p.text)) if known else None
      sizes = {'max_length': longest, 'at_least': longest}
      self.batches.append(
        data.encode_passages(more, tokenizer, '', units=units, **sizes)
      )
    self.questions = encoded
    self.held_out = held_out
    self.inner_steps = inner_steps
    # For each question the sum of its sizes, and of how many passages they are.
    self._sums = np.zeros((2, len(encoded.target)))
    # The sum of the log mean sizes of questions that are moved, and how many these are.
    self._logs = np.zeros(2)

  def __len__(self) -> int:
    return len(self.rows)

  def texts(self, rows: np.ndarray) -> Batch:
    """The passages [.., L] of rows [..], of the corpus or behind it of contexts."""
    corpus, *more = self.batches
    if not more:
      return data.take(corpus, rows)
    behind = rows - len(corpus.tokens)
    parts = (
      data.take(corpus, np.where(behind < 0, rows, 0)),
      data.take(more[0], np.maximum(behind, 0)),
    )
    own = (behind < 0)[..., None]
    return jax.tree.map(lambda a, b: np.where(own, a, b), *parts)

  def stack(self, index: np.ndarray) -> Episode:
    """The episodes of `index` [E]; arrays [E, K, 1, ..] of passages, [E, Q, 1, ..]."""
    asked = self.asked[index]  # [E, Q]
    query = support = data.take(self.questions, asked[:, :, None])
    if self.held_out:  # Moved on by one, each is tuned on the questions of another.
      support = jax.tree.map(lambda x: np.roll(x, 1, axis=0), query)
    rows = np.repeat(self.rows[index][:, None, None], self.inner_steps, axis=1)
    return Episode(self.texts(rows), support, query, self.scales(asked))

  def sizes(self, probe: Callable, index: np.ndarray, key: jax.Array) -> np.ndarray:
    """The mean size of a span's influence on each question of episodes, [E, Q].

    Args:
      probe: `(episodes [E, ..], keys [E]) -> meta.Probed`, of a policy to which all
        spans are alike, such as a fresh one.
      index: [E] int, the episodes.
      key: a random key.
    """
    keys = jax.random.split(key, len(index))
    influence = np.abs(probe(self.stack(index), keys).influence)  # [E, Q, ..]
    return influence.mean(tuple(range(2, influence.ndim)))

  def add_sizes(self, index: np.ndarray, sizes: np.ndarray) -> None:
    """Takes the sizes of episodes into the scales of their questions.

    They are measured by a policy that has not learned: from the candidates of an update
    alone they would be a lottery, which the one span that answers a question wins or
    misses. No episode needs one before it is used, so learning begins at once, however
    large the corpus is.

    Args:
      index: [E] int, episodes that have not been added yet.
      sizes: [E, Q], theirs.
    """
    asked = self.asked[index]
    met = np.unique(asked)
    before = self._log_sizes(met)
    np.add.at(self._sums[0], asked, sizes)
    np.add.at(self._sums[1], asked, 1)
    after = self._log_sizes(met)
    for sign, logs in ((1, after), (-1, before)):
      self._logs += sign * np.nansum(logs), sign * np.isfinite(logs).sum()

  def scales(self, asked: np.ndarray) -> np.ndarray:
    """The usual size of a span's influence on questions, 1 where none is measured.

    Some questions have a hundred times the influence of others, and the mean outer
    loss is that of the few that move most: in a scale of its own, each counts more
    alike. A question that was met in n passages has the geometric mean of n times the
    mean size in these and of `PRIOR` times that of all questions met so far. Its own
    mean alone would make passages alike that are not: one that teaches a question
    little would measure it in a small scale, where a little is much.

    Args:
      asked: [..] int, questions.

    Returns:
      [..] float32.
    """
    total, moved = self._logs
    usual = total / moved if moved else 0.0
    own, count = self._log_sizes(asked), self._sums[1][asked]
    # What nothing moves can have any scale.
    shrunk = (count * own + PRIOR * usual) / (count + PRIOR)
    return np.exp(np.where(np.isnan(own), usual, shrunk)).astype(np.float32)

  def _log_sizes(self, asked):
    """Of the mean size of each question; NaN where nothing has moved it."""
    total, count = self._sums[:, asked]
    moved = np.where(total > 0, total, np.nan)
    return np.log(moved / np.maximum(count, 1))
