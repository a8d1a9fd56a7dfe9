"""Spans sampled from a passage, to learn from what hiding each of them would do.

A draw hides several spans, none twice, within a budget. So a policy's distribution pi
is taken at a random place of a draw: some spans are drawn first, and pi is the softmax
of the policy's scores over what still fits. Without this a policy would learn its
first choice and nothing else; it also has to know what to hide in the word that is
left at the end. What is left out: the drawn spans are not hidden together
with a candidate, and their own probability is not differentiated.

Spans are sampled from a proposal q and weighted by pi / q, which is unbiased: the
weights are never renormalised within a sample.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from masklearn.policies import sampling
from masklearn.types import Batch, Policy


class Candidates(NamedTuple):
  """M spans sampled from each of P passages."""

  start: jax.Array  # [P, M] int32 first word
  length: jax.Array  # [P, M] int32 words
  index: jax.Array  # [P, M] int32 place in the flattened table of spans
  log_proposal: jax.Array  # [P, M] log q of each
  possible: jax.Array  # [P, W, N] bool; what earlier spans of the draw left to hide
  shown: Batch  # [P, L] the passages as the policy saw them
  passages: Batch  # [P, L] as they are


def sample(
  policy: Policy, theta, passages, key, mask, rate, count, uniform_share, token_dropout
) -> Candidates:
  """Samples spans from passages of which the policy sees a part.

  Args:
    policy: whose distribution the proposal follows.
    theta: its parameters.
    passages: [P, L].
    key: a random key.
    mask: id of the token that stands for what the policy does not see.
    rate: the policy's, for the spans that are drawn before a candidate.
    count: M; None for all spans, each once.
    uniform_share: see `propose`.
    token_dropout: share of the tokens that the policy does not see. What it cannot
      always see it cannot learn by heart.
  """
  key_drop, key_draw, key_count, key_spans = jax.random.split(key, 4)
  shown = sampling.drop_tokens(key_drop, passages, mask, token_dropout)
  scores = policy.scores(theta, shown)
  drawn = sampling.draw_spans(key_draw, scores, shown, rate)
  drawn_count = (drawn.length > 0).sum(-1, dtype=jnp.int32)  # [P]
  before = jax.random.randint(key_count, drawn_count.shape, 0, drawn_count, jnp.int32)
  order = jnp.arange(drawn.start.shape[1], dtype=jnp.int32)[None]
  kept = drawn._replace(length=jnp.where(order < before[:, None], drawn.length, 0))
  possible = sampling.still_possible(kept, shown, rate, scores.shape[2])
  if count is None:
    return every(possible, shown)._replace(passages=passages)
  log_pi = log_share(policy, theta, shown, possible)
  spans = propose(key_spans, log_pi, possible, shown, count, uniform_share)
  return spans._replace(passages=passages)


def every(possible: jax.Array, shown: Batch) -> Candidates:
  """All spans of the table once; what is not `possible` [P, W, N] has no weight."""
  rows, width, longest = possible.shape
  index = jnp.arange(width * longest, dtype=jnp.int32)[None]
  index = jnp.broadcast_to(index, (rows, width * longest))
  start, length = index // longest, index % longest + 1
  log_q = jnp.full(index.shape, -jnp.log(width * longest))
  return Candidates(start, length, index, log_q, possible, shown, shown)


def propose(
  key, log_pi, possible, shown: Batch, count: int, uniform_share: float
) -> Candidates:
  """Samples `count` spans a passage, with replacement.

  Args:
    key: a random key.
    log_pi: [P, W, N] of every span, -inf for what is none.
    possible: [P, W, N] what may be drawn, kept with the candidates.
    shown: [P, L] what `log_pi` was computed on, kept as well.
    count: M.
    uniform_share: share of the sample that is uniform over all candidates, times M a
      whole number; the rest is from the policy's own pi. It bounds the weights pi / q
      by 1 / (1 - uniform_share).
  """
  longest = log_pi.shape[2]
  log_pi = log_pi.reshape(log_pi.shape[0], -1)
  some_share = log_pi > -jnp.inf
  uniform = jnp.where(some_share, -jnp.log(some_share.sum(-1, keepdims=True)), -jnp.inf)
  log_proposal = jnp.logaddexp(
    jnp.log(uniform_share) + uniform, jnp.log1p(-uniform_share) + log_pi
  )

  def some(key, logits, count):
    shape = (count, logits.shape[0])
    return jax.random.categorical(key, logits, shape=shape).T.astype(jnp.int32)

  # A fixed number from each part of the proposal varies less than a drawn one, and
  # the weights are those of the whole all the same.
  key_uniform, key_own = jax.random.split(key)
  uniform_count = round(uniform_share * count)
  evenly = some(key_uniform, uniform, uniform_count)
  own = some(key_own, log_pi, count - uniform_count)
  index = jnp.concatenate([evenly, own], axis=1)
  log_q = jnp.take_along_axis(log_proposal, index, axis=1)
  start, length = index // longest, index % longest + 1
  return Candidates(start, length, index, log_q, possible, shown, shown)


def log_share(policy: Policy, theta, passages: Batch, possible: jax.Array) -> jax.Array:
  """Log pi of every span of those that are still `possible`: [P, W, N]."""
  scores = policy.scores(theta, passages)
  return jax.nn.log_softmax(jnp.where(possible, scores, -jnp.inf), axis=(1, 2))


def weights(policy: Policy, theta, spans: Candidates) -> jax.Array:
  """The importance weights of the candidates' summed losses, [P, M].

  A passage's weighted sum is an estimate of sum_s pi(s) L_s / sum_s pi(s) n(s), the
  loss of a hidden word.
  """
  log_pi = log_share(policy, theta, spans.shown, spans.possible)
  lengths = jnp.arange(1, log_pi.shape[2] + 1, dtype=log_pi.dtype)[None, None]
  words = (jnp.exp(log_pi) * lengths).sum((1, 2))  # [P] E[length]
  flat = log_pi.reshape(log_pi.shape[0], -1)
  share = jnp.take_along_axis(flat, spans.index, axis=1) - spans.log_proposal
  return jnp.exp(share) / (spans.index.shape[1] * words[:, None])


def relative_entropy(policy: Policy, theta, passages: Batch) -> jax.Array:
  """Mean entropy [] of the policy's distribution over a passage's spans, in [0, 1].

  Relative to the largest, log(number of candidate spans), which grows with the passage:
  1 where all spans are alike, 0 where there is one, or one has all.
  """
  scores = policy.scores(theta, passages)
  log_pi = jax.nn.log_softmax(scores.reshape(scores.shape[0], -1))
  # Spans that do not exist have no share; 0 in place of -inf keeps gradients finite.
  exists = scores.reshape(log_pi.shape) > -jnp.inf
  log_pi = jnp.where(exists, log_pi, 0.0)
  share = jnp.where(log_pi < 0, jnp.exp(log_pi), 0.0)
  count = jnp.maximum(exists.sum(-1), 2)  # with one span, the entropy is 0
  return -((share * log_pi).sum(-1) / jnp.log(count.astype(log_pi.dtype))).mean()
