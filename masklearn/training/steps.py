"""The one pure update, used by training and by the bilevel unroll."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
  """The state that a step reads and writes."""

  step: jax.Array  # [] int32
  params: Any
  opt: Any


class Start(NamedTuple):
  """The arrays that a stage begins with, read when it begins.

  Who holds on to parameters that another one trains pays for them twice.
  """

  shapes: Any  # of the arrays
  read: Callable[[], Any]  # the arrays, which nobody else holds: they are donated


def held(tree) -> Start:
  """A start with copies of arrays that are small, and needed afterwards."""
  return Start(jax.eval_shape(lambda: tree), lambda: jax.tree.map(jnp.copy, tree))


def begin(params: Start, tx) -> Start:
  """The start with the state before the first step."""
  shapes = jax.eval_shape(lambda params: init_state(params, tx), params.shapes)
  return Start(shapes, lambda: init_state(params.read(), tx))


def init_state(params, tx) -> TrainState:
  """The state before the first step."""
  return TrainState(jnp.int32(0), params, tx.init(params))


def apply_gradients(tx, state: TrainState, grads) -> TrainState:
  """One update of `tx`, differentiable with respect to state and gradients."""
  with jax.numpy_dtype_promotion('standard'):  # optax's decay**count needs it
    updates, opt = tx.update(grads, state.opt, state.params)
  return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt)


def make_step(loss_fn, tx, gradient_accumulation: int = 1):
  """Returns `step(state, key, batch) -> (state, metrics)`.

  The step is pure and left un-jitted: who calls `loop.run` jits it, `meta`
  differentiates through its parts.

  Args:
    loss_fn: `loss_fn(params, key, batch)` returns `(scalar, aux)`; with gradient
      accumulation a mean over `aux['tokens']` tokens.
    tx: the optimizer.
    gradient_accumulation: parts of a batch whose gradients are computed one after the
      other, in the memory of one; the rows are a multiple of it. The step is that of
      the whole batch, but for dropout, which differs between the parts.
  """
  gradient = jax.value_and_grad(loss_fn, has_aux=True)

  def accumulated(params, key, batch):
    def add(total, item):
      i, part = item
      (loss, aux), grads = gradient(params, jax.random.fold_in(key, i), part)
      share = jax.tree.map(lambda x: aux['tokens'].astype(x.dtype) * x, (loss, grads))
      return jax.tree.map(jnp.add, total, share), aux

    # Every so many rows, and not a block of them: where rows are split over devices,
    # each has a share of every part.
    parts = jax.tree.map(
      lambda x: x.reshape(-1, gradient_accumulation, *x.shape[1:]).swapaxes(0, 1),
      batch,
    )
    first = jax.tree.map(lambda x: x[0], parts)
    (loss, _), grads = jax.eval_shape(gradient, params, key, first)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (loss, grads))
    items = jnp.arange(gradient_accumulation, dtype=jnp.int32), parts
    total, aux = jax.lax.scan(add, zeros, items)
    tokens = aux.pop('tokens').sum()
    loss, grads = jax.tree.map(
      lambda x: x / jnp.maximum(tokens, 1e-6).astype(x.dtype), total
    )
    return (loss, {'tokens': tokens, **jax.tree.map(jnp.mean, aux)}), grads

  def step(state, key, batch):
    key = jax.random.fold_in(key, state.step)
    make = gradient if gradient_accumulation == 1 else accumulated
    (loss, aux), grads = make(state.params, key, batch)
    metrics = {'loss': loss, 'grad_norm': optax.tree.norm(grads), **aux}
    return apply_gradients(tx, state, grads), metrics

  return step
