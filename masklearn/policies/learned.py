"""A policy whose scores are learned from the loss of a later task."""

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.policies import fixed, sampling
from masklearn.types import Policy

# Scores are bounded, so that no good span is ever far above another. The gain is
# linear in the policy: without a bound, a span that is a little better than the next
# comes first in every draw, and what does not fit beside it is never hidden at all.
BOUND = 6.0  # nats; two spans are at most twice as far apart


class SpanScorer(nn.Module):
  """Scores every span of up to `longest` words by its first and its last token."""

  vocab_size: int
  embedding: int  # width of the table of words
  longest: int = 4
  width: int = 64
  reach: int = 7  # tokens seen by each of the two convolutions

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
    table = nn.Embed(self.vocab_size, self.embedding, name='embed')
    # The table is a model's, which has seen every word: learned here, the words of a
    # few training passages would be told apart by name and not by what they are.
    x = jax.lax.stop_gradient(table(tokens))  # [B, L, D]
    # Convolutions, not a recurrence: a scan over L would cost more than the model
    # that the policy masks for.
    for layer in range(2):
      x = jnp.where(valid[..., None], x, 0)
      x = nn.gelu(nn.Conv(self.width, (self.reach,), name=f'conv_{layer}')(x))

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
  reach: int = 7,
  embedding: int = 64,
) -> Policy:
  """Draws spans of up to `longest` words by a network's scores of them.

  It reads the tokens and where words begin, and no annotation. Candidates are all
  spans of up to `longest` words. Word embeddings stay as they are: random ones, or
  those of a model, see `with_words`.

  Args:
    rate: share of a passage's words to hide.
    vocab_size: V.
    longest: N.
    width: of the network.
    reach: tokens that each of its two convolutions sees.
    embedding: width of the word embeddings.
  """
  scorer = SpanScorer(vocab_size, embedding, longest, width, reach)

  def init(key):
    tokens = jnp.zeros((1, reach), jnp.int32)
    return scorer.init(key, tokens, tokens == 0, tokens, tokens)['params']

  def scores(theta, batch):
    ends = sampling.token_of_word(batch), sampling.token_of_word(batch, last=True)
    found = scorer.apply({'params': theta}, batch.tokens, batch.valid, *ends)
    return jnp.where(sampling.fits(batch, longest), found, -jnp.inf)

  return fixed.from_scores(scores, rate, init)


def with_words(theta, table: jax.Array):
  """The parameters with a model's word embeddings [V, D] in place of random ones.

  A model's table may have rows behind those of its tokens.
  """
  have = theta['embed']['embedding']
  table = table[: have.shape[0]]
  chex.assert_equal_shape([have, table])
  return {**theta, 'embed': {'embedding': table.astype(have.dtype)}}
