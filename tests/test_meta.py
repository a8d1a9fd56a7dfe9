"""The meta-gradient against finite differences, reverse mode and enumeration."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn import losses, meta, objective, policies, steps
from masklearn.models import bart
from masklearn.policies import candidates
from masklearn.types import InputError
from tests.small import IDS, make_batch

PASSAGES = make_batch([[1, 2, 1, 1], [1, 1]])
QUESTIONS = make_batch([[1, 1, 1], [1, 1], [1]])
LONGEST = 2


@pytest.fixture(autouse=True)
def float64():
  """Finite differences need more digits than float32 has."""
  with jax.enable_x64(True):
    yield


def wide(tree):
  """Every float of a tree as float64."""
  return jax.tree.map(
    lambda x: x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x, tree
  )


def make_policy_and_theta():
  """A learned policy, moved away from its uniform start."""
  policy = policies.POLICIES['learned'](0.4, 40, longest=LONGEST, width=4, reach=3)
  theta = policy.init(jax.random.key(1))
  keys = iter(jax.random.split(jax.random.key(2), 99))
  # The last layer starts at zero, where the layers below have no gradient.
  moved = jax.tree.map(
    lambda x: x + 0.5 * jax.random.normal(next(keys), x.shape, x.dtype), theta
  )
  return policy, wide(moved)


def make_model():
  """A tiny BART in float64, with dropout."""
  config = bart.BartConfig(
    vocab_size=40, width=8, encoder_layers=1, decoder_layers=1, encoder_heads=2,
    decoder_heads=2, encoder_ffn=6, decoder_ffn=6, max_positions=16, init_std=0.4,
    pad=IDS.pad, bos=IDS.bos, eos=IDS.eos, mask=IDS.mask, decoder_start=IDS.eos,
    dropout=0.1, dtype='float64',
  )  # fmt: skip
  net = bart.Bart(config)
  tokens = jnp.zeros((1, 1), jnp.int32)
  params = net.init(jax.random.key(0), tokens, tokens == 0, tokens)['params']
  return net, wide(params)


def question_of(seed):
  """Three questions as examples of float64 weights."""
  draw = policies.POLICIES['random'](0.5).draw({}, jax.random.key(seed), QUESTIONS)
  return wide(objective.corrupt(QUESTIONS, draw, IDS))


def make_episode(passages):
  """Two questions, each of three rows, with others to tune on."""
  support, query = (
    jax.tree.map(lambda *x: jnp.stack(x), *map(question_of, seeds))
    for seeds in ((1, 2), (3, 4))
  )
  return meta.Episode(passages, support, query, jnp.array([0.5, 2.0]))


OPTIMIZERS = {
  'sgd': lambda: optax.sgd(0.3),
  'along_gradient': lambda: optax.chain(
    optax.normalize_by_update_norm(), optax.scale(-0.3)
  ),
  'adam': lambda: optax.adam(0.05, eps_root=1e-8),
}


@pytest.mark.parametrize(
  ('optimizer', 'tuned', 'memory'),
  [('along_gradient', 0, 'fast'), ('adam', 1, 'low')],
)
def test_gradient_is_that_of_the_outer_loss(optimizer, tuned, memory):
  """It agrees with central differences and with reverse over reverse."""
  policy, theta = make_policy_and_theta()
  net, params = make_model()
  tx = OPTIMIZERS[optimizer]()
  state = steps.init_state(params, tx)
  # Warm moments: a fresh Adam's first step is nearly the sign of the gradient.
  keys = iter(jax.random.split(jax.random.key(5), 99))
  noise = jax.tree.map(
    lambda x: 0.1 * jax.random.normal(next(keys), x.shape, x.dtype), params
  )
  state = steps.apply_gradients(tx, state, noise)
  bilevel = meta.make_meta_gradient(
    policy,
    losses.make_row_sums(net, train=memory == 'low'),  # dropout, its keys replayed
    tx,
    IDS,
    0.4,
    candidates=4,
    blot=0.3,
    fine_tune_steps=tuned,
    chunk=2,
    memory=memory,
  )
  episode = make_episode(PASSAGES)
  spans = bilevel.sample(theta, PASSAGES, jax.random.key(3))
  # Compiling threefry takes longer than all the rest.
  # Compiling threefry takes longer than all the rest.
  key = jax.random.key(4, impl='rbg')
  shares = jnp.array([0.3, 0.7])  # of the two questions
  outer = jax.jit(lambda t: shares @ bilevel.outer_loss(t, state, episode, spans, key))
  values, gradients, _ = jax.jit(bilevel.gradient)(theta, state, episode, spans, key)
  gradient = jax.tree.map(lambda g: jnp.tensordot(shares, g, 1), gradients)
  np.testing.assert_allclose(shares @ values, outer(theta), rtol=1e-12)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12),
    gradient,
    jax.jit(jax.grad(outer))(theta),
  )
  flat, unravel = jax.flatten_util.ravel_pytree(theta)
  slope = jax.flatten_util.ravel_pytree(gradient)[0]
  direction = slope / jnp.linalg.norm(slope)
  errors = []
  for size in (1e-3, 1e-4, 1e-5):
    ahead, behind = (outer(unravel(flat + s * size * direction)) for s in (1, -1))
    quotient = (ahead - behind) / (2 * size)
    errors.append(abs(quotient / jnp.linalg.norm(slope) - 1))
  assert min(errors) < 1e-5


def test_loss_before_is_the_outer_loss_without_a_denoising_step():
  """Fine-tuning steps are in both: only what hiding spans taught is the gain."""
  policy, theta = make_policy_and_theta()
  net, params = make_model()
  tx = OPTIMIZERS['sgd']()
  bilevel = meta.make_meta_gradient(
    policy, losses.make_row_sums(net), tx, IDS, 0.4, candidates=2, fine_tune_steps=1
  )
  state, episode = steps.init_state(params, tx), make_episode(PASSAGES)
  key = jax.random.key(4, impl='rbg')
  spans = bilevel.sample(theta, PASSAGES, jax.random.key(3))
  gradient = jax.jit(bilevel.gradient)
  outer, _, before = gradient(theta, state, episode, spans, key)
  assert (jnp.abs(outer - before) > 1e-4).all()
  # Spans of no weight have no gradient, and make no step.
  weightless = spans._replace(log_proposal=jnp.full_like(spans.log_proposal, jnp.inf))
  outer, _, before = gradient(theta, state, episode, weightless, key)
  np.testing.assert_allclose(outer, before, rtol=1e-12)


def test_probing_estimates_the_influence_of_all_spans():
  """In each of two episodes, from many candidates of a fresh policy."""
  policy, _ = make_policy_and_theta()
  theta = wide(policy.init(jax.random.key(1)))
  net, params = make_model()
  tx = OPTIMIZERS['sgd']()
  bilevel = meta.make_meta_gradient(
    policy, losses.make_row_sums(net), tx, IDS, 0.1, candidates=400, memory='fast'
  )
  state, episode = steps.init_state(params, tx), make_episode(PASSAGES)
  episodes = jax.tree.map(lambda x: jnp.stack([x, x]), episode)
  keys = jax.random.split(jax.random.key(3), 2)
  probed = jax.jit(functools.partial(meta.probe, bilevel))(theta, state, episodes, keys)
  # Each has candidates of its own, with the same influence where they are the same.
  assert (probed.spans.index[0] != probed.spans.index[1]).any()
  np.testing.assert_allclose(probed.before[0], probed.before[1], rtol=1e-12)
  # Of a draw of one word, only words can be hidden, and none comes before them.
  for q in range(2):
    means = []
    for p, count in enumerate((4, 2)):
      spans, sizes = probed.spans.index[:, p], jnp.abs(probed.influence[:, q, p])
      values = dict(zip(np.ravel(spans), np.ravel(sizes), strict=True))
      assert len(values) == count
      means.append(np.mean(list(values.values())))
    found = jnp.abs(probed.influence[:, q]).mean((1, 2))
    np.testing.assert_allclose(found, np.mean(means), rtol=0.1)


def test_policy_step_climbs_the_gain_and_the_entropy():
  """Each question in units of its own influence; one step of plain ascent."""
  policy, theta = make_policy_and_theta()
  outer, before = jnp.array([2.5, 2.1]), jnp.array([3.0, 2.0])
  size = jnp.array([0.3, 9.0])
  influence = jax.random.normal(jax.random.key(8), (2, 2, 3))  # [Q, P, M]

  def sample(theta, passages, key):
    return candidates.sample(policy, theta, passages, key, IDS.mask, 0.4, 3, 0.0, 0.3)

  def influences(theta, inner, episode, spans, key):
    return outer, influence, before

  def aim(theta, spans):
    weight = candidates.weights(policy, theta, spans)
    loss = (jnp.einsum('qpm,pm->q', influence, weight) / size).mean()
    return loss - 0.2 * candidates.entropy(policy, theta, spans.shown)

  tx, key = optax.sgd(0.1), jax.random.key(7)
  given = meta.MetaGradient(sample, None, influences, None)
  episode = meta.Episode(PASSAGES, None, None, size)
  episodes = jax.tree.map(lambda x: jnp.stack([x, x]), episode)
  keys = jax.random.split(key, 2)
  step = jax.jit(meta.make_policy_step(policy, tx, lambda count: 0.2))
  state, metrics = step(
    steps.init_state(theta, tx),
    meta.probe(given, theta, None, episodes, keys),
    episodes.unit,
  )
  np.testing.assert_allclose(metrics['loss'], outer.mean())
  # The samples that it was given, one an episode.
  taken = [sample(theta, PASSAGES, jax.random.split(k)[0]) for k in keys]
  slopes = [jax.grad(aim)(theta, spans) for spans in taken]
  gain = ((before - outer) / size).mean()
  np.testing.assert_allclose(metrics['gain'], gain, rtol=1e-6)
  jax.tree.map(
    lambda after, start, *slope: np.testing.assert_allclose(
      after, start - 0.1 * sum(slope) / 2, rtol=1e-6, atol=1e-9
    ),
    state.params,
    theta,
    *slopes,
  )


def test_sampled_gradient_is_unbiased():
  """Its mean over samples is the gradient with every candidate in it.

  Only the candidates' influence is compared: SGD of a tiny step makes the outer loss
  linear in it.
  """
  policy, theta = make_policy_and_theta()
  net, params = make_model()
  tx = optax.sgd(1e-4)
  state = steps.init_state(params, tx)
  loss = losses.make_row_sums(net)
  passages = jax.tree.map(lambda x: x[:1], PASSAGES)
  episode = make_episode(passages)
  key = jax.random.key(0)
  bilevel = meta.make_meta_gradient(
    policy, loss, tx, IDS, 0.2, candidates=4, memory='fast'
  )
  table = policy.scores(theta, passages)
  every = np.flatnonzero(np.isfinite(np.asarray(table)).ravel()).astype(np.int32)[None]
  # All spans once, with weights pi: a proposal of 1 / their number.
  log_share = jnp.full(every.shape, -np.log(every.size))
  possible = table > -jnp.inf
  full = candidates.Candidates(
    every // LONGEST, every % LONGEST + 1, every, log_share, possible, passages
  )
  _, expected, _ = bilevel.gradient(theta, state, episode, full, key)

  def one(key):
    spans = bilevel.sample(theta, passages, key)
    return bilevel.gradient(theta, state, episode, spans, key)[1]

  many = jax.jit(jax.vmap(one))(jax.random.split(key, 600))
  samples = jax.vmap(lambda t: jax.flatten_util.ravel_pytree(t)[0])(many)
  target = jax.flatten_util.ravel_pytree(expected)[0]
  along = samples @ target / (target @ target)
  error = along.std() / np.sqrt(len(along))
  np.testing.assert_allclose(along.mean(), 1.0, atol=4 * error)
  assert error < 0.15


@pytest.mark.parametrize(
  ('wrong', 'message'),
  [({'memory': 'medium'}, "'low' or 'fast'"), ({'candidates': 5}, 'whole number')],
)
def test_settings_that_cannot_be_used_are_refused(wrong, message):
  """An unknown use of memory, and half a candidate."""
  policy, _ = make_policy_and_theta()
  with pytest.raises(InputError, match=message):
    meta.make_meta_gradient(policy, None, None, IDS, 0.4, **wrong)


def test_blotted_passages_hide_tokens_from_the_policy_alone():
  """About that share of the tokens is `<mask>`, of no padding, and anew in each."""
  policy, theta = make_policy_and_theta()
  shown = np.stack(
    [
      candidates.sample(
        policy, theta, PASSAGES, jax.random.key(seed), IDS.mask, 0.4, 2, 0.5, 0.3
      ).shown.tokens
      for seed in range(60)
    ]
  )
  blotted = (shown == IDS.mask)[:, PASSAGES.valid]
  assert 0.2 < blotted.mean() < 0.4
  np.testing.assert_array_equal(shown == PASSAGES.tokens[None], shown != IDS.mask)


def test_proposal_mixes_uniform_and_policy():
  """Frequencies are explore * uniform + (1 - explore) * pi; log q says so."""
  log_pi = jnp.log(jnp.array([[[0.7, 0.2], [0.1, 0.0]]]))
  possible = log_pi > -jnp.inf
  shown = jax.tree.map(lambda x: x[1:], PASSAGES)
  spans = candidates.propose(jax.random.key(0), log_pi, possible, shown, 6000, 0.5)
  expected = 0.5 / 3 + 0.5 * np.array([0.7, 0.2, 0.1])
  counts = np.bincount(np.asarray(spans.index[0]), minlength=4) / 6000
  np.testing.assert_allclose(counts, [*expected, 0], atol=0.02)
  np.testing.assert_allclose(
    np.exp(spans.log_proposal[0]), expected[np.asarray(spans.index[0])], rtol=1e-6
  )
  np.testing.assert_array_equal(spans.start * 2 + spans.length - 1, spans.index)


def test_entropy_of_a_fresh_policy_is_the_log_of_its_candidates():
  """It is uniform: 4 + 3 spans of up to two words in four words, 2 + 1 in two."""
  policy = policies.POLICIES['learned'](0.4, 40, longest=LONGEST, width=4, reach=3)
  theta = policy.init(jax.random.key(0))
  value, slope = jax.value_and_grad(candidates.entropy, argnums=1)(
    policy, theta, PASSAGES
  )
  np.testing.assert_allclose(value, (np.log(7) + np.log(3)) / 2, rtol=1e-6)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(slope))
