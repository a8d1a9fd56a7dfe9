"""The ways back through training steps, against finite differences and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from masklearn import unroll
from tests.bilevel import Problem, warm
from tests.hf import jit


@pytest.fixture(autouse=True)
def float64():
  """Finite differences need more digits than float32 has."""
  with jax.enable_x64(True):
    yield


def check(problem, tuned, memories, by_differences=True):
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
  flat, unravel = ravel_pytree(theta)

  def outer(flat):
    return reverse(unravel(flat), *rest)[0].mean()

  errors = []
  for step in (1e-3, 1e-4, 1e-5, 1e-6):
    ahead, behind = (outer(flat + s * step * slope / size) for s in (1, -1))
    errors.append(abs(float(ahead - behind) / (2 * step * size) - 1))
  assert min(errors) < 1e-5, errors


@pytest.mark.parametrize(
  ('relaxation', 'family', 'count', 'tuned', 'optimizer', 'memory'),
  [
    ('mixture', 'bart', 1, 0, 'along_gradient', 'fast'),
    ('mixture', 'bart', 3, 1, 'adam', 'low'),
    ('soft', 'bart', 1, 2, 'momentum', 'low'),
    ('soft', 't5', 2, 0, 'adam', 'fast'),
  ],
)
def test_exact_modes_agree_with_differences_and_reverse_mode(
  relaxation, family, count, tuned, optimizer, memory
):
  """Through the steps of a model, in float64, with dropout and warm moments."""
  # Candidates whose gradients are kept share one dropout mask.
  dropout = (relaxation, memory) != ('mixture', 'fast')
  check(Problem(relaxation, family, count, optimizer, dropout), tuned, [memory])


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
  check(Problem(relaxation, family, count, optimizer, dropout), tuned, memories)


def test_all_spans_and_straight_through_agree_with_reverse_mode():
  """Differences say nothing of the latter, whose forward values are choices."""
  check(Problem('mixture', 'bart', 1, 'sgd', candidates=None), 0, ['low'])
  check(Problem('straight_through', 'bart', 2, 'sgd'), 0, ['fast'], False)


@pytest.mark.parametrize('count', [1, 2, 5, 11])
@pytest.mark.parametrize('memory', ['low', 'fast'])
def test_any_number_of_steps(count, memory):
  """With segments, a last one that is longer, and both cotangents."""

  def value(params, decisions, data, key):
    noise = jax.random.normal(key, params['w'].shape, params['w'].dtype)
    turned = jnp.sin(params['w'] * decisions + data + noise)
    return (turned**2).sum() + params['b'] * decisions.prod()

  loss = unroll.make_loss(value)
  tx = optax.adam(0.1, eps_root=1e-8)
  state = warm(tx, {'w': jnp.array([0.5, -1.0]), 'b': jnp.array(0.3)})
  keys = jax.random.split(jax.random.key(1), 3)
  items = unroll.Items(
    jax.random.normal(keys[0], (count, 2), jnp.float64),
    jax.random.normal(keys[1], (count, 2), jnp.float64),
    unroll.keys(keys[2], count),
  )

  def by(mode, to_start, **options):
    def both(state, items):
      end, pull = unroll.MODES[mode](
        loss, tx, state, items, to_start=to_start, **options
      )
      slope = {'w': jnp.array([1.0, 2.0]), 'b': jnp.array(3.0)}
      cotangent = unroll.cotangent_of(end, slope)
      start, slopes = pull(cotangent)
      return end.params, start and start.params, slopes

    return jax.jit(both)(state, items)

  for to_start in (True, False):
    one = by('mixed', to_start, memory=memory)
    two = by('reverse', to_start)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), one, two)
