"""A policy whose scores are learned from the loss of a later task."""

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.policies import fixed, sampling
from masklearn.types import Policy


class SpanScorer(nn.Module):
  """Scores each token as the first and as the last of a hidden span."""

  vocab_size: int
  embedding: int  # width of the table of words
  width: int = 64
  reach: int = 5  # tokens seen by each of the two convolutions

  @nn.compact
  def __call__(self, tokens, valid):
    """Returns logits [B, L, 2] for `tokens` [B, L] where `valid` [B, L]."""
    chex.assert_equal_shape([tokens, valid])
    table = nn.Embed(self.vocab_size, self.embedding, name='embed')
    # The table is a model's, which has seen every word: learned here, the words of a
    # few training passages would be told apart by name and not by what they are.
    x = jax.lax.stop_gradient(table(tokens))  # [B, L, D]
    # Convolutions, not a recurrence: a scan over L would cost more than the model
    # that the policy masks for.
    for layer in range(2):
      x = jnp.where(valid[..., None], x, 0)
      x = nn.gelu(nn.Conv(self.width, (self.reach,), name=f'conv_{layer}')(x))
    # Zero weights: the policy starts out uniform over all candidate spans.
    return nn.Dense(2, kernel_init=nn.initializers.zeros, name='span')(x)


def learned(
  rate: float,
  vocab_size: int,
  longest: int = 4,
  width: int = 64,
  reach: int = 5,
  embedding: int = 64,
) -> Policy:
  """Draws spans of up to `longest` words by a network's start and end scores.

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
  scorer = SpanScorer(vocab_size, embedding, width, reach)

  def init(key):
    tokens = jnp.zeros((1, reach), jnp.int32)
    return scorer.init(key, tokens, tokens == 0)['params']

  def scores(theta, batch):
    logits = scorer.apply({'params': theta}, batch.tokens, batch.valid)
    first, last = (
      sampling.token_of_word(batch),
      sampling.token_of_word(batch, last=True),
    )
    start = jnp.take_along_axis(logits[..., 0], first, axis=1)  # [B, W]
    end = jnp.take_along_axis(logits[..., 1], last, axis=1)
    ends = jnp.pad(end, ((0, 0), (0, longest)))
    width = end.shape[1]
    both = jnp.stack([start + ends[:, n : n + width] for n in range(longest)], -1)
    return jnp.where(sampling.fits(batch, longest), both, -jnp.inf)

  return fixed.from_scores(scores, rate, init)


def with_words(theta, table: jax.Array):
  """The parameters with a model's word embeddings [V, D] in place of random ones."""
  have = theta['embed']['embedding']
  chex.assert_equal_shape([have, table])
  return {**theta, 'embed': {'embedding': table.astype(have.dtype)}}
