"""Episodes to learn a policy from: passages with questions about their groups."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from masklearn import data
from masklearn.meta.outer import Episode
from masklearn.text import Tokenizer
from masklearn.types import Batch, Example, InputError, Passage


def join(
  passages: Sequence[Passage], examples: Sequence[Example], questions: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Joins every passage with `questions` questions about its group, at random.

  Groups with fewer questions repeat some. The passages of groups that nobody asks
  about are left out.

  Returns:
    Rows of the passages [N], and of their examples [N, Q].
  """
  by_group: dict[str, list[int]] = {}
  for row, example in enumerate(examples):
    if example.group:  # what is about nothing is not about the same
      by_group.setdefault(example.group, []).append(row)
  rng = np.random.default_rng(seed)
  rows, chosen = [], []
  for row, passage in enumerate(passages):
    if own := by_group.get(passage.group):
      rows.append(row)
      order = np.concatenate([rng.permutation(own) for _ in range(questions)])
      chosen.append(order[:questions])
  if not rows:
    raise InputError(
      'No passage shares its group with a training question, so there is nothing to '
      'learn a policy from. Give both a `group`, or each question its context.'
    )
  return np.array(rows), np.array(chosen)


class Episodes:
  """One episode a passage, in the order of the corpus."""

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
    self.rows, self.asked = join(texts, examples, questions, seed)  # [N], [N, Q]
    self.passages = passages
    self.questions = data.encode_examples(examples, tokenizer, beside=beside)
    self.held_out = held_out
    self.inner_steps = inner_steps
    self.scales = np.ones(len(examples), np.float32)

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
