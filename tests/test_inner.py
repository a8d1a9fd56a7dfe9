"""The optimizer of the inner steps: what it starts from, and what it changes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn.meta import inner, unroll
from masklearn.study import stage
from masklearn.training import steps
from masklearn.types import InputError
from tests.bilevel import wide
from tests.small import noise_like

PARAMS = {
  'decoder': {'w': np.array([2.0, -1.0], np.float32)},
  'encoder': {'w': np.array([0.5, 1.0, 3.0], np.float32)},
}


def warmed():
  """The optimizer of every stage after three updates, and what it leads to."""
  tx = stage.optimizer(1e-2, 10, 0.0)
  state = steps.init_state(PARAMS, tx)
  for seed in range(3):
    state = steps.apply_gradients(tx, state, noise_like(PARAMS, 1.0, seed))
  return state


def test_adam_goes_on_with_the_moments_of_the_warm_up():
  """Its step is that of the bias-corrected moments after one more gradient."""
  warm, g = warmed(), noise_like(PARAMS, 1.0, 9)
  tx = inner.make_inner('adam', 0.1)
  start = inner.start(tx, warm.params, warm.opt)
  moments = start.opt[0]
  assert int(moments.count) == 3
  after = steps.apply_gradients(tx, start, g)

  def expected(p, mu, nu, g):
    mu = (0.9 * mu + 0.1 * g) / (1 - 0.9**4)
    nu = (0.98 * nu + 0.02 * g**2) / (1 - 0.98**4)
    return p - 0.1 * mu / (np.sqrt(nu + 1e-8) + 1e-8)

  found = jax.tree.map(expected, warm.params, moments.mu, moments.nu, g)
  chex.assert_trees_all_close(after.params, found, rtol=1e-5)


def test_second_moments_precondition_and_stay():
  """A step is the gradient over their root, whatever was stepped before."""
  warm, g = warmed(), noise_like(PARAMS, 1.0, 9)
  tx = inner.make_inner('preconditioned', 0.1)
  start = inner.start(tx, warm.params, warm.opt)
  nu = next(x.nu for x in warm.opt if isinstance(x, optax.ScaleByAdamState))
  state = steps.apply_gradients(tx, start, noise_like(PARAMS, 1.0, 8))
  after = steps.apply_gradients(tx, state, g)

  def expected(p, nu, g):
    return p - 0.1 * g / np.sqrt(nu / (1 - 0.98**3) + 1e-8)

  found = jax.tree.map(expected, state.params, nu, g)
  chex.assert_trees_all_close(after.params, found, rtol=1e-5)
  # Nothing was warmed up: plain SGD.
  fresh = stage.optimizer(1e-2, 10, 0.0).init(PARAMS)
  after = steps.apply_gradients(tx, inner.start(tx, PARAMS, fresh), g)
  found = jax.tree.map(lambda p, g: p - 0.1 * g, PARAMS, g)
  chex.assert_trees_all_close(after.params, found, rtol=1e-6)


@pytest.mark.parametrize('name', sorted(inner.OPTIMIZERS))
def test_only_some_parameters_move(name):
  """The others stay to the bit, through all steps."""
  warm = warmed()
  tx = inner.make_inner(name, 0.1, trainable='^decoder/')
  state = inner.start(tx, warm.params, warm.opt)
  for seed in (7, 8):
    state = steps.apply_gradients(tx, state, noise_like(PARAMS, 1.0, seed))
  old, new = warm.params, state.params
  np.testing.assert_array_equal(new['encoder']['w'], old['encoder']['w'])
  assert (np.abs(new['decoder']['w'] - old['decoder']['w']) > 1e-4).all()


@pytest.mark.parametrize('name', sorted(inner.OPTIMIZERS))
@pytest.mark.parametrize('memory', ['low', 'fast'])
def test_the_backward_pass_of_every_optimizer(name, memory):
  """With filtered parameters and warm moments, as reverse mode has it."""

  def value(params, decisions, data, key):
    x = jnp.sin(params['encoder']['w'].sum() * params['decoder']['w'] * decisions)
    return (x**2).sum()

  warm = warmed()
  with jax.enable_x64(True):
    warm = wide(warm)
    tx = inner.make_inner(name, 0.1, trainable='decoder')
    state = inner.start(tx, warm.params, warm.opt)
    items = unroll.Items(jnp.ones((3, 2)), jnp.zeros((3, 2)), jnp.zeros((3, 2)))

    @jax.jit
    def both(items):
      loss, found = unroll.make_loss(value), []
      for mode, options in (('reverse', {}), ('mixed', {'memory': memory})):
        end, pull = unroll.MODES[mode](loss, tx, state, items, **options)
        found.append(pull(unroll.cotangent_of(end, end.params))[1])
      return found

    expected, found = both(items)
    assert (jnp.abs(expected) > 1e-6).all()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize('name', sorted(inner.OPTIMIZERS))
def test_a_rate_in_the_state_is_that_of_the_optimizer(name):
  """Through two steps; one that does not follow has its own rate all the same."""
  warm = warmed()

  def after(tx, factor=None):
    state = inner.start(tx, warm.params, warm.opt)
    state = state if factor is None else inner.at_factor(state, factor)
    for seed in (7, 8):
      state = steps.apply_gradients(tx, state, noise_like(PARAMS, 1.0, seed))
    return state.params

  plain = inner.make_inner(name, 0.1, 'encoder')
  tx = inner.adjustable(plain)
  chex.assert_trees_all_equal(after(tx), after(plain))
  wanted = after(inner.make_inner(name, 0.3, 'encoder'))
  chex.assert_trees_all_close(after(tx, 3.0), wanted, rtol=1e-6)
  assert (wanted['encoder']['w'] != after(plain)['encoder']['w']).all()
  chex.assert_trees_all_equal(after(inner.adjustable(plain, False), 3.0), after(plain))


def test_what_does_not_exist_is_refused():
  """An optimizer, with the nearest one; and a name that no parameter has."""
  with pytest.raises(InputError, match="did you mean 'adam'"):
    inner.make_inner('adamw', 0.1)
  tx = inner.make_inner('sgd', 0.1, trainable='layers_7')
  with pytest.raises(InputError, match='layers_7'):
    tx.update(PARAMS, tx.init(PARAMS))
