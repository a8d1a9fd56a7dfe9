"""The optimizer of the inner steps: what it starts from, and what it changes."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn import meta
from masklearn.meta import inner, relaxations, unroll
from masklearn.meta.outer import Episode
from masklearn.study import stage
from masklearn.training import steps
from masklearn.types import InputError
from tests.bilevel import wide
from tests.small import noise_like, slow_case

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


def test_two_optimizers_each_go_on_with_the_moments_of_the_warm_up():
  """A step of either moves its own state alone, and as it would by itself."""
  warm, g = warmed(), noise_like(PARAMS, 1.0, 9)
  alone = [inner.make_inner(*given) for given in (('momentum', 0.2), ('adam', 0.1))]
  both = inner.apart(*alone)
  state = inner.start(both[0], warm.params, warm.opt)
  assert int(state.opt.fine_tuning[0].count) == 3
  for place, tx, one in zip(state.opt._fields, both, alone, strict=True):
    after = steps.apply_gradients(tx, state, g)
    expected = steps.apply_gradients(one, inner.start(one, warm.params, warm.opt), g)
    chex.assert_trees_all_equal(after.params, expected.params)
    found = after.opt._asdict()
    chex.assert_trees_all_equal(found.pop(place), expected.opt)
    ((other, kept),) = found.items()
    chex.assert_trees_all_equal(kept, getattr(state.opt, other))


class Toy:
  """A problem of a few numbers, in float64, and meta-gradients of it."""

  def __init__(self, names, count, trainable='decoder', rate=0.1):
    """`names` of two optimizers, K = `count`; `rate` is of the denoising steps."""
    warm = warmed()
    with jax.enable_x64(True):
      warm, rates = wide(warm), (rate, 0.1)
      made = map(inner.make_inner, names, rates, [trainable] * 2)
      self.tx, self.tuning_tx = inner.apart(*made)
      state = inner.start(self.tx, warm.params, warm.opt)
      rng = np.random.default_rng(5)
      passages, questions = (
        jnp.asarray(rng.normal(size=(n, 1, 2))) for n in (count, 2)
      )
      episode = Episode(passages, questions, questions + 0.3, jnp.ones(2))
      self.given = state, episode, passages, jax.random.key(0)

  def gradient(self, theta, mode, memory='low', **options):
    """The mean outer loss after two fine-tuning steps, and its slope by theta."""

    def loss_sums(params, key, questions):
      w = 0.1 * params['encoder']['w'].sum() * params['decoder']['w']
      x = jnp.tanh(w[None] + questions)  # [R, 2]
      return (x**2 + x).sum(-1), jnp.ones(1)

    def value(params, decisions, data, key):
      return (loss_sums(params, key, data)[0] * jnp.sin(decisions).sum(-1)).sum()

    relaxation = relaxations.Relaxation(
      lambda theta, passages, key, temperature: passages,
      lambda theta, draw: theta * draw,
      unroll.make_loss(value),
    )
    options |= {'tuning_tx': self.tuning_tx, 'fine_tune_steps': 2}
    given = meta.make_meta_gradient(
      relaxation, loss_sums, self.tx, mode=mode, memory=memory, **options
    )
    outer, slope, _ = given.gradient(theta, *self.given)
    return outer.mean(), slope


@pytest.mark.parametrize(
  'names',
  [
    ('sgd', 'adam'),
    *(slow_case(pair) for pair in itertools.product(inner.OPTIMIZERS, repeat=2)),
  ],
)
def test_the_gradient_through_two_optimizers_is_that_of_differences(names):
  """Two denoising steps by the one, two fine-tuning steps by the other, both warm."""
  toy = Toy(names, count=2)

  @functools.partial(jax.jit, static_argnums=(1, 2))
  def of(theta, mode, memory='low'):
    return toy.gradient(theta, mode, memory)

  with jax.enable_x64(True):
    ahead, behind = (of(0.7 + step, 'reverse')[0] for step in (1e-5, -1e-5))
    expected = (ahead - behind) / 2e-5
    assert abs(expected) > 1e-4
    for how in (('reverse',), ('mixed',), ('mixed', 'fast')):
      np.testing.assert_allclose(of(0.7, *how)[1], expected, rtol=1e-6)


def test_approximate_modes_take_two_optimizers():
  """With one small step of SGD: what they leave out is nothing, or is known."""
  toy = Toy(('sgd', 'adam'), count=1, trainable='', rate=1e-6)
  # What such a step is to a solver: the inverse of its rate is all of the curvature.
  solver = {'solver': 'cg', 'solver_iterations': 3, 'damping': 1e6}
  modes = {'mixed': {}, 'truncated': {'window': 1}, 'implicit': solver}
  modes['first_order'] = {}
  with jax.enable_x64(True):
    found = jax.jit(
      lambda: {name: toy.gradient(0.7, name, **how)[1] for name, how in modes.items()}
    )()
  exact = found['mixed']
  np.testing.assert_allclose(found['truncated'], exact, rtol=1e-9)
  np.testing.assert_allclose(found['implicit'], exact, rtol=1e-4)
  # Without the Hessian of the fine-tuning steps.
  assert 1e-3 < abs(found['first_order'] / exact - 1) < 1


def test_what_does_not_exist_is_refused():
  """An optimizer, with the nearest one; and a name that no parameter has."""
  with pytest.raises(InputError, match="did you mean 'adam'"):
    inner.make_inner('adamw', 0.1)
  tx = inner.make_inner('sgd', 0.1, trainable='layers_7')
  with pytest.raises(InputError, match='layers_7'):
    tx.update(PARAMS, tx.init(PARAMS))
