"""Statistics of what a policy hides: of each token, and of what is asked about."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data
from masklearn.types import Batch, MaskDraw, Policy


class Hidden(NamedTuple):
  """Expectations over the draws of a policy."""

  probability: np.ndarray  # [P, L] of each token being hidden
  answer_precision: float  # hidden words that belong to asked spans / hidden words
  salient_share: float  # the same of salient spans that nobody asks about
  span_precision: float  # hidden spans that are asked spans / hidden spans
  words: float  # hidden words a passage


def word_counts(batch: Batch, draw: MaskDraw) -> jax.Array:
  """Hidden words of each passage, those asked about, other salient ones: [B, 3] int32.

  A word counts as hidden if its first token is.
  """
  first = jnp.pad(batch.word, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
  hidden = (draw.mask > 0) & (batch.word != first)
  asked = hidden & (batch.asked > 0)
  salient = hidden & (batch.asked == 0) & (batch.salient > 0)
  return jnp.stack([kind.sum(1) for kind in (hidden, asked, salient)], axis=1)


def hidden(
  policy: Policy,
  theta,
  key,
  passages: Batch,
  draws: int = 32,
  batch_size: int = 64,
  check: Callable[[], None] = lambda: None,
) -> Hidden:
  """The frequencies of what `draws` draws hide, as pre-training would draw them.

  Args:
    policy: whose distribution.
    theta: its parameters.
    key: a random key.
    passages: [P, L].
    draws: of each passage.
    batch_size: passages at once; the last batch is filled up.
    check: called after each batch; raises to end, see `Progress.check`.
  """
  rows = len(passages.tokens)
  found = []
  for n, i in enumerate(data.filled(rows, batch_size)):
    batch, key_batch = data.take(passages, i), jax.random.fold_in(key, n)
    found.append(jax.device_get(_hide(policy, theta, key_batch, batch, draws)))
    check()
  probability, spans, words = (
    np.concatenate(parts)[:rows] for parts in zip(*found, strict=True)
  )
  spans, words = spans.sum(0), words.sum(0)
  numbers = *(words[1:] / words[0]), spans[1] / spans[0], words[0] / (draws * rows)
  return Hidden(probability, *map(float, numbers))


@functools.partial(jax.jit, static_argnames=('policy', 'draws'))
def _hide(policy, theta, key, batch, draws):
  def one(key):
    draw = policy.draw(theta, key, batch)
    return draw.mask, _span_counts(batch, draw), word_counts(batch, draw)

  masks, spans, words = jax.lax.map(one, jax.random.split(key, draws))
  return masks.mean(0), spans.sum(0), words.sum(0)


def _span_counts(batch, draw):
  """Hidden spans, and those that begin and end just where asked ones do: [B, 2]."""
  hidden = draw.mask > 0
  before = jnp.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
  begins = hidden & ((draw.start > 0) | ~before)
  # A mismatch anywhere inside a span spoils it: spans are numbered and compared.
  inside = jnp.where(begins, batch.asked == 1, batch.asked == 2)
  number = jnp.cumsum(begins, axis=1)
  rows = jnp.arange(hidden.shape[0])[:, None]
  wrong = jnp.zeros((hidden.shape[0], hidden.shape[1] + 1), bool)
  wrong = wrong.at[rows, number].max(hidden & ~inside)
  after = jnp.pad(hidden & ~begins, ((0, 0), (0, 1)))[:, 1:]
  cut = hidden & ~after & (jnp.pad(batch.asked, ((0, 0), (0, 1)))[:, 1:] == 2)
  wrong = wrong.at[rows, number].max(cut)
  exact = begins & ~jnp.take_along_axis(wrong, number, axis=1)
  return jnp.stack([begins.sum(1), exact.sum(1)], axis=1)
