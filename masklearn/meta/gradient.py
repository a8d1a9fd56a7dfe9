"""The downstream loss, differentiated through the model's own training to a policy.

A policy's parameters theta are worth what they do to a later task: the outer loss on
questions after (a) K denoising steps on passages that the policy masked and (b) J
fine-tuning steps on questions,

  params  <-  update(params, grad L_pre(params, d_k))       (a), K times
  params  <-  update(params, grad L_support(params))        (b), J times
  outer    =  L_query(params).

`relaxations` says what the decisions d_k are and how theta moves them, `unroll` how
the outer loss goes back through the steps to them. What arrives, d outer / d d_k, is
the influence of each decision, and goes on to theta by the VJP of the relaxation.

References:
  Ye et al., On the Influence of Masking Policies in Intermediate Pre-training
  (2021), section 3.2: one denoising step and one fine-tuning step, then the loss on
  the same question.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masklearn.io.lookup import check_name
from masklearn.meta import mixture as proposals
from masklearn.meta import relaxations, unroll
from masklearn.meta.outer import make_outer
from masklearn.training import steps
from masklearn.training.steps import TrainState
from masklearn.types import Policy


class MetaGradient(NamedTuple):
  """Functions of one episode, over what `sample` has drawn for it."""

  sample: Callable  # (theta, passages [K, P, L], key, temperature=1) -> draw
  decide: Callable  # (theta, draw) -> decisions [K, P, ..]
  # (theta, state, episode, draw, key) -> ([Q], influences [Q, K, P, ..], before [Q])
  # The derivatives of the outer losses by the decisions, and what the outer losses are
  # without the denoising steps.
  influences: Callable

  def gradient(self, theta, state, episode, draw, key):
    """The same, but ([Q], the mean's gradient by theta, before [Q])."""
    values, influence, before = self.influences(theta, state, episode, draw, key)
    _, pull = jax.vjp(lambda theta: self.decide(theta, draw), theta)
    return values, pull(influence.mean(0))[0], before


def make_meta_gradient(
  relaxation: relaxations.Relaxation,
  loss_sums: Callable,
  tx: optax.GradientTransformation,
  *,
  fine_tune_steps: int = 0,
  tuning_tx=None,
  mode: str = 'mixed',
  memory: str = 'low',
  **options,
) -> MetaGradient:
  """The outer losses of an episode and their gradients with respect to the policy.

  `influences` are exact for the given draw in the modes 'mixed' and 'reverse', and
  `gradient` is them through the relaxation.

  Args:
    relaxation: of the policy, one of `estimators.RELAXATIONS`.
    loss_sums: of the model, see `losses.make_loss_sums`.
    tx: the inner optimizer; any differentiable one. Adam needs `eps_root` > 0, or the
      gradient is NaN.
    fine_tune_steps: J.
    tuning_tx: of the fine-tuning steps, such as with another learning rate; it goes
      on with the state of `tx`, see `inner.apart` for a state of its own. None is `tx`.
    mode: one of `unroll.MODES`, of the denoising steps. The backward pass of the
      fine-tuning steps is exact, but for 'first_order'.
    memory: 'low' recomputes what the backward pass of a step needs, and takes one
      question after the other; 'fast' keeps it, and takes all at once.
    **options: of the mode, such as the `window` of 'truncated'.

  Raises:
    InputError: the mode or `memory` is unknown.
  """
  check_name(('low', 'fast'), memory, 'memory')
  check_name(unroll.MODES, mode, 'mode')
  if mode in ('mixed', 'truncated', 'first_order'):
    options['memory'] = memory
  tuning_tx = tuning_tx or tx
  outer = make_outer(loss_sums, tuning_tx, fine_tune_steps)
  tuned = _make_tuning(outer, tuning_tx, fine_tune_steps, mode, memory)

  def sample(theta, passages, key, temperature=1.0):
    draw = relaxation.sample(theta, merge_steps(passages), key, temperature)
    return split_steps(draw, passages)

  def decide(theta, draw):
    return split_steps(relaxation.decide(theta, merge_steps(draw)), draw)

  def influences(theta, state, episode, draw, key):
    key_inner, key_tune, key_outer = jax.random.split(key, 3)
    decisions = decide(theta, draw)
    items = unroll.Items(decisions, draw, unroll.keys(key_inner, len(decisions)))
    after, pull = unroll.MODES[mode](
      relaxation.loss, tx, state, items, to_start=False, **options
    )

    def one(questions):
      support, query = questions
      end, pull_tuned = tuned(after, support, key_tune)
      value, slope = jax.value_and_grad(outer.loss)(end.params, key_outer, query)
      cotangent = pull_tuned(unroll.cotangent_of(end, slope))
      before = outer.one(state, questions, key_tune, key_outer)
      return value, pull(cotangent)[1], before

    questions = episode.support, episode.query
    return jax.vmap(one)(questions) if memory == 'fast' else jax.lax.map(one, questions)

  return MetaGradient(sample, decide, influences)


class Probed(NamedTuple):
  """The effects of hidden spans of E episodes on the questions of each."""

  draw: Any  # [E, ..]
  outer: jax.Array  # [E, Q] the outer losses
  influence: jax.Array  # [E, Q, K, P, ..] their derivatives by the decisions
  before: jax.Array  # [E, Q] the outer losses without the denoising steps


def probe(
  meta_gradient: MetaGradient, theta, state, episodes, keys, temperature=1.0
) -> Probed:
  """Draws for each of E episodes, and measures the influence of each decision.

  Every episode has inner steps of its own, from the same `state` of the model: what
  one passage teaches shows in the questions about it, and would be lost in the mean
  over the questions about others. One is in memory at a time.

  Args:
    meta_gradient: see `make_meta_gradient`.
    theta: of the policy.
    state: of the model, before the denoising step.
    episodes: an `Episode` of arrays [E, ..].
    keys: E random keys.
    temperature: of soft draws.
  """

  def one(item):
    given = _drawn(meta_gradient, theta, state, item, temperature)
    return Probed(given[2], *meta_gradient.influences(theta, *given))

  return jax.lax.map(one, (episodes, keys))


def make_policy_step(policy: Policy, decide: Callable, tx, entropy_weight):
  """Returns `step(state, probed, scale) -> (state, metrics)` on theta.

  `probed` is of E episodes with the theta of `state`, and `scale` [E, Q] theirs. Theta
  ascends the mean of `gain + entropy_weight(step) * mixture.relative_entropy`; a
  question's gain is what the denoising step lowers its outer loss by, in its scale.
  Alone it is linear in the policy, and would end in the one most influential span of a
  passage, while a draw hides several.

  Args:
    policy: what learns.
    decide: of the `MetaGradient` that has probed.
    tx: the optimizer of theta.
    entropy_weight: that of the relative entropy, a function of the step such as
      optax's schedules.
  """

  def step(state: TrainState, probed: Probed, scale: jax.Array):
    weight = entropy_weight(state.step)

    def descended(theta, draw, slope):
      # On the passages as they were shown: on others the entropy would undo what they
      # teach.
      spread = proposals.relative_entropy(policy, theta, merge_steps(draw.shown))
      return (slope * decide(theta, draw)).sum() - weight * spread, spread

    gradients, spread = _of_episodes(descended, state.params, probed, scale)
    gradient = jax.tree.map(lambda x: x.mean(0), gradients)
    metrics = {
      'loss': probed.outer.mean(),
      'loss_before': probed.before.mean(),
      'gain': ((probed.before - probed.outer) / scale).mean(),
      'relative_entropy': spread.mean(),
      'influence': optax.tree.norm(probed.influence),
      'grad_norm': optax.tree.norm(gradient),
    }
    if len(scale) > 1:
      metrics['snr'] = signal_to_noise(gradients, gradient)
    return steps.apply_gradients(tx, state, gradient), metrics

  return step


def make_moments(decide: Callable, part: Callable = lambda theta: theta):
  """Returns `moments(theta, probed, scale)` of the gradients of E episodes.

  Their sum, like theta, and the sum [] of their squared norms. They are those of
  `make_policy_step` without the entropy.

  Args:
    decide: of the `MetaGradient` that has probed.
    part: of theta, whose gradients are looked at.
  """

  def moments(theta, probed: Probed, scale: jax.Array):
    def descended(theta, draw, slope):
      return (slope * decide(theta, draw)).sum(), ()

    gradients = part(_of_episodes(descended, theta, probed, scale)[0])
    total = jax.tree.map(lambda x: x.sum(0), gradients)
    return total, optax.tree.norm(gradients, squared=True)

  return moments


def _of_episodes(descended, theta, probed, scale):
  """The gradients [E, ..] of `descended(theta, draw, slope)`, and its other values."""
  # The mean over questions, each in its scale, goes back to theta at once.
  sizes = scale.reshape(*scale.shape, *[1] * (probed.influence.ndim - scale.ndim))
  slopes = (probed.influence / sizes).mean(1)  # [E, K, P, ..]
  slope_of = jax.grad(descended, has_aux=True)
  return jax.lax.map(lambda item: slope_of(theta, *item), (probed.draw, slopes))


def signal_to_noise(gradients, mean) -> jax.Array:
  """The squared norm of a mean gradient over the variance of that mean, [].

  Of nothing but noise it is 1 on average: that of n numbers is n times that of one.

  Args:
    gradients: of E > 1 episodes, [E, ..] each.
    mean: over them.
  """
  episodes = len(jax.tree.leaves(gradients)[0])
  off = jax.tree.map(lambda g, m: ((g - m[None]) ** 2).sum(), gradients, mean)
  variance = sum(jax.tree.leaves(off)) / (episodes - 1) / episodes
  return optax.tree.norm(mean, squared=True) / jnp.maximum(variance, 1e-30)


def cosine(
  one: MetaGradient, other: MetaGradient, theta, state, episodes, keys, temperature=1.0
) -> jax.Array:
  """The cosine [] of two meta-gradients of the same draws, each a mean over episodes.

  Args:
    one: such as of an approximate mode; it also draws.
    other: of the same relaxation, such as of an exact mode.
    theta: of the policy.
    state: of the model.
    episodes: an `Episode` of arrays [E, ..].
    keys: E random keys.
    temperature: of soft draws.
  """

  def both(item):
    given = _drawn(one, theta, state, item, temperature)
    return [m.gradient(theta, *given)[1] for m in (one, other)]

  gradients = jax.lax.map(both, (episodes, keys))
  a, b = (jax.tree.map(lambda x: x.mean(0), g) for g in gradients)
  norms = optax.tree.norm(a) * optax.tree.norm(b)
  return optax.tree.vdot(a, b) / jnp.maximum(norms, 1e-30)


def merge_steps(tree):
  """[K, P, ..] as [K * P, ..].

  >>> merge_steps(jnp.zeros((2, 3, 5))).shape
  (6, 5)
  """
  return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)


