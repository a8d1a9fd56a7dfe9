"""A policy whose scores are learned from the loss of a later task."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models.sizes import BertConfig
from masklearn.policies import heuristic, sampling
from masklearn.policies.encoders import ENCODERS, EncoderConfig
from masklearn.types import InputError, Policy

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
      return nn.Dense(self.width, name=name)(
        jnp.take_along_axis(x, index[..., None], axis=1)
      )  # [B, W, D]

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
  width: int = 64,
  kernel_size: int = 7,
  embedding: int = 64,
  encoder: str = 'conv',
  bert: BertConfig | None = None,
  start: Any = None,
  top: int = 0,
  learn_words: bool = False,
) -> Policy:
  """Draws spans of up to `longest` words by a network's scores of them.

  It reads the tokens and where words begin, and no annotation. Candidates are all
  spans of up to `longest` words. Word embeddings stay as they are: random ones, or
  those of a model, see `with_words`; a BERT has its own, and all of it is learned.

  Args:
    rate: share of a passage's words to hide.
    vocab_size: V, of the tokenizer.
    longest: N.
    width: of the network, but for BERT.
    kernel_size: tokens that each of its two convolutions sees.
    embedding: width of the word embeddings.
    encoder: a name of `encoders.ENCODERS`.
    bert: the shape of the encoder 'bert'.
    start: BERT's parameters in a fresh theta, as `models.bert.load` reads them; None
      for random ones.
    top: draws every span from the so many best; 0 from all, as the bilevel loop does.
    learn_words: whether the word embeddings are learned, too.

  Raises:
    InputError: an encoder that does not exist, or that does not fit the tokenizer.

  References:
    Ye et al., Studying Strategically: Learning to Mask for Closed-book QA (2020).
  """
  config = EncoderConfig(
    vocab_size, embedding, encoder, width, kernel_size, bert, learn_words
  )
  scorer = SpanScorer(config, longest, width)

  def init(key):
    tokens = jnp.zeros((1, 1), jnp.int32)
    theta = scorer.init(key, tokens, tokens == 0, tokens, tokens)['params']
    return theta if start is None else with_encoder(theta, start)

  def scores(theta, batch):
    ends = sampling.token_of_word(batch), sampling.token_of_word(batch, last=True)
    found = scorer.apply({'params': theta}, batch.tokens, batch.valid, *ends)
    return jnp.where(sampling.fits(batch, longest), found, -jnp.inf)

  return heuristic.from_scores(scores, rate, init, top)


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
