"""A policy that is shown where answers stand, and hides what looks like one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from masklearn.policies.learned import learned
from masklearn.types import Answers, Policy


def supervised(
  rate: float, vocab_size: int, longest: int = 8, top: int = 5, **network
) -> Policy:
  """Draws spans from those that a network takes for answers, without a question.

  The network is that of `learned`; what it is trained on is another thing, see
  `make_loss`.

  Args:
    rate: share of a passage's words to hide.
    vocab_size: V, of the tokenizer.
    longest: N; longer answers are not learned from.
    top: of the spans still possible, the so many best that each one is drawn from; 1
      always hides the best.
    **network: as in `learned`.

  References:
    Ye et al., On the Influence of Masking Policies in Intermediate Pre-training (2021),
    which has top-1 and top-k.
  """
  return learned(rate, vocab_size, longest, top=top, **network)


def make_loss(policy: Policy) -> Callable:
  """Returns `loss(theta, key, answers) -> (scalar, {'answers': []})`.

  The mean over questions of -log of the share that answers have among all spans of
  their passages, the softmax of the scores. Of a question with several answers each
  counts in part, by its weight.
  """

  def loss(theta, key, answers: Answers):
    del key  # Encoders have no dropout.
    scores = policy.scores(theta, answers.passages)  # [B, W, N]
    longest = scores.shape[2]
    flat = jax.nn.log_softmax(scores.reshape(scores.shape[0], -1))
    place = answers.start * longest + answers.length - 1  # [B, A]
    weight = jnp.where(answers.length <= longest, answers.weight, 0.0)
    place = jnp.where(weight > 0, place, 0)
    found = jnp.take_along_axis(flat, place, axis=1)
    total = weight.sum()
    nll = -jnp.where(weight > 0, weight * found, 0.0).sum()
    return nll / jnp.maximum(total, 1e-6), {'answers': total}

  return loss
