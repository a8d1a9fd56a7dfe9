"""The optimizer of the inner steps, and the state that it starts from.

Real training has moments when it comes to an episode; with none, a fresh Adam's first
step would be nearly the sign of the gradient. So the moments are those of the warm-up.
"""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masklearn.io.lookup import lookup
from masklearn.training import steps
from masklearn.training.steps import TrainState
from masklearn.types import InputError

# Under the square roots: the derivative of one at zero is infinite.
EPSILON = 1e-8
B1, B2 = 0.9, 0.98  # those of `stages.optimizer`, whose moments are carried on


class Scale(NamedTuple):
  """What the gradient of each parameter is divided by."""

  size: Any


def preconditioned(learning_rate: float) -> optax.GradientTransformation:
  """SGD on gradients over the root of second moments that stay as they are.

  Of a linear update, the meta-gradient needs no derivative of the moments, and no
  parameter's step is larger than Adam's by much.
  """

  def divide(gradient, state, params=None):
    del params
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
    InputError: by the update, if no name has it.
  """

  def kept(tree):
    def one(path, x):
      name = jax.tree_util.keystr(path, simple=True, separator='/')
      return x if re.search(pattern, name) else jnp.zeros_like(x)

    found = jax.tree_util.tree_map_with_path(one, tree)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True)
    if not any(a is b for a, b in pairs):
      raise InputError(f'No parameter has {pattern!r} in its name.')
    return found

  def update(gradient, state, params=None):
    updates, state = tx.update(kept(gradient), state, params)
    return kept(updates), state

  return optax.GradientTransformation(tx.init, update)


def start(tx: optax.GradientTransformation, params, warm: Any) -> TrainState:
  """The state of the inner optimizer with the moments of another.

  Args:
    tx: of `make_inner`.
    params: of the model.
    warm: the state of an Adam that has trained them.
  """
  state = steps.init_state(params, tx)
  moments = _adam(warm)
  count = moments.count

  def carried(x):
    if isinstance(x, optax.ScaleByAdamState):
      return moments
    if isinstance(x, Scale) and count > 0:
      unbiased = 1 - B2 ** float(count)
      return Scale(
        jax.tree.map(lambda nu: jnp.sqrt(nu / unbiased + EPSILON), moments.nu)
      )
    return x

  return state.replace(opt=jax.tree.map(carried, state.opt, is_leaf=_is_state))


def _is_state(x):
  return isinstance(x, Scale | optax.ScaleByAdamState)


def _adam(opt) -> optax.ScaleByAdamState:
  """The moments within a chain of transformations."""
  found = jax.tree.leaves(opt, is_leaf=_is_state)
  return next(x for x in found if isinstance(x, optax.ScaleByAdamState))
