"""Policies that hide the n-grams of a table: counted, not trained.

The parameters are a table of n-grams of words with a weight each, in the order of their
hashes. An n-gram is known by its tokens alone, so a policy needs no text, and hides
the same of any passage of its tokenizer.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from masklearn.policies import heuristic, sampling
from masklearn.types import Batch, Policy

# Of MurmurHash3's finalizer, and two odd multipliers for each of the two hashes.
_MIX = 0x85EBCA6B, 0xC2B2AE35
_TOKEN = 0x9E3779B1, 0x27D4EB2F
_WORD = 0x01000193, 0x165667B1
EMPTY = 0xFFFFFFFF  # the hash of an unused place of a table


def listed(rate: float, entries: int, longest: int = 4, top_k: int = 0) -> Policy:
  """Draws spans by the weights of a table, and nothing else while one of it is left.

  Args:
    rate: share of a passage's words to hide.
    entries: places of the table, those that are not used included.
    longest: words of an n-gram at most.
    top_k: see `heuristic.from_scores`.
  """

  def init(key):
    del key
    return table({}, entries)

  def scores(theta, batch):
    first, second = hashes(batch, longest)  # [B, W, N] each
    place = jnp.searchsorted(theta['first'], first)
    place = jnp.minimum(place, entries - 1)
    known = (theta['first'][place] == first) & (theta['second'][place] == second)
    return jnp.where(known, theta['weight'][place], -jnp.inf)

  return heuristic.from_scores(scores, rate, init, top_k)


def table(weights: Mapping[int, float], entries: int) -> dict[str, np.ndarray]:
  """The parameters of `listed`: the n-grams of the highest weights.

  Args:
    weights: by both hashes of an n-gram in one number, see `keys`.
    entries: places.

  Returns:
    `first` and `second`, [entries] uint32, the hashes in ascending order; `weight`,
    [entries] float32.
  """
  best = sorted(weights, key=lambda key: (-weights[key], key))
  # Two n-grams of one first hash: the search finds one place, so the better stays.
  firsts: dict[int, int] = {}
  for key in best:
    if len(firsts) < entries and key >> 32 != EMPTY:
      firsts.setdefault(key >> 32, key)
  found = sorted(firsts.values())
  unused = entries - len(found)
  parts = [[key >> 32 for key in found], [key & EMPTY for key in found]]
  first, second = (np.array(p + [EMPTY] * unused, np.uint32) for p in parts)
  weight = np.array([weights[key] for key in found] + [-np.inf] * unused, np.float32)
  return {'first': first, 'second': second, 'weight': weight}


def keys(batch: Batch, longest: int) -> np.ndarray:
  """The hashes of all spans [B, W, N] in one number each, uint64; 0 for none."""
  first, second = (np.asarray(x, np.uint64) for x in _hashes(batch, longest))
  inside = np.asarray(_fits(batch, longest))
  return np.where(inside, first << np.uint64(32) | second, np.uint64(0))


def hashes(batch: Batch, longest: int) -> tuple[jax.Array, jax.Array]:
  """Two hashes of the words of each span, [B, W, N] uint32.

  The hash of a word is a sum over its tokens, each mixed with its place in the word;
  that of a span is a polynomial over its words.
  """
  rows, width = batch.tokens.shape
  row = jnp.arange(rows, dtype=jnp.int32)[:, None]
  first_token = jnp.take_along_axis(sampling.token_of_word(batch), batch.word, axis=1)
  inside = jnp.arange(width, dtype=jnp.int32)[None] - first_token
  word = jnp.where(batch.valid, batch.word, width)
  found = []
  for multiplier, step in zip(_TOKEN, _WORD, strict=True):
    token = _mixed(_uint32(batch.tokens) + np.uint32(1), multiplier)
    token = _mixed(token + _uint32(inside), multiplier)
    words = jnp.zeros((rows, width), jnp.uint32).at[row, word].add(token, mode='drop')
    spans = [words]
    for n in range(1, longest):
      following = jnp.pad(words[:, n:], ((0, 0), (0, n)))
      spans.append(spans[-1] * np.uint32(step) + following)
    found.append(_mixed(jnp.stack(spans, -1), multiplier))
  return tuple(found)


def passage_hashes(batch: Batch) -> tuple[jax.Array, jax.Array]:
  """Two hashes of all tokens of each passage, [B] uint32; padding changes nothing."""
  place = jnp.arange(batch.tokens.shape[1], dtype=jnp.uint32)[None]
  found = []
  for multiplier in _TOKEN:
    token = _mixed(_uint32(batch.tokens) + np.uint32(1), multiplier)
    token = jnp.where(batch.valid, _mixed(token + place, multiplier), np.uint32(0))
    found.append(_mixed(token.sum(-1, dtype=jnp.uint32), multiplier))
  return tuple(found)


def _mixed(x, multiplier):
  x = x * np.uint32(multiplier)
  x = (x ^ (x >> 16)) * np.uint32(_MIX[0])
  x = (x ^ (x >> 13)) * np.uint32(_MIX[1])
  return x ^ (x >> 16)


def _uint32(x):
  return x.astype(jnp.uint32)


_hashes = jax.jit(hashes, static_argnums=1)
_fits = jax.jit(sampling.fits, static_argnums=1)
