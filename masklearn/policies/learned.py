"""Policies whose scores are a network's: learned from a later task, or from answers.

`learned` gets its parameters from the loss of a later task, by `masklearn.meta`;
`supervised` is shown where answers stand, and hides what looks like one.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.policies import heuristic, sampling
from masklearn.policies.encoders import ENCODERS, EncoderConfig
from masklearn.types import Answers, InputError, Policy

# Scores are bounded, so that no good span is ever far above another. The gain is
# linear in the policy: without a bound, a span that is a little better than the next
# comes first in every draw, and what does not fit beside it is never hidden at all.
BOUND = 6.0  # nats; two spans are at most twice as far apart


class SpanScorer(nn.Module):
  """Scores every span of up to `longest` words by its first and its last token."""

  encoder: EncoderConfig
  longest: int = 4
  width: int = 64

  @nn.compact
  def __call__(self, tokens, valid, first, last):
    """Scores the spans of a batch of passages.

    Args:
      tokens: [B, L].
      valid: [B, L].
      first: [B, W] index of each word's first token.
      last: [B, W] index of its last.

    Returns:
      [B, W, N] in (-BOUND, BOUND); what reaches past the last word is no span.
    """
    chex.assert_equal_shape([tokens, valid])
    chex.assert_equal_shape([first, last])
    x = ENCODERS[self.encoder.name](tokens, valid, self.encoder)  # [B, L, D]

    def at(index, name):
      state = jnp.take_along_axis(x, index[..., None], axis=1)
      return nn.Dense(self.width, name=name)(state)  # [B, W, D]

    # Both ends and the length together: the start of one good span and the end of
    # the next must not add up to a good one.
    start, end = at(first, 'start'), at(last, 'end')
    width = start.shape[1]
    end = jnp.pad(end, ((0, 0), (0, self.longest), (0, 0)))
    ends = jnp.stack([end[:, n : n + width] for n in range(self.longest)], 2)
    shape = self.longest, self.width
    length = self.param('length', nn.initializers.zeros, shape, jnp.float32)
    x = nn.gelu(start[:, :, None] + ends + length[None, None])  # [B, W, N, D]
    # Zero weights: the policy starts out uniform over all candidate spans.
    x = nn.Dense(1, kernel_init=nn.initializers.zeros, name='span')(x)[..., 0]
    return BOUND * jnp.tanh(x / BOUND)


def learned(
  rate: float,
  vocab_size: int,
  longest: int = 4,
  top_k: int = 0,
  encoder: str = 'conv',
  embedding: int = 64,
  start: Any = None,
  **network,
) -> Policy:
  """Draws spans of up to `longest` words by a network's scores of them.

  It reads the tokens and where words begin, and no annotation. Candidates are all
  spans of up to `longest` words. Word embeddings stay as they are: random ones, or
  those of a model, see `with_words`; a BERT has its own, and all of it is learned.

  Args:
    rate: share of a passage's words to hide.
    vocab_size: V, of the tokenizer.
    longest: N.
    top_k: see `heuristic.from_scores`; the bilevel loop draws from all, 0.
    encoder: a name of `encoders.ENCODERS`.
    embedding: width of the word embeddings.
    start: BERT's parameters in a fresh theta, as `models.bert.load` reads them; None
      for random ones.
    **network: `width`, `kernel_size`, `bert` and `learn_words`, see `EncoderConfig`.

  Raises:
    InputError: an encoder that does not exist, or that does not fit the tokenizer.

  References:
    Ye et al., Studying Strategically: Learning to Mask for Closed-book QA (2020).
  """
  config = EncoderConfig(vocab_size, embedding, encoder, **network)
  scorer = SpanScorer(config, longest, config.width)

  def init(key):
    tokens = jnp.zeros((1, 1), jnp.int32)
    theta = scorer.init(key, tokens, tokens == 0, tokens, tokens)['params']
    return theta if start is None else with_encoder(theta, start)

  def scores(theta, batch):
    ends = sampling.token_of_word(batch), sampling.token_of_word(batch, last=True)
    found = scorer.apply({'params': theta}, batch.tokens, batch.valid, *ends)
    return jnp.where(sampling.fits(batch, longest), found, -jnp.inf)

  return heuristic.from_scores(scores, rate, init, top_k)


def supervised(
  rate: float, vocab_size: int, longest: int = 8, top_k: int = 5, **network
) -> Policy:
  """Draws spans from those that a network takes for answers, without a question.

  The network is that of `learned`; what it is trained on is another thing, see
  `make_answer_loss`.

  Args:
    rate: share of a passage's words to hide.
    vocab_size: V, of the tokenizer.
    longest: N; longer answers are not learned from.
    top_k: see `heuristic.from_scores`; 1 always hides the best.
    **network: as in `learned`.

  References:
    Ye et al., On the Influence of Masking Policies in Intermediate Pre-training (2021),
    which has top-1 and top-k.
  """
  return learned(rate, vocab_size, longest, top_k, **network)


def make_answer_loss(policy: Policy) -> Callable:
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


def with_words(theta, table: jax.Array):
  """The parameters with a model's word embeddings [V, D] in place of random ones.

  A model's table may have rows behind those of its tokens. A network that has learned
  words of its own, BERT, keeps them.
  """
  if 'embed' not in theta:
    return theta
  have = theta['embed']['embedding']
  table = table[: have.shape[0]]
  chex.assert_equal_shape([have, table])
  return {**theta, 'embed': {'embedding': table.astype(have.dtype)}}


def with_encoder(theta, params):
  """The parameters with those of a BERT, `params`, in place of the encoder's.

  Raises:
    InputError: the policy has no BERT.
  """
  if 'bert' not in theta:
    raise InputError(
      "Only a policy with the encoder 'bert' can start from a BERT, got one with the "
      f'parameters {", ".join(theta)}.'
    )
  chex.assert_trees_all_equal_shapes(theta['bert'], params)
  return {**theta, 'bert': params}
