"""The influence of every training token on a later loss, through K steps of Adam.

Infilling of 8 passages of 128 tokens a step; what is differentiated is the weight of
each token in the loss of its step, and what is asked about are the questions of the
suite `meta`, without fine-tuning. This is what bergson's MAGIC is made for.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import bilevel, magic, model_sizes
from benchmarks.case import Case, compiled
from masklearn.meta import inner, outer, unroll
from masklearn.training import losses, steps
from masklearn.types import Corrupted

RATE = 1e-3
# Moments as after some training, the same of every parameter: from none, a first step
# is nearly the sign of the gradient, and hardly depends on anything.
MOMENTS = {'count': 100, 'nu': 1e-7}


def build(count: int, memory: str, size: str, sides, peer: str) -> Case:
  """K = `count` steps. Agreement is that of the gradients, in float64."""
  ours, other, temp_bytes = None, None, 0
  if 'ours' in sides:
    ours, temp_bytes = _compiled(size, count, memory)
  if 'peer' in sides:
    other = _peer(size, count, peer)

  def agree():
    with jax.enable_x64(True):
      one = np.asarray(_compiled(size, count, memory, 'float64')[0]())
      two = np.asarray(_peer(size, count, peer, 'float64')())
      return np.linalg.norm(one - two) / np.linalg.norm(one)

  tokens = bilevel.PASSAGES * bilevel.LENGTH * count
  process = getattr(other, 'process', None)
  return Case(ours, other, agree, 1e-3, temp_bytes, tokens=tokens, process=process)


def make_batches(work: bilevel.Work) -> tuple[Corrupted, np.ndarray]:
  """Passages [K, P, L] of which some tokens are hidden, and weights of all of them."""
  whole, shifted = work.whole
  rng = np.random.default_rng(1)
  source = np.where(rng.random(whole.shape) < bilevel.HIDDEN, bilevel.IDS.mask, whole)
  weights = rng.uniform(0.5, 1.5, whole.shape).astype(work.shares.dtype)
  valid = np.ones(whole.shape, bool)
  return Corrupted(source.astype(np.int32), valid, shifted, whole, None), weights


def _compiled(size, count, estimator, dtype='float32'):
  """Our side, as a function that waits for the gradient, and its temporaries."""
  pair = model_sizes.pair('bart', size, dtype=dtype)
  work = bilevel.make_work(pair.model.config.vocab_size, count, dtype)
  tx, loss_sums = inner.make_inner('adam', RATE), losses.make_loss_sums(pair.model)
  asked = outer.make_outer(loss_sums, tx, 0).loss
  how = dict(bilevel.ESTIMATORS[estimator])
  mode = unroll.MODES[how.pop('mode')]

  def value(params, weights, batch, key):
    total, _ = loss_sums(params, key, batch._replace(weight=weights))
    return total.mean() / weights.shape[-1]

  def gradient(state, batches, weights, query, key):
    items = unroll.Items(weights, batches, unroll.keys(key, count))
    loss = unroll.make_loss(value)
    end, pull = mode(loss, tx, state, items, to_start=False, **how)
    slope = jax.grad(asked)(end.params, key, query)
    return pull(unroll.cotangent_of(end, slope))[1]

  params = jax.tree.map(lambda x: x.astype(dtype), pair.params)
  state = steps.init_state(params, tx)
  nu = jax.tree.map(lambda x: jnp.full_like(x, MOMENTS['nu']), params)
  opt = optax.tree.set(state.opt, nu=nu, count=jnp.int32(MOMENTS['count']))
  arguments = state.replace(opt=opt), *make_batches(work), work.query
  return compiled(gradient, *jax.tree.map(jnp.asarray, arguments), jax.random.key(0))


def _peer(size, count, peer, dtype='float32'):
  if peer == 'reverse':
    return _compiled(size, count, 'reverse', dtype)[0]
  pair = model_sizes.pair('bart', size, dtype=dtype)
  work = bilevel.make_work(pair.model.config.vocab_size, count, dtype)
  rows, weights = make_batches(work)
  adam = {'lr': RATE, 'betas': (inner.B1, inner.B2), 'eps_root': inner.EPSILON}
  return magic.Worker(
    peer,
    pair,
    dtype,
    {'name': 'adam', **adam, **MOMENTS},
    magic.Steps('weights', weights, rows.source, rows.decoder_input, rows.target),
    {'query': work.query},
  )


CASES = {
  f'K{count}-{memory}': functools.partial(build, count, memory)
  for count, memory in [(4, 'low'), (4, 'fast'), (16, 'low')]
}
