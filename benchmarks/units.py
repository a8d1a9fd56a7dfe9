"""A step of policy learning, against one plain gradient of what it trains on.

The step is the meta-gradient of one episode by the parameters of the policy network:
soft masks of 8 passages of 128 tokens, K = J = 1, SGD. The unit is the gradient of the
denoising loss by the model's parameters on the same masks, all passages at once.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from benchmarks import bilevel, model_sizes
from benchmarks.case import Case, compiled
from masklearn import policies
from masklearn.training import steps


def build(memory: str, size: str, sides) -> Case:
  """Agreement is that of the unit and of the gradient that our step makes of masks."""
  pair = model_sizes.pair('bart', size)
  work = bilevel.make_work(pair.model.config.vocab_size, 1)
  policy = bilevel.make_policy(pair.model)
  theta = policy.init(jax.random.key(0))
  theta = policies.with_words(theta, pair.params['shared']['embedding'])
  episode = jax.tree.map(jnp.asarray, work.episode)
  relaxation, given = bilevel.make_gradient(pair.model, policy, memory)
  key = jax.random.key(1)
  draw = jax.jit(given.sample)(theta, episode.passages, key)
  decisions = jax.jit(given.decide)(theta, draw)
  first = jax.tree.map(lambda x: x[0], (decisions, draw))
  ours, peer, temp_bytes = None, None, 0

  if 'ours' in sides:
    state = steps.init_state(pair.params, bilevel.TX)
    ours, temp_bytes = compiled(
      lambda *all: given.gradient(*all)[:2], theta, state, episode, draw, key
    )

  if 'peer' in sides:
    plain, _ = bilevel.make_gradient(pair.model, policy, 'fast')
    peer, _ = compiled(jax.grad(plain.loss.value), pair.params, *first, key)

  def agree():
    gradient, _ = jax.jit(relaxation.loss.gradients)(pair.params, *first, key)
    one, two = (ravel_pytree(tree)[0] for tree in (gradient, peer()))
    return float(np.linalg.norm(one - two) / np.linalg.norm(two))

  return Case(ours, peer, agree, 1e-4, temp_bytes, bilevel.PASSAGES * bilevel.LENGTH)


CASES = {f'K1-{memory}': functools.partial(build, memory) for memory in ('low', 'fast')}
