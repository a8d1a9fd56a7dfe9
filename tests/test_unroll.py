"""Backward passes through training steps, against differences and each other."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from masklearn.meta import unroll
from masklearn.training import steps
from tests.bilevel import Problem, warm
from tests.hf import jit
from tests.small import slow_case

pytestmark = pytest.mark.usefixtures('float64')


def assert_exact(problem, tuned, memories, by_differences=True):
  """Exact modes agree with reverse mode to 1e-6, and with differences to 1e-5."""
  arguments = problem.arguments()
  reverse = jit(problem.meta(tuned, mode='reverse').gradient)
  values, expected, before = reverse(*arguments)
  slope = ravel_pytree(expected)[0]
  size = float(jnp.linalg.norm(slope))
  assert size > 1e-6
  for memory in memories:
    found = jit(problem.meta(tuned, memory=memory).gradient)(*arguments)
    np.testing.assert_allclose(found[0], values, rtol=1e-10)
    np.testing.assert_allclose(found[2], before, rtol=1e-10)
    np.testing.assert_allclose(ravel_pytree(found[1])[0], slope, atol=1e-6 * size)
  if not by_differences:
    return
  theta, *rest = arguments
  errors = []
  for step in 10.0 ** -np.arange(3, 9):
    moved = (optax.tree.add_scale(theta, s * step / size, expected) for s in (1, -1))
    ahead, behind = (reverse(theta, *rest)[0].mean() for theta in moved)
    errors.append(abs(float(ahead - behind) / (2 * step * size) - 1))
  assert min(errors) < 1e-5, errors


@pytest.mark.parametrize(
  ('relaxation', 'family', 'count', 'tuned', 'optimizer', 'memory'),
  [
    ('mixture', 'bart', 1, 0, 'along_gradient', 'fast'),
    slow_case('mixture', 'bart', 2, 1, 'adam', 'low'),
    slow_case('soft', 't5', 1, 0, 'adam', 'fast'),
  ],
)
def test_exact_modes_agree_with_differences_and_reverse_mode(
  relaxation, family, count, tuned, optimizer, memory
):
  """Through the steps of a model, in float64, with dropout and warm moments."""
  # Candidates whose gradients are kept share one dropout mask.
  dropout = (relaxation, memory) != ('mixture', 'fast')
  assert_exact(Problem(relaxation, family, count, optimizer, dropout), tuned, [memory])


@pytest.mark.slow
def test_optimizers_of_denoising_and_fine_tuning_each_have_their_state():
  """SGD, then two steps of a warm Adam: as exact, with the cotangents of both."""
  problem = Problem('mixture', 'bart', 2, 'sgd', dropout=True, tuning='adam')
  assert_exact(problem, 2, ['low'])


@pytest.mark.grid
@pytest.mark.parametrize('relaxation', ['mixture', 'soft'])
@pytest.mark.parametrize('count', [1, 2, 3, 4])
@pytest.mark.parametrize('tuned', [0, 1, 2])
@pytest.mark.parametrize('optimizer', ['sgd', 'momentum', 'adam'])
def test_every_exact_combination(relaxation, count, tuned, optimizer):
  """K, J, optimizer and memory; BART and T5 take turns."""
  family = ('bart', 't5')[(count + tuned) % 2]
  dropout = relaxation != 'mixture' or (count + tuned) % 3 > 0
  memories = ['low', 'fast'] if not dropout or relaxation == 'soft' else ['low']
  assert_exact(Problem(relaxation, family, count, optimizer, dropout), tuned, memories)


@pytest.mark.slow
def test_all_spans_and_straight_through_agree_with_reverse_mode():
  """Differences say nothing of the latter, whose forward values are choices."""
  assert_exact(Problem('mixture', 'bart', 1, 'sgd', candidates=None), 0, ['low'])
  assert_exact(Problem('straight_through', 'bart', 1, 'sgd'), 0, ['fast'], False)


def there_and_back(mode, value, tx, state, items, slope, **options):
  """The last parameters, and the cotangents of the first ones and of decisions."""

  def both(state, items):
    loss = unroll.make_loss(value)
    end, pull = unroll.MODES[mode](loss, tx, state, items, **options)
    start, slopes = pull(unroll.cotangent_of(end, slope))
    return end.params, start and start.params, slopes

  return jax.jit(both)(state, items)


@pytest.mark.parametrize('count', [slow_case(1), 2, slow_case(5), slow_case(11)])
@pytest.mark.parametrize('memory', ['low', 'fast'])
def test_any_number_of_steps(count, memory):
  """With segments, a last one that is longer, and both cotangents."""

  def value(params, decisions, data, key):
    noise = jax.random.normal(key, params['w'].shape, params['w'].dtype)
    turned = jnp.sin(params['w'] * decisions + data + noise)
    return (turned**2).sum() + params['b'] * decisions.prod()

  tx = optax.adam(0.1, eps_root=1e-8)
  state = warm(tx, {'w': jnp.array([0.5, -1.0]), 'b': jnp.array(0.3)})
  keys = jax.random.split(jax.random.key(1), 3)
  arrays = (jax.random.normal(key, (count, 2), jnp.float64) for key in keys[:2])
  items = unroll.Items(*arrays, unroll.keys(keys[2], count))

  slope = {'w': jnp.array([1.0, 2.0]), 'b': jnp.array(3.0)}
  given = value, tx, state, items, slope
  for to_start in (True, False):
    expected = there_and_back('reverse', *given, to_start=to_start)
    found = there_and_back('mixed', *given, to_start=to_start, memory=memory)
    chex.assert_trees_all_close(found, expected, rtol=1e-9)


def quadratic(params, decisions, data, key):
  """Half a quadratic form around the decisions, plus what does not bend."""
  x = params['w'] - decisions
  return 0.5 * x @ jnp.array([[0.6, 0.1], [0.1, 0.4]]) @ x + (data * params['w']).sum()


def pulled(mode, value, count, **options):
  """Cotangents of the decisions of `count` steps of SGD."""
  tx = optax.sgd(0.5)
  state = steps.init_state({'w': jnp.array([2.0, -1.0])}, tx)
  decisions = jnp.ones((count, 2)) * jnp.array([[0.3, 0.7]])
  keys = unroll.keys(jax.random.key(1), count)
  items = unroll.Items(decisions, jnp.zeros((count, 2)), keys)
  given = value, tx, state, items, {'w': jnp.array([1.0, 2.0])}
  return there_and_back(mode, *given, to_start=False, **options)[2]


def test_a_truncated_backward_pass_is_exact_for_the_steps_that_it_has():
  """Zeros before them; with as many as there are steps, all is exact."""
  exact = pulled('mixed', quadratic, 5)
  short = pulled('truncated', quadratic, 5, window=2)
  np.testing.assert_allclose(short[3:], exact[3:], rtol=1e-12)
  assert not short[:3].any()
  np.testing.assert_allclose(pulled('truncated', quadratic, 5, window=9), exact)


def test_first_order_drops_curvature_alone():
  """Each step as if it were the last; exact where nothing bends."""
  exact, flat = (pulled(mode, quadratic, 4) for mode in ('mixed', 'first_order'))
  np.testing.assert_allclose(flat, jnp.broadcast_to(exact[-1:], flat.shape), rtol=1e-12)
  assert (jnp.abs(flat[0] - exact[0]) > 1e-2).any()

  def linear(params, decisions, data, key):
    return (decisions**2 * params['w']).sum()

  exact, flat = (pulled(mode, linear, 4) for mode in ('mixed', 'first_order'))
  np.testing.assert_allclose(flat, exact, rtol=1e-12)


@pytest.mark.parametrize('solver', ['cg', slow_case('neumann')])
def test_implicit_is_exact_at_a_minimum(solver):
  """After many steps, the sum over them is that of the exact backward pass."""
  exact = pulled('mixed', quadratic, 120).sum(0)
  how = {'solver': solver, 'solver_iterations': 200, 'damping': 0.0}
  found = pulled('implicit', quadratic, 120, **how)
  np.testing.assert_allclose(found.sum(0), exact, rtol=1e-6)
  # At the minimum the parameters are the decisions.
  np.testing.assert_allclose(exact, [1, 2], rtol=1e-6)
