"""The one pure update, used by training and by the bilevel unroll."""

import jax
import jax.numpy as jnp
import optax

from masklearn.types import TrainState


def init_state(params, tx) -> TrainState:
  """The state before the first step."""
  return TrainState(jnp.int32(0), params, tx.init(params))


def apply_gradients(tx, state: TrainState, grads) -> TrainState:
  """One update of `tx`, differentiable with respect to state and gradients."""
  with jax.numpy_dtype_promotion('standard'):  # optax's decay**count needs it
    updates, opt = tx.update(grads, state.opt, state.params)
  return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt)


def make_step(loss_fn, tx):
  """Returns `step(state, key, batch) -> (state, metrics)`.

  The step is pure and left un-jitted: `train.run` jits it, `meta` differentiates
  through its parts. `loss_fn(params, key, batch)` returns `(scalar, aux)`.
  """

  def step(state, key, batch):
    key = jax.random.fold_in(key, state.step)
    (loss, aux), grads = jax.value_and_grad(loss_fn, has_aux=True)(
      state.params, key, batch
    )
    metrics = {'loss': loss, 'grad_norm': optax.tree.norm(grads), **aux}
    return apply_gradients(tx, state, grads), metrics

  return step
