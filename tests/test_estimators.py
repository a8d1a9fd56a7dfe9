"""Estimators by name, and what is said of the gradients that they give."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import meta
from masklearn.meta import estimators, policy_update, reinforce
from masklearn.meta.outer import Episode
from masklearn.training import losses, steps
from masklearn.types import InputError
from tests import bilevel
from tests.bilevel import Problem, make_policy_and_theta
from tests.hf import jit
from tests.small import IDS

pytestmark = pytest.mark.usefixtures('float64')


def make(**numbers):
  """A meta-gradient of the tiny model."""
  policy, _ = make_policy_and_theta()
  net, _, ids = bilevel.make_model()
  work = policy, losses.make_loss_sums(net), bilevel.OPTIMIZERS['sgd'](), ids
  return estimators.make_estimator(estimators.Estimator(**numbers), *work, bilevel.RATE)


@pytest.mark.parametrize('relaxation', estimators.RELAXATIONS)
def test_every_relaxation_can_be_drawn_and_decided(relaxation):
  """The policy reads passages with dropped tokens; what is learned from has all."""
  given = make(relaxation=relaxation, candidates=4, token_dropout=0.5, samples=2)
  _, theta = make_policy_and_theta()
  passages = bilevel.of_steps(2)
  draw = jit(given.sample)(theta, passages, jax.random.key(0))
  np.testing.assert_array_equal(draw.passages.tokens, passages.tokens)
  assert (draw.shown.tokens == IDS.mask).any()
  decisions = jit(given.decide)(theta, draw)
  assert jnp.isfinite(decisions).all()
  slope = jit(jax.grad(lambda theta: given.decide(theta, draw).sum()))(theta)
  assert any((jnp.abs(x) > 0).any() for x in jax.tree.leaves(slope))


def test_modes_are_given_their_options():
  """Those that take some, and one that takes none."""
  for mode in ('truncated', 'implicit', 'first_order'):
    assert make(relaxation='soft', mode=mode).gradient
  arguments = Problem('soft', 'bart', 1, 'sgd', dropout=False).arguments()
  wrong = make(relaxation='soft', mode='implicit', solver='cgg')
  with pytest.raises(InputError, match="Unknown solver 'cgg'"):
    jax.eval_shape(wrong.gradient, *arguments)


def test_unknown_relaxations_are_refused():
  """With the nearest one."""
  with pytest.raises(InputError, match="did you mean 'mixture'"):
    make(relaxation='mixtures')


def test_cosine_of_an_approximation_and_of_itself():
  """1 with itself; of two others, that of the mean gradients over the episodes."""

  def given(matrix):
    def influences(theta, state, episode, draw, key):
      return state, jnp.einsum('qi,ij->qj', episode.scale, matrix), state

    return meta.MetaGradient(
      lambda theta, passages, key, temperature: passages * temperature,
      lambda theta, draw: theta * draw,
      influences,
    )

  rng, theta = np.random.default_rng(0), jnp.array([1.0, -2.0, 0.5])
  passages, scale = rng.normal(size=(4, 3)), rng.normal(size=(4, 2, 3))
  episodes = Episode(passages, None, None, scale)
  one, other = rng.normal(size=(2, 3, 3))
  keys = jax.random.split(jax.random.key(0), 4)

  def cosine(a, b):
    return jit(functools.partial(meta.cosine, given(a), given(b)))(
      theta, jnp.zeros(2), episodes, keys, 0.7
    )

  slopes = [((scale.mean(1) @ m) * passages).mean(0) for m in (one, other)]
  expected = np.dot(*slopes) / np.prod([np.linalg.norm(x) for x in slopes])
  assert 0.01 < abs(expected) < 0.99
  np.testing.assert_allclose(cosine(one, other), expected, rtol=1e-9)
  np.testing.assert_allclose(cosine(one, one), 1, rtol=1e-9)


def test_signal_to_noise_of_noise_is_one_and_grows_with_episodes():
  """Of 40 episodes with a mean of 0.5 and noise of 1, about 1 + 40 / 4."""
  noise = jax.random.normal(jax.random.key(0), (300, 40, 2, 25), jnp.float64)

  def ratio(gradients):
    mean = jax.tree.map(lambda x: x.mean(0), gradients)
    return meta.signal_to_noise(gradients, mean)

  for mean, expected in ((0.0, 1.0), (0.5, 11.0)):
    found = jit(jax.vmap(lambda x, m=mean: ratio({'a': x[:, 0] + m, 'b': x[:, 1] + m})))
    np.testing.assert_allclose(found(noise).mean(), expected, rtol=0.05)


@pytest.mark.parametrize(
  ('influence', 'norm', 'message'),
  [
    (0.0, 1.0, 'no decision moves the outer loss'),
    (1.0, 0.0, 'no longer depend'),
    (np.nan, np.nan, 'not finite'),
    (np.inf, 1.0, 'not finite'),
    (1.0, 1.0, ''),
  ],
)
def test_a_gradient_that_says_nothing_is_told_with_its_cause(influence, norm, message):
  """Exactly zero or not finite; anything else is no matter."""
  warning = policy_update.warn({'influence': influence, 'grad_norm': norm})
  assert message in warning
  assert bool(message) == bool(warning)


@pytest.mark.slow
def test_a_learned_baseline_moves_towards_the_gain():
  """One step of descent brings what it expects nearer to the gain, in scales."""
  _, theta = make_policy_and_theta()
  _, params, _ = bilevel.make_model()
  tx = bilevel.OPTIMIZERS['sgd']()
  theta = reinforce.with_baseline(theta)
  given = make(relaxation='score', samples=2, baseline='learned')
  episode = bilevel.make_episode(bilevel.of_steps(1))
  state, key = steps.init_state(params, tx), jax.random.key(2)

  def probed(theta):
    draws = given.sample(theta, episode.passages, key)
    return given.influences(theta, state, episode, draws, key)

  outer, influence, before = jit(probed)(theta)
  assert influence.shape == (2, 3)  # of two questions, by two draws and the baseline
  scale = episode.scale
  gain = (before - outer) / scale
  np.testing.assert_allclose(influence[:, -1] / scale, -gain, rtol=1e-6)
  expected = {**theta, reinforce.BASELINE: theta[reinforce.BASELINE] + gain[0]}
  nearer = jit(probed)(expected)[1]
  np.testing.assert_allclose(nearer[0, -1], 0, atol=1e-12)
