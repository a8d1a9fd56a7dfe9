"""The memory that work on a BART takes, as XLA tells it of a compiled program.

Nothing is run, and of the arguments nothing is made but their shapes.
"""

import functools
import time

import jax
import jax.numpy as jnp
import optax

from benchmarks import bilevel, model_sizes
from masklearn import meta, models
from masklearn.training import losses, mesh
from masklearn.training.steps import init_state, make_step
from masklearn.types import Corrupted

SOURCE = TARGET = 128
TX = optax.adamw(1e-4)


def training(size, rows, remat, chunk, devices=None) -> dict[str, float]:
  """Of a training step with AdamW and dropout, on the first of `devices`.

  Args:
    size: of the model.
    rows: of a batch.
    remat: whether layers are recomputed in the backward pass.
    chunk: target tokens whose logits are in memory at a time; 0 for all.
    devices: TPUs that need not be there; None for this machine's own.
  """
  model, step, batch = _training(size, rows, remat, chunk)
  arguments = _state(model, TX), _key(), batch
  place = mesh.make_layout(devices=devices).everywhere if devices else None
  arguments = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), arguments
  )
  return measure(jax.jit(step, donate_argnums=0), *arguments)


def checked(size, rows) -> dict[str, float | None]:
  """Bytes of a training step: as XLA plans them, and the most that the device held.

  Devices that do not count, such as the processor, have None. To be called in a process
  that has done nothing else.
  """
  model, step, batch = _training(size, rows, False, 0)
  init = jax.jit(lambda key: init_state(models.init_params(model, key), TX))
  state, step = init(jax.random.key(0)), jax.jit(step, donate_argnums=0)
  for _ in range(2):
    state, metrics = step(state, jax.random.key(1), batch)
  jax.block_until_ready((state, metrics))
  held = jax.local_devices()[0].memory_stats() or {}
  planned = training(size, rows, False, 0)['bytes']
  return {'planned_bytes': planned, 'peak_bytes': held.get('peak_bytes_in_use')}


def _training(size, rows, remat, chunk):
  """A model, its step with dropout, and a batch without a word."""
  model = model_sizes.make_model('bart', size, dropout=0.1, remat=remat)
  step = make_step(losses.make_token_loss(model, chunk=chunk or None), TX)
  tokens = jnp.zeros((rows, SOURCE), jnp.int32)
  weight = jnp.zeros((rows, TARGET))
  return model, step, Corrupted(tokens, tokens == 0, tokens, tokens, weight)


def policy_learning(
  size, relaxation, steps, estimator, devices=None
) -> dict[str, float]:
  """Of `meta.probe` for one episode on each device, with J = 1.

  Args:
    size: of the model.
    relaxation: one of `estimators.RELAXATIONS`.
    steps: K.
    estimator: one of `bilevel.ESTIMATORS`.
    devices: over which as many episodes are spread; None for one of this machine.
  """
  model = model_sizes.make_model('bart', size)
  policy = bilevel.make_policy(model)
  _, given = bilevel.make_gradient(model, policy, estimator, relaxation)
  episodes = len(devices) if devices else 1
  layout = mesh.make_layout(episodes, devices=devices)
  probe = layout.spread(functools.partial(meta.probe, given))
  work = bilevel.make_work(model.config.vocab_size, steps)
  stack = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((episodes, *x.shape), x.dtype), work.episode
  )
  theta = jax.eval_shape(policy.init, _key())
  keys = jax.eval_shape(lambda key: jax.random.split(key, episodes), _key())
  return measure(jax.jit(probe), theta, _state(model, bilevel.TX), stack, keys)


def measure(jitted, *arguments) -> dict[str, float]:
  """Bytes on each device, and the processor's seconds for compiling."""
  began = time.process_time()
  found = jitted.lower(*arguments).compile().memory_analysis()
  seconds = time.process_time() - began
  kept = found.output_size_in_bytes - found.alias_size_in_bytes
  return {
    'argument_bytes': found.argument_size_in_bytes,
    'temp_bytes': found.temp_size_in_bytes,
    'output_bytes': kept,  # beside the arguments that they take the place of
    'bytes': found.argument_size_in_bytes + found.temp_size_in_bytes + kept,
    'seconds': seconds,
  }


def _key():
  return jax.eval_shape(lambda: jax.random.key(0))


def _state(model, tx):
  return jax.eval_shape(
    lambda key: init_state(models.init_params(model, key), tx), _key()
  )
