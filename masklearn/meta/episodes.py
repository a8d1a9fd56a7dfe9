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
from masklearn.types import Batch, Example, InputError, Passage


class Joined(NamedTuple):
  """Passages and the questions that are asked about each: N episodes."""

  rows: np.ndarray  # [N] of the corpus, and behind it of `more`
  asked: np.ndarray  # [N, Q] of the questions
  more: list[Passage]  # contexts that are no passage of the corpus
  by_context: int  # episodes with questions whose context is in the passage


def join(
  passages: Sequence[Passage],
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
    passages: of the corpus.
    examples: the questions.
    questions: Q.
    seed: of what is joined.
    pieces: of a context that is too long for a passage.
  """
  by_group: dict[str, list[int]] = {}
  by_context: dict[tuple[str, str], list[int]] = {}
  for row, example in enumerate(examples):
    if example.context.strip():
      by_context.setdefault((example.group, example.context), []).append(row)
    elif example.group:  # what is about nothing is not about the same
      by_group.setdefault(example.group, []).append(row)
  met, more = _met(passages, by_context, pieces)
  rng = np.random.default_rng(seed)
  rows, chosen = [], []
  for row, passage in enumerate(itertools.chain(passages, more)):
    own = met.get(row, [])
    if row < len(passages):
      own = own + by_group.get(passage.group, [])
    if own:
      rows.append(row)
      order = np.concatenate([rng.permutation(own) for _ in range(questions)])
      chosen.append(order[:questions])
  if not rows:
    raise InputError(
      'No passage shares its group with a training question, so there is nothing to '
      'learn a policy from. Give both a `group`, or each question its context.'
    )
  return Joined(np.array(rows), np.array(chosen), more, len(met))


def _met(passages, by_context, pieces):
  """Row of a passage -> the questions of contexts in it; and contexts in none."""
  met: dict[int, list[int]] = collections.defaultdict(list)
  more: list[Passage] = []
  if not by_context:  # A corpus is not read again for nothing.
    return met, more
  found = contexts.meet(passages, list(by_context))
  for i, ((group, body), rows) in enumerate(zip(by_context, found, strict=True)):
    if not rows:
      own = list(pieces(Passage(f'context/{i}', body.strip(), group)))
      rows = range(len(passages) + len(more), len(passages) + len(more) + len(own))
      more += own
    for row in rows:
      met[row] += by_context[group, body]
  return met, more


class Episodes:
  """One episode a passage, in the order of the corpus, and then of contexts."""

  def __init__(
    self,
    texts: Sequence[Passage],
    passages: Batch,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    *,
    beside: Sequence[Example],
    questions: int,
    held_out: bool,
    seed: int,
    inner_steps: int = 1,
  ):
    """Joins and encodes; the scale of every question is 1 until it is measured.

    Args:
      texts: the corpus.
      passages: the same, encoded [P, L].
      examples: the questions.
      tokenizer: of both.
      beside: what the questions are padded alike with, see `data.encode_examples`.
      questions: Q, of an episode.
      held_out: whether an episode is tuned on the questions of another one.
      seed: of what is joined with what.
      inner_steps: K, denoising steps on an episode's passage, each with a draw of its
        own.
    """
    longest = passages.tokens.shape[1]

    def pieces(passage):
      return (p for p, _ in data.fit_passages([passage], tokenizer.encode, longest))

    joined = join(texts, examples, questions, seed, pieces)
    self.rows, self.asked = joined.rows, joined.asked  # [N], [N, Q]
    self.by_context, self.added = joined.by_context, len(joined.more)
    self.batches = [passages]  # [P, L] each: the corpus, and maybe contexts
    if joined.more:
      known = passages.collocation is not None
      more = data.encode_passages(
        joined.more, tokenizer, '', max_length=longest, at_least=longest,
        units=(lambda p: text.words(p.text)) if known else None,
      )  # fmt: skip
      self.batches.append(more)
    self.questions = data.encode_examples(examples, tokenizer, beside=beside)
    self.held_out = held_out
    self.inner_steps = inner_steps
    self.scales = np.ones(len(examples), np.float32)

  def __len__(self) -> int:
    return len(self.rows)

  def __str__(self) -> str:
    said = f'{self.by_context:,} episodes from contexts'
    added = f' ({self.added:,} of them no passage of the corpus)' if self.added else ''
    return f'{said}{added}, {len(self) - self.by_context:,} from groups'

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
    return Episode(self.texts(rows), support, query, self.scales[asked])

  def measure_scales(
    self,
    probe: Callable,
    batches: np.ndarray,
    key: jax.Array,
    sums: np.ndarray | None = None,
    done: int = 0,
    after: Callable[[int, np.ndarray], None] = lambda done, sums: None,
  ) -> None:
    """Makes each question's scale the mean size of a span's influence on it.

    Some questions have a hundred times the influence of others, and the mean outer
    loss is that of the few that move most: in a scale of its own, each counts alike. It
    is measured once, before a policy learns: from the candidates of an update it would
    be a lottery, which the one span that answers a question wins or misses.

    Args:
      probe: `(episodes [E, ..], keys [E]) -> meta.Probed`, of a policy to which all
        spans are alike, such as a fresh one.
      batches: [N, E] int, the episodes to look at.
      key: a random key.
      sums: [2, X] float64, of an interrupted measurement: for each question the sum of
        its sizes, and how many there are.
      done: batches that are in `sums`.
      after: called with `done` and `sums` after every batch; may raise to interrupt.
    """
    if sums is None:
      sums = np.zeros((2, len(self.scales)))
    for i in range(done, len(batches)):
      keys = jax.random.split(jax.random.fold_in(key, i), batches.shape[1])
      influence = np.abs(probe(self.stack(batches[i]), keys).influence)  # [E, Q, ..]
      sizes = influence.mean(tuple(range(2, influence.ndim)))
      np.add.at(sums[0], self.asked[batches[i]], sizes)
      np.add.at(sums[1], self.asked[batches[i]], 1)
      after(i + 1, sums)
    # In no episode, or moved by nothing: then any scale will do.
    mean = sums[0] / np.maximum(sums[1], 1)
    self.scales = np.where(mean > 0, mean, 1).astype(np.float32)
