"""Meta-gradients: what is estimated without bias, and the policy's own step."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from masklearn import meta
from masklearn.meta import mixture, reinforce, relaxations
from masklearn.meta.outer import Episode, make_outer
from masklearn.policies import sampling
from masklearn.training import losses, steps
from masklearn.types import InputError
from tests import bilevel
from tests.bilevel import PASSAGES, Problem, make_policy_and_theta, of_steps
from tests.hf import jit
from tests.small import IDS, make_batch, slow_case

pytestmark = pytest.mark.usefixtures('float64')


@pytest.mark.slow
def test_loss_before_is_the_outer_loss_without_a_denoising_step():
  """Fine-tuning steps are in both: only what hiding spans taught is the gain."""
  problem = Problem('mixture', 'bart', 1, 'sgd', dropout=False)
  theta, state, episode, draw, key = problem.arguments()
  bilevel = problem.meta(1)
  both = jit(lambda draw: bilevel.gradient(theta, state, episode, draw, key)[::2])
  outer, before = both(draw)
  assert (jnp.abs(outer - before) > 1e-4).all()
  # Spans of no weight have no gradient, and make no step.
  weightless = draw._replace(log_proposal=jnp.full_like(draw.log_proposal, jnp.inf))
  outer, before = both(weightless)
  np.testing.assert_allclose(outer, before, rtol=1e-12)


@pytest.mark.slow
def test_probing_estimates_the_influence_of_all_spans():
  """In each of two episodes, from many candidates of a fresh policy."""
  many = {'candidates': 400, 'chunk': 400}
  problem = Problem('mixture', 'bart', 1, 'sgd', dropout=False, **many)
  policy = problem.policy
  theta = bilevel.wide(policy.init(jax.random.key(1)))
  loss_sums = problem.loss_sums
  relaxation = relaxations.mixture(policy, loss_sums, IDS, 0.1, **many)
  given = meta.make_meta_gradient(relaxation, loss_sums, problem.tx, memory='fast')
  episodes = jax.tree.map(lambda x: jnp.stack([x, x]), problem.episode)
  keys = jax.random.split(jax.random.key(3), 2)
  probe = jit(functools.partial(meta.probe, given))
  probed = probe(theta, problem.state, episodes, keys)
  # Each has candidates of its own, with the same influence where they are the same.
  assert (probed.draw.index[0] != probed.draw.index[1]).any()
  np.testing.assert_allclose(probed.before[0], probed.before[1], rtol=1e-12)
  # Of a draw of one word, only words can be hidden, and none comes before them.
  for q in range(2):
    means = []
    for p, count in enumerate((4, 2)):
      spans = probed.draw.index[:, 0, p]
      sizes = jnp.abs(probed.influence[:, q, 0, p])
      found, first = np.unique(spans, return_index=True)
      assert len(found) == count
      means.append(np.ravel(sizes)[first].mean())
    found = jnp.abs(probed.influence[:, q]).mean((1, 2, 3))
    np.testing.assert_allclose(found, np.mean(means), rtol=0.1)


def test_policy_step_climbs_the_gain_and_the_entropy():
  """Each question in a scale of its own; one step of plain ascent."""
  policy, theta = make_policy_and_theta()
  outer, before = jnp.array([2.5, 2.1]), jnp.array([3.0, 2.0])
  size = jnp.array([0.3, 9.0])
  influence = jax.random.normal(jax.random.key(8), (2, 1, 2, 3))  # [Q, K, P, M]
  passages = of_steps(1)

  def sample(theta, passages, key, temperature):
    spans = mixture.sample(
      policy, theta, meta.merge_steps(passages), key, IDS.mask, 0.4, 3, 0.0, 0.3
    )
    return meta.split_steps(spans, passages)

  def decide(theta, draw):
    return mixture.weights(policy, theta, meta.merge_steps(draw))[None]

  def influences(theta, inner, episode, draw, key):
    return outer, influence, before

  def aim(theta, draw, weight=0.2):
    loss = (jnp.einsum('qkpm,kpm->q', influence, decide(theta, draw)) / size).mean()
    return loss - weight * mixture.relative_entropy(
      policy, theta, meta.merge_steps(draw.shown)
    )

  tx, key = optax.sgd(0.1), jax.random.key(7)
  given = meta.MetaGradient(sample, decide, influences)
  episode = Episode(passages, None, None, size)
  episodes = jax.tree.map(lambda x: jnp.stack([x, x]), episode)
  keys = jax.random.split(key, 2)
  step = jit(meta.make_policy_step(policy, decide, tx, lambda count: 0.2))
  probed = jit(functools.partial(meta.probe, given))(theta, None, episodes, keys)
  state, metrics = step(steps.init_state(theta, tx), probed, episodes.scale)
  np.testing.assert_allclose(metrics['loss'], outer.mean())
  # The samples that it was given, one an episode.
  drawn, slope = jit(lambda key: sample(theta, passages, key, 1.0)), jit(jax.grad(aim))
  slopes = [slope(theta, drawn(jax.random.split(k)[0])) for k in keys]
  gain = ((before - outer) / size).mean()
  np.testing.assert_allclose(metrics['gain'], gain, rtol=1e-6)
  after = jax.tree.map(lambda start, *slope: start - 0.05 * sum(slope), theta, *slopes)
  chex.assert_trees_all_close(state.params, after, rtol=1e-6, atol=1e-9)
  # Their moments are those of the gain alone.
  given = theta, probed, episodes.scale
  total, squares = jit(lambda *given: meta.make_moments(decide)(*given))(*given)
  plain = jit(jax.grad(functools.partial(aim, weight=0.0)))
  slopes = [plain(theta, drawn(jax.random.split(k)[0])) for k in keys]
  wanted = jax.tree.map(lambda *slope: sum(slope), *slopes)
  chex.assert_trees_all_close(total, wanted, rtol=1e-6, atol=1e-9)
  norms = [(ravel_pytree(slope)[0] ** 2).sum() for slope in slopes]
  np.testing.assert_allclose(squares, sum(norms), rtol=1e-6)


def assert_unbiased(samples, target):
  """Along the target, within four standard errors."""
  along = samples @ target / (target @ target)
  error = along.std() / np.sqrt(len(along))
  np.testing.assert_allclose(along.mean(), 1.0, atol=4 * error)
  assert error < 0.15


@pytest.mark.slow
def test_sampled_gradient_is_unbiased():
  """Its mean over samples is the gradient with every candidate in it.

  Only the candidates' influence is compared: SGD of a tiny step makes the outer loss
  linear in it.
  """
  policy, theta = make_policy_and_theta()
  net, params, ids = bilevel.make_model()
  tx = optax.sgd(1e-4)
  loss_sums = losses.make_loss_sums(net)
  passages = of_steps(1, jax.tree.map(lambda x: x[:1], PASSAGES))
  arguments = steps.init_state(params, tx), bilevel.make_episode(passages)
  key = jax.random.key(0)

  def of(count):
    how = {'candidates': count, 'chunk': 16}
    relaxation = relaxations.mixture(policy, loss_sums, ids, 0.2, **how)
    return meta.make_meta_gradient(relaxation, loss_sums, tx, memory='fast')

  def gradient(given, key):
    draw = given.sample(theta, passages, key)
    return ravel_pytree(given.gradient(theta, *arguments, draw, key)[1])[0]

  target = jit(lambda key: gradient(of(None), key))(key)
  some = of(4)
  many = jit(jax.vmap(lambda key: gradient(some, key)))
  assert_unbiased(many(jax.random.split(key, 600)), target)


@pytest.mark.parametrize('baseline', ['others', slow_case('learned')])
def test_score_function_is_unbiased_for_hard_draws(baseline):
  """Its mean is the gradient of the expected outer loss over every possible draw."""
  policy, theta = make_policy_and_theta()
  net, params, ids = bilevel.make_model()
  tx = bilevel.OPTIMIZERS['sgd']()
  loss_sums = losses.make_loss_sums(net)
  one = jax.tree.map(lambda x: x[:1], PASSAGES)  # four words, of which two are hidden
  passages = of_steps(1, one)
  state, episode = steps.init_state(params, tx), bilevel.make_episode(passages)
  hard = functools.partial(reinforce.hard_draws, policy, loss_sums, ids, 0.5)
  how = {'baseline': baseline, 'fine_tune_steps': int(baseline == 'learned')}
  relaxation, plain = hard(samples=8, baseline=baseline), hard()
  given = reinforce.make_score_gradient(relaxation, loss_sums, tx, **how)
  if baseline == 'learned':
    theta = {**reinforce.with_baseline(theta), reinforce.BASELINE: jnp.asarray(0.02)}
  key = jax.random.key(4, impl='rbg')
  # Two words one after the other, in either order, or a span of both at once.
  orders = [*itertools.permutations(range(4), 2), *((w, -1) for w in range(3))]
  start = jnp.array([[a, max(b, 0)] for a, b in orders], jnp.int32)
  length = jnp.array([[1, 1] if b >= 0 else [2, 0] for _, b in orders], jnp.int32)
  pad = ((0, 0), (0, sampling.slots(one, 0.5) - 2))
  spans = sampling.Spans(jnp.pad(start, pad), jnp.pad(length, pad), None)
  spans = jax.tree.map(lambda x: x[:, None, None], spans)
  every = reinforce.Draws(spans, passages, passages)

  def outer_loss(spans):
    draw = every._replace(spans=spans)
    return given.influences(theta, state, episode, draw, key)[0].mean()

  def expected(theta):
    chances = jnp.exp(plain.decide(theta, every))
    values = jax.lax.stop_gradient(chances.sum())
    outer = jax.vmap(outer_loss)(jax.tree.map(lambda x: x[:, None], every.spans))
    return (chances * outer).sum(), values

  (_, total), target = jit(jax.value_and_grad(expected, has_aux=True))(theta)
  np.testing.assert_allclose(total, 1, rtol=1e-6)

  def estimate(seed):
    draws = given.sample(theta, passages, seed)
    slope = given.gradient(theta, state, episode, draws, key)[1]
    return ravel_pytree(reinforce.without_baseline(slope))[0]

  samples = jit(jax.vmap(estimate))(jax.random.split(jax.random.key(9), 400))
  assert_unbiased(samples, ravel_pytree(reinforce.without_baseline(target))[0])


WORK = None, None, IDS, 0.4


@pytest.mark.parametrize(
  ('make', 'given', 'wrong', 'message'),
  [
    (meta.make_meta_gradient, WORK[:3], {'memory': 'medium'}, 'All are low, fast'),
    (meta.make_meta_gradient, WORK[:3], {'mode': 'reversed'}, "did you mean 'reverse'"),
    (relaxations.mixture, WORK, {'candidates': 5}, 'whole number'),
    (reinforce.hard_draws, WORK, {'baseline': 'mean'}, "Unknown baseline 'mean'"),
    (reinforce.hard_draws, WORK, {'samples': 1}, 'at least 2 samples, got 1'),
  ],
)
def test_settings_that_cannot_be_used_are_refused(make, given, wrong, message):
  """Names that do not exist, half a candidate, and a sample with no others."""
  with pytest.raises(InputError, match=message):
    make(*given, **wrong)


def test_token_dropout_hides_tokens_from_the_policy_alone():
  """About that share of the tokens is `<mask>`, of no padding, and others in each."""
  drop = jax.vmap(lambda key: sampling.drop_tokens(key, PASSAGES, IDS.mask, 0.3).tokens)
  shown = np.asarray(drop(jax.random.split(jax.random.key(0), 60)))
  dropped = (shown == IDS.mask)[:, PASSAGES.valid]
  assert 0.2 < dropped.mean() < 0.4
  np.testing.assert_array_equal(shown == PASSAGES.tokens[None], shown != IDS.mask)


def test_proposal_mixes_uniform_and_policy():
  """Half of the frequencies are uniform, half are pi; log q says so."""
  log_pi = jnp.log(jnp.array([[[0.7, 0.2], [0.1, 0.0]]]))
  possible = log_pi > -jnp.inf
  shown = jax.tree.map(lambda x: x[1:], PASSAGES)
  spans = mixture.propose(jax.random.key(0), log_pi, possible, shown, 6000, 0.5)
  index, expected = (
    np.asarray(spans.index[0]),
    0.5 / 3 + 0.5 * np.array([0.7, 0.2, 0.1]),
  )
  counts = np.bincount(index, minlength=4) / 6000
  np.testing.assert_allclose(counts, [*expected, 0], atol=0.02)
  np.testing.assert_allclose(np.exp(spans.log_proposal[0]), expected[index], rtol=1e-6)
  np.testing.assert_array_equal(spans.start * 2 + spans.length - 1, spans.index)


def test_relative_entropy_is_that_of_the_candidates_of_each_passage():
  """1 of a fresh policy, 0 with one span, else over the log of the number of spans."""
  policy, theta = make_policy_and_theta()
  # 4 + 3 spans of up to two words in four words, 2 + 1 in two, 1 in one.
  passages = make_batch([[1, 2, 1, 1], [1, 1], [2]])
  entropy = jit(
    jax.value_and_grad(lambda t: mixture.relative_entropy(policy, t, passages))
  )
  value, slope = entropy(jit(policy.init)(jax.random.key(0)))
  np.testing.assert_allclose(value, 2 / 3, rtol=1e-6)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(slope))
  scores = np.asarray(jit(policy.scores)(theta, passages)).reshape(3, -1)
  expected = []
  for row, count in zip(scores, (7, 3), strict=False):
    share = np.exp(row[row > -np.inf])
    share /= share.sum()
    assert len(share) == count
    expected.append(-(share * np.log(share)).sum() / np.log(count))
  assert max(expected) < 0.99
  np.testing.assert_allclose(entropy(theta)[0], sum(expected) / 3, rtol=1e-6)


def test_the_fall_of_the_loss_is_that_of_the_questions_which_are_tuned_on():
  """Of squares by SGD of 0.1 a step leaves 0.8 of the error, and 0.64 of the loss."""

  def loss_sums(params, key, questions):
    return (params['w'] - questions) ** 2, jnp.ones(1)

  tx = optax.sgd(0.1)
  state = steps.init_state({'w': jnp.array([0.5])}, tx)
  support, query = jnp.array([[2.0], [-1.0], [7.0]]), jnp.zeros((3, 1))
  episode = Episode(None, support, query, jnp.ones(3))
  for count in (1, 3):
    fall = make_outer(loss_sums, tx, count).fall(state, episode, jax.random.key(0))
    np.testing.assert_allclose(fall, [1 - 0.64**count] * 3, rtol=1e-6)


@pytest.mark.slow
def test_fine_tuning_steps_can_have_a_learning_rate_of_their_own():
  """Exact in both modes; at a tiny one the gradient is that without such a step."""
  problem = bilevel.Problem('soft', 'bart', 1, 'sgd', dropout=False)

  def influences(tuned, rate=None, mode='mixed'):
    own = None if rate is None else optax.sgd(rate)
    given = problem.meta(tuned, tuning_tx=own, mode=mode)
    return jit(given.influences)(*problem.arguments())[1]

  same, own = influences(1), influences(1, 0.2)
  np.testing.assert_allclose(own, influences(1, 0.2, 'reverse'), rtol=1e-8, atol=1e-12)
  assert np.abs(own - same).max() > 1e-3 * np.abs(same).max()
  none = influences(0)
  near = influences(1, 1e-7)
  np.testing.assert_allclose(near, none, rtol=1e-4, atol=1e-5 * np.abs(none).max())
