"""Small passages and policies for tests: words by hand, not by a tokenizer."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import policies
from masklearn.training import corruption
from masklearn.types import Batch, Policy, Specials

IDS = Specials(bos=0, pad=1, eos=2, mask=4)  # BART's
# Policies that hide whole words within the budget.
BUDGETED = sorted(name for name, e in policies.POLICIES.items() if e.has_scores)
T5_IDS = Specials(bos=None, pad=0, eos=1, mask=9, sentinels=(9, 8, 7, 6, 5))


def make_batch(
  words, sentences=None, salient=None, asked=None, length=None, collocations=None
):
  """A `Batch` of passages given as tokens per word, `[[1, 2, 1], [3, 1]]`.

  Token ids are all different and count up from 10. `salient` and `asked` list spans
  of words, `[[(first, words), ...], ...]`; `sentences` the words of each sentence, and
  `collocations` those of each collocation, by default one.
  """
  length = length or max(sum(w) for w in words)
  counts = np.array([sum(sizes) for sizes in words])
  valid = np.arange(length) < counts[:, None]
  tokens = np.full(valid.shape, IDS.pad, np.int32)
  tokens[valid] = np.arange(10, 10 + counts.sum())
  word, sentence, salients, asks, collocation = np.zeros((5, *valid.shape), np.int32)
  for b, sizes in enumerate(words):
    n = counts[b]
    word[b, :n] = np.repeat(np.arange(len(sizes)), sizes)
    if sentences:
      by_word = np.repeat(np.arange(len(sentences[b])), sentences[b])
      sentence[b, :n] = by_word[word[b, :n]]
    sizes = collocations[b] if collocations else [1] * len(sizes)
    number = np.repeat(np.arange(len(sizes)), sizes)[word[b, :n]]
    collocation[b, :n] = np.where(np.diff(number, prepend=-1) > 0, 1, 2)
    for marks, spans in ((salients, salient), (asks, asked)):
      for first, size in spans[b] if spans else ():
        inside = (word[b] >= first) & (word[b] < first + size) & valid[b]
        marks[b, inside] = 2
        marks[b, np.argmax(inside)] = 1
  return Batch(tokens, valid, word, sentence, salients, asks, collocation)


class Unigrams:
  """A model that knows only how frequent each token is: its parameters, [V]."""

  def __init__(self, vocab_size):
    self.config = types.SimpleNamespace(vocab_size=vocab_size)

  def apply(self, variables, source, source_valid, decoder_input, **options):
    """The same logits everywhere, [B, T, V]."""
    del source, source_valid, options
    shape = *decoder_input.shape, self.config.vocab_size
    return jnp.broadcast_to(variables['params'], shape)


def moved(theta, size):
  """Parameters away from a fresh policy's, whose last layer is zero."""
  return jax.tree.map(jnp.add, theta, noise_like(theta, size, 2))


def noise_like(tree, size, seed):
  """Noise for every leaf, by NumPy: drawing in JAX compiles for seconds."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda x: jnp.asarray(size * rng.normal(size=x.shape)), tree)


def slow_case(*values):
  """A case that `make test-slow` runs: a further example of what others check."""
  return pytest.param(*values, marks=pytest.mark.slow)


@functools.cache
def compiled(policy):
  """The policy with compiled functions: one program each, not one an operation."""
  return Policy(*map(jax.jit, policy))


# Compiled: one operation after the other is compiled as well, each for itself.
corrupt = jax.jit(corruption.corrupt, static_argnums=(2, 3, 4))


@functools.cache
def make_policy(name, rate=0.4):
  """A policy of the registry, compiled, and parameters for it."""
  entry, more = policies.POLICIES[name], {}
  if entry.trained_by == 'count':
    more = {'entries': 4, 'longest': 3}
  elif entry.trained_by == 'score':
    more = {'passages': 3, 'words': 9}
  elif entry.trained_by:
    more = {'vocab_size': 40, 'width': 8, 'longest': 3}
  if 'reference' in entry.needs:
    more = {'reference': policies.POLICIES['salient'](rate)}
  policy = compiled(entry(rate, **more))
  return policy, policy.init(jax.random.key(1))
