"""Draws with shares in place of decisions, through which a policy gets a gradient.

The noise of a hard draw, drawn once, is added to the scores. A hard draw takes the span
with the largest sum, then the next that fits. Here every turn hides a share of each
word: that of the spans around it under the softmax of the sums over a temperature, out
of what earlier turns have left. As the temperature falls, shares become the decisions
of the hard draw.

References:
  Maddison, Mnih and Teh, The Concrete Distribution (2017); Jang, Gu and Poole,
  Categorical Reparameterization with Gumbel-Softmax (2017). Xie and Ermon,
  Reparameterizable Subset Sampling via Continuous Relaxations (2019), algorithm 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from masklearn.policies import sampling
from masklearn.types import Batch, Policy

TAKEN = 1e-4  # a word of which less is left is hidden


class Noise(NamedTuple):
  """The noise and the passages of a soft draw of P passages."""

  gumbel: jax.Array  # [P, W, N]
  temperature: jax.Array  # [P] float
  shown: Batch  # [P, L] the passages as the policy reads them
  passages: Batch  # [P, L] as they are


def sample(
  policy: Policy, theta, passages: Batch, key, temperature, mask, token_dropout
) -> Noise:
  """The noise of one draw.

  Args:
    policy: whose draw.
    theta: its parameters.
    passages: [P, L].
    key: a random key.
    temperature: of the shares.
    mask: id of the token that stands for what the policy does not see.
    token_dropout: share of the tokens that it does not see.
  """
  key_drop, key_noise = jax.random.split(key)
  shown = sampling.drop_tokens(key_drop, passages, mask, token_dropout)
  scores = policy.scores(theta, shown)
  gumbel = jax.random.gumbel(key_noise, scores.shape, scores.dtype)
  temperature = jnp.full(len(scores), temperature, scores.dtype)
  return Noise(gumbel, temperature, shown, passages)


def shares(policy: Policy, theta, noise: Noise, rate: float) -> jax.Array:
  """The share of each token that is hidden: [P, L] in [0, 1], a word's tokens alike.

  Over the words of a passage they add up to its budget, or to a little less.
  """
  scores = policy.scores(theta, noise.shown)
  return sampling.of_tokens(_shares(scores, noise, rate), noise.shown)


def straight(policy: Policy, theta, noise: Noise, rate: float) -> jax.Array:
  """The hard draw of the same noise, with the derivatives of `shares`: [P, L].

  References:
    Bengio, Leonard and Courville, Estimating or Propagating Gradients Through
    Stochastic Neurons (2013), straight-through estimator. It is biased.
  """
  soft = shares(policy, theta, noise, rate)
  scores = policy.scores(theta, noise.shown)
  spans = sampling.take_spans(noise.gumbel, scores, noise.shown, rate)
  hard = sampling.to_draw(spans, noise.shown).mask.astype(soft.dtype)
  return hard + soft - jax.lax.stop_gradient(soft)


def _shares(scores, noise, rate):
  """The share of each word, [P, W]."""
  batch, (rows, width, longest) = noise.shown, scores.shape
  fits = sampling.fits(batch, longest)
  scores = sampling.with_fillers(jnp.where(fits, scores, -jnp.inf), batch)
  noisy = scores + noise.gumbel
  lengths = jnp.arange(1, longest + 1, dtype=jnp.int32)[None, None].astype(noisy.dtype)

  def turn(carry, _):
    hidden, left = carry  # [P, W], [P]
    free = sampling.still_free(hidden < 1 - TAKEN, longest)
    # The last span may be one of which only a part fits.
    possible = free & fits & (lengths < left[:, None, None] + 1 - 1e-3)
    # A span is worth less the more of it is hidden: by the log of what is left.
    open_words = jnp.log1p(-jnp.minimum(hidden, 1 - TAKEN))
    runs = [open_words]
    for n in range(1, longest):
      runs.append(runs[-1] + jnp.pad(open_words[:, n:], ((0, 0), (0, n))))
    logits = (noisy + jnp.stack(runs, -1)) / noise.temperature[:, None, None]
    logits = jnp.where(possible, logits, -1e30)
    chances = jax.nn.softmax(logits.reshape(rows, -1)).reshape(scores.shape)
    cover = sampling.spans_cover(jnp.where(possible, chances, 0)) * (1 - hidden)
    amount = cover.sum(-1)
    # The last turn hides no more than is left.
    part = jnp.minimum(left / jnp.maximum(amount, 1e-6), 1)
    return (hidden + part[:, None] * cover, left - part * amount), None

  start = jnp.zeros((rows, width), noisy.dtype)
  left = sampling.budget(batch, rate).astype(noisy.dtype)
  turns = sampling.slots(batch, rate)
  return jax.lax.scan(turn, (start, left), length=turns)[0][0]
