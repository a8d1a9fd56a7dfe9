"""The optimizers of the inner steps, and the state that they start from.

Real training has moments when it comes to an episode; with none, a fresh Adam's first
step would be nearly the sign of the gradient. So the moments are those of the warm-up.
"""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn.io.lookup import lookup
from masklearn.training import steps
from masklearn.training.steps import TrainState
from masklearn.types import InputError

# Under the square roots: the derivative of one at zero is infinite.
EPSILON = 1e-8
B1, B2 = 0.9, 0.98  # those of `stage.optimizer`, whose moments are carried on


class Scale(NamedTuple):
  """The divisor of each parameter's gradient."""

  size: Any


class States(NamedTuple):
  """The states of two optimizers that move the same parameters in turns."""

  denoising: Any
  fine_tuning: Any


def preconditioned(learning_rate: float) -> optax.GradientTransformation:
  """SGD on gradients over the root of second moments that stay as they are.

  Of a linear update, the meta-gradient needs no derivative of the moments, and no
  parameter's step is larger than Adam's by much.
  """

  def divide(gradient, state, params=None):
    return jax.tree.map(jnp.divide, gradient, state.size), state

  scale = optax.GradientTransformation(
    lambda params: Scale(jax.tree.map(jnp.ones_like, params)), divide
  )
  return optax.chain(scale, optax.scale(-learning_rate))


OPTIMIZERS = {
  'sgd': optax.sgd,
  'momentum': lambda rate: optax.sgd(rate, momentum=B1),
  'adam': lambda rate: optax.adam(rate, b1=B1, b2=B2, eps_root=EPSILON),
  'preconditioned': preconditioned,
}


def make_inner(
  name: str, learning_rate: float, trainable: str = ''
) -> optax.GradientTransformation:
  """An inner optimizer, of all parameters or of some.

  Args:
    name: a key of `OPTIMIZERS`.
    learning_rate: of it.
    trainable: a regular expression that is found in the names of the parameters that
      the inner steps change, such as 'decoder/layers_1'; '' for all of them.

  Raises:
    InputError: no such optimizer.
  """
  tx = lookup(OPTIMIZERS, name, 'inner optimizer')(learning_rate)
  return only(tx, trainable) if trainable else tx


def only(tx: optax.GradientTransformation, pattern: str):
  """An optimizer that leaves the parameters alone whose names have no `pattern`.

  Raises:
    InputError: by `init`, if no name has it.
  """

  def chosen(params):
    def one(path, _):
      name = jax.tree_util.keystr(path, simple=True, separator='/')
      return bool(re.search(pattern, name))

    found = jax.tree_util.tree_map_with_path(one, params)
    if not any(jax.tree.leaves(found)):
      raise InputError(f'No parameter has {pattern!r} in its name.')
    return found

  return optax.partition({True: tx, False: optax.set_to_zero()}, chosen)


def apart(tx, tuning_tx) -> tuple[optax.GradientTransformation, ...]:
  """The optimizers of denoising and of fine-tuning steps, each with its own state.

  Both are optimizers of one state, `States`, of which each moves its part and leaves
  the other as it is. So a backward pass through the steps of either carries the
  cotangents of both, by the VJP of an update, and need not know of two.

  Args:
    tx: of denoising steps.
    tuning_tx: of fine-tuning steps.

  >>> one, other = apart(optax.adam(0.1), optax.sgd(0.2))
  >>> updates, state = other.update(jnp.ones(2), one.init(jnp.zeros(2)))
  >>> updates.tolist(), int(state.denoising[0].count)
  ([-0.20000000298023224, -0.20000000298023224], 0)
  """

  def init(params):
    return States(tx.init(params), tuning_tx.init(params))

  def of(place, tx):
    def update(gradient, states, params=None):
      updates, own = tx.update(gradient, getattr(states, place), params)
      return updates, states._replace(**{place: own})

    return optax.GradientTransformation(init, update)

  return of('denoising', tx), of('fine_tuning', tuning_tx)


class Factor(NamedTuple):
  """The number that updates are multiplied by."""

  size: jax.Array  # []


def adjustable(tx: optax.GradientTransformation, follows: bool = True):
  """An optimizer whose updates are multiplied by a number in its state, 1 at first.

  A learning rate that is part of the state is an argument of what is compiled, so that
  one program serves several; see `at_factor`.

  Args:
    tx: the optimizer.
    follows: False for one whose learning rate stays as it is.
  """

  def multiply(updates, state, params=None):
    if follows:
      size = jax.lax.stop_gradient(state.size)
      updates = jax.tree.map(lambda x: x * size.astype(x.dtype), updates)
    return updates, state

  factor = optax.GradientTransformation(lambda params: Factor(jnp.ones(())), multiply)
  return optax.chain(tx, factor)


def at_factor(state: TrainState, factor: float) -> TrainState:
  """The state of an `adjustable` optimizer, with so many times its learning rate."""

  def is_factor(x):
    return isinstance(x, Factor)

  def one(x):
    # On the host: `Layout.place` brings it to the devices of all processes.
    return Factor(np.full(x.size.shape, factor, x.size.dtype)) if is_factor(x) else x

  return state.replace(opt=jax.tree.map(one, state.opt, is_leaf=is_factor))


def start(tx: optax.GradientTransformation, params, warm: Any) -> TrainState:
  """The state of the inner optimizers with the moments of another.

  Args:
    tx: of `make_inner`, or either one of `apart`.
    params: of the model.
    warm: the state of an Adam that has trained them.
  """
  state = steps.init_state(params, tx)
  moments = optax.tree.get(warm, 'ScaleByAdamState')

  def carried(x):
    if isinstance(x, optax.ScaleByAdamState):
      mu, nu = _of_same(x.mu, moments.mu), _of_same(x.nu, moments.nu)
      return optax.ScaleByAdamState(moments.count, mu, nu)
    if isinstance(x, Scale) and moments.count > 0:
      unbiased = 1 - B2 ** float(moments.count)
      nu = _of_same(x.size, moments.nu)
      return Scale(jax.tree.map(lambda nu: jnp.sqrt(nu / unbiased + EPSILON), nu))
    return x

  def is_state(x):
    return isinstance(x, Scale | optax.ScaleByAdamState)

  return state.replace(opt=jax.tree.map(carried, state.opt, is_leaf=is_state))


def _of_same(some, every):
  """Of `every`, the parameters that `some` is of, which `only` may have masked."""

  def is_masked(x):
    return isinstance(x, optax.MaskedNode)

  return jax.tree.map(
    lambda old, new: old if is_masked(old) else new, some, every, is_leaf=is_masked
  )
