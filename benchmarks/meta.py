"""A meta-gradient through K denoising steps and one of fine-tuning.

Soft masks of 8 passages of 128 tokens, SGD, no policy network: what is differentiated
is the share of each token that is hidden. `higher` and `torchopt` do the same with the
graph of every step in memory, `bergson` with that of one, and `bergson_halves` with
that of half its rows; the peer `reverse` is our own reverse mode over reverse mode.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import bilevel, magic, model_sizes, unrolled_torch
from benchmarks.case import Case, compiled
from masklearn.meta import soft
from masklearn.training import steps


def build(count: int, memory: str, size: str, sides, peer: str) -> Case:
  """K = `count` steps, J = 1. Agreement is that of the gradients, in float64."""
  ours, other, temp_bytes = None, None, 0
  if 'ours' in sides:
    ours, temp_bytes = _compiled(size, count, memory)
  if 'peer' in sides:
    other = _peer(size, count, peer)

  def agree():
    with jax.enable_x64(True):
      one = np.asarray(_compiled(size, count, memory, 'float64')[0]())
      two = np.asarray(_peer(size, count, peer, 'float64')())
      two = words(two) if peer in magic.PARTS else two
      return np.linalg.norm(one - two) / np.linalg.norm(one)

  tokens = bilevel.PASSAGES * bilevel.LENGTH * count
  process = getattr(other, 'process', None)
  return Case(ours, other, agree, 1e-3, temp_bytes, tokens=tokens, process=process)


def words(gradient: np.ndarray) -> np.ndarray:
  """Of shares [K, P, L] with <s> and </s>, those of words: [K * P, L - 2]."""
  return gradient[..., 1:-1].reshape(-1, gradient.shape[-1] - 2)


def _compiled(size, count, estimator, dtype='float32'):
  """Our side, as a function that waits for the gradient, and its temporaries."""
  pair = model_sizes.pair('bart', size, dtype=dtype)
  work = bilevel.make_work(pair.model.config.vocab_size, count, dtype)
  shown = work.episode.passages
  draw = soft.Noise(work.tokens, work.tokens[..., 0], shown, shown)  # two are not read
  _, given = bilevel.make_gradient(
    pair.model, None, estimator, decide=lambda policy, theta, noise, rate: theta
  )
  params = jax.tree.map(lambda x: x.astype(dtype), pair.params)
  shares = work.shares.reshape(-1, bilevel.LENGTH - 2)
  state, key = steps.init_state(params, bilevel.TX), jax.random.key(0)
  arguments = jax.tree.map(jnp.asarray, (shares, state, work.episode, draw, key))
  return compiled(lambda *all: given.gradient(*all)[1], *arguments)


def _peer(size, count, peer, dtype='float32'):
  if peer == 'reverse':
    return _compiled(size, count, 'reverse', dtype)[0]
  pair = model_sizes.pair('bart', size, dtype=dtype)
  work = bilevel.make_work(pair.model.config.vocab_size, count, dtype)
  if peer in magic.PARTS:
    return magic.shares(peer, pair, work, dtype)
  return unrolled_torch.make_gradient(peer, pair, work, dtype)


CASES = {
  f'K{count}-{memory}': functools.partial(build, count, memory)
  for count, memory in [(1, 'low'), (1, 'fast'), (4, 'low'), (4, 'fast'), (8, 'low')]
}
