"""Policies that have a weight for each word of each passage of one corpus.

A passage is known by its tokens alone, all of them: the parameters are a table of
passages in the order of their hashes, with the log-weights of the words of each.
"""

import jax.numpy as jnp
import numpy as np

from masklearn.policies import heuristic, ngrams
from masklearn.types import Policy


def weighted(rate: float, passages: int, words: int) -> Policy:
  """Draws single words by the weights of a table of passages.

  In a passage that is not in the table, such as any other text, all words are equally
  likely, and so are those behind the first `words` with each other.

  Args:
    rate: share of a passage's words to hide.
    passages: places of the table, those that are not used included.
    words: of a passage.
  """

  def init(key):
    del key
    return table(np.zeros((2, 0), np.uint32), np.zeros((0, words)), passages)

  def scores(theta, batch):
    first, second = ngrams.passage_hashes(batch)  # [B] each
    place = jnp.searchsorted(theta['first'], first)
    place = jnp.minimum(place, passages - 1)
    known = (theta['first'][place] == first) & (theta['second'][place] == second)
    weight = jnp.where(known[:, None], theta['weight'][place], 0.0)  # [B, words]
    missing = max(0, batch.tokens.shape[1] - words)
    padded = jnp.pad(weight, ((0, 0), (0, missing)))
    return padded[:, : batch.tokens.shape[1], None]

  return heuristic.from_scores(scores, rate, init)


def table(hashes: np.ndarray, weight: np.ndarray, entries: int) -> dict:
  """The parameters of `weighted`.

  Args:
    hashes: [2, P] uint32 of passages; equal ones get the mean of their weights.
    weight: [P, W] log-weights of words.
    entries: places, at least P.

  Returns:
    `first` and `second`, [entries] uint32, the hashes in ascending order; `weight`,
    [entries, W] float32.
  """
  pairs, row, count = np.unique(hashes, axis=1, return_inverse=True, return_counts=True)
  sums = np.zeros((pairs.shape[1], weight.shape[1]))
  np.add.at(sums, row, weight)
  # Of two passages with one first hash the search finds one place.
  _, kept = np.unique(pairs[0], return_index=True)
  unused = entries - len(kept)
  both = pairs[:, kept].astype(np.uint32)
  first, second = np.pad(both, ((0, 0), (0, unused)), constant_values=ngrams.EMPTY)
  mean = (sums / count[:, None])[kept].astype(np.float32)
  padded = np.pad(mean, ((0, unused), (0, 0)))
  return {'first': first, 'second': second, 'weight': padded}