def split_steps(tree, like):
  """[K * P, ..] as [K, P, ..], the first axes of `like`.

  >>> split_steps(jnp.zeros((6, 5)), jnp.zeros((2, 3, 7))).shape
  (2, 3, 5)
  """
  shape = jax.tree.leaves(like)[0].shape[:2]
  return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), tree)


def _make_tuning(outer, tx, fine_tune_steps, mode, memory):
  """`(state, support, key) -> (state, pull)` of the fine-tuning steps.

  `pull` goes from the cotangent of their last state to that of their first.
  """
  if not fine_tune_steps:
    return lambda state, support, key: (state, lambda cotangent: cotangent)
  mode = mode if mode in ('reverse', 'first_order') else 'mixed'
  options = {} if mode == 'reverse' else {'memory': memory}

  def tuned(state, support, key):
    items = outer.items(support, key)
    state, pull = unroll.MODES[mode](outer.tuning, tx, state, items, **options)
    return state, lambda cotangent: pull(cotangent)[0]

  return tuned


def _drawn(meta_gradient, theta, state, item, temperature):
  """What comes behind theta in the functions of a `MetaGradient`, with a new draw."""
  episode, key = item
  key_sample, key_steps = jax.random.split(key)
  draw = meta_gradient.sample(theta, episode.passages, key_sample, temperature)
  return state, episode, draw, key_steps
