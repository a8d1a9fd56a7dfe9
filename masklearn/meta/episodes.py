"""Episodes to learn a policy from: passages with questions about their groups."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from masklearn import data
from masklearn.meta.outer import Episode
from masklearn.types import Batch, Corrupted, Example, InputError

AT_ONCE = 2**20  # numbers that are shuffled


def join(
  groups: Sequence[str], examples: Sequence[Example], questions: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Joins every passage with `questions` questions about its group, at random.

  Groups with fewer questions repeat some. The passages of groups that nobody asks
  about are left out.

  Args:
    groups: of the passages, in their order.
    examples: the questions.
    questions: Q.
    seed: of what is joined with what.

  Returns:
    Rows of the passages [N], and of their examples [N, Q].
  """
  by_group: dict[str, list[int]] = {}
  for row, example in enumerate(examples):
    if example.group:  # what is about nothing is not about the same
      by_group.setdefault(example.group, []).append(row)
  rows = np.array([row for row, group in enumerate(groups) if group in by_group], int)
  if not len(rows):
    raise InputError(
      'No passage shares its group with a training question, so there is nothing to '
      'learn a policy from. Give both a `group`, or each question its context.'
    )
  rng = np.random.default_rng(seed)
  own = [by_group[groups[row]] for row in rows]
  counts = np.array([len(some) for some in own])
  chosen = np.zeros((len(rows), questions), int)
  for count in np.unique(counts):  # all with as many questions at once, or some
    alike, repeats = np.flatnonzero(counts == count), -(-questions // count)
    for part in np.array_split(alike, len(alike) * count * repeats // AT_ONCE + 1):
      order = np.tile(np.arange(count), (len(part) * repeats, 1))
      order = rng.permuted(order, axis=1).reshape(len(part), -1)[:, :questions]
      table = np.array([own[i] for i in part]).reshape(len(part), count)
      chosen[part] = np.take_along_axis(table, order, axis=1)
  return rows, chosen


class Episodes:
  """One episode a passage, in the order of the corpus."""

  def __init__(
    self,
    groups: Sequence[str],
    passages: Batch,
    examples: Sequence[Example],
    encoded: Corrupted,
    *,
    questions: int,
    held_out: bool,
    seed: int,
    inner_steps: int = 1,
  ):
    """Joins; the scale of every question is 1 until it is measured.

    Args:
      groups: what each passage of the corpus is about.
      passages: the corpus, encoded [P, L].
      examples: the questions.
      encoded: the same [X, ..], see `data.encode_examples`.
      questions: Q, of an episode.
      held_out: whether an episode is tuned on the questions of another one.
      seed: of what is joined with what.
      inner_steps: K, denoising steps on an episode's passage, each with a draw of its
        own.
    """
    self.rows, self.asked = join(groups, examples, questions, seed)  # [N], [N, Q]
    self.passages = passages
    self.questions = encoded
    self.held_out = held_out
    self.inner_steps = inner_steps
    self.scales = np.ones(len(examples), np.float32)
    # For each question the sum of its sizes, and how many there are.
    self._sums = np.zeros((2, len(examples)))

  def __len__(self) -> int:
    return len(self.rows)

  def stack(self, index: np.ndarray) -> Episode:
    """The episodes of `index` [E]; arrays [E, K, 1, ..] of passages, [E, Q, 1, ..]."""
    asked = self.asked[index]  # [E, Q]
    query = support = data.take(self.questions, asked[:, :, None])
    if self.held_out:  # Moved on by one, each is tuned on the questions of another.
      support = jax.tree.map(lambda x: np.roll(x, 1, axis=0), query)
    rows = np.repeat(self.rows[index][:, None, None], self.inner_steps, axis=1)
    texts = data.take(self.passages, rows)
    return Episode(texts, support, query, self.scales[asked])

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
    """Makes each question's scale the mean size of a span's influence on it.

    Some questions have a hundred times the influence of others, and the mean outer
    loss is that of the few that move most: in a scale of its own, each counts alike. It
    is measured by a policy that has not learned, and is the mean over the episodes that
    have been used so far: from the candidates of an update alone it would be a lottery,
    which the one span that answers a question wins or misses. As it needs no episode
    before that one is used, learning begins at once, however large the corpus is.

    Args:
      index: [E] int, episodes that have not been added yet.
      sizes: [E, Q], theirs.
    """
    asked = self.asked[index]
    np.add.at(self._sums[0], asked, sizes)
    np.add.at(self._sums[1], asked, 1)
    total, count = self._sums[:, asked]
    # What is moved by nothing can have any scale.
    self.scales[asked] = np.where(total > 0, total / count, 1)
