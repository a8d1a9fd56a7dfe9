"""Updates of a policy: its optimizer, and the steps that are compiled once."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn.meta import gradient as gradients
from masklearn.meta import inner, reinforce
from masklearn.meta.estimators import Estimator, make_estimator
from masklearn.meta.outer import make_outer
from masklearn.training import losses
from masklearn.training.mesh import Layout
from masklearn.types import Policy, Specials


class Setting(NamedTuple):
  """Numbers that a compiled policy step depends on; see `learn.Learning`."""

  target: str
  span_length: int
  draw_length: int
  estimator: Estimator
  inner_optimizer: str
  inner_learning_rate: float
  fine_tune_optimizer: str
  fine_tune_learning_rate: float
  trainable: str
  episodes: int
  temperature: tuple[float, float]
  entropy_weight: tuple[float, float]
  learning_rate: float
  updates: int


class PolicyUpdate(NamedTuple):
  """Compiled functions, shared by what has equal settings."""

  tx: optax.GradientTransformation  # of the policy
  inner_tx: optax.GradientTransformation  # of the denoising steps of an episode
  # (theta, start, episodes, keys, temperature) -> meta.Probed, arguments in place
  probe: Callable
  update: Callable  # (state, probed, scales) -> (state, metrics)
  moments: Callable  # (theta, probed, scales) -> see `meta.make_moments`
  step: Callable  # (state, key, (start, episodes)) -> (state, metrics): both of them
  compare: Callable  # see `meta.cosine`, with the exact gradient
  # (theta, start, episodes, keys) -> [E, Q], see `Outer.fall`; of no use for theta
  fall: Callable


@functools.cache
def make_policy_update(
  model, policy: Policy, ids: Specials, rate: float, setting: Setting, layout: Layout
) -> PolicyUpdate:
  """The optimizers and steps of a policy that learns by an estimator.

  Args:
    model: that is trained in an episode.
    policy: what learns.
    ids: the special tokens.
    rate: the policy's budget.
    setting: all else.
    layout: over whose `data` episodes are split.
  """
  inner_tx, tuning_tx = _inner_optimizers(setting)
  updates = setting.updates
  decay = optax.cosine_decay_schedule(setting.learning_rate, updates, alpha=0.1)
  tx = optax.adam(decay)
  loss_sums = losses.make_loss_sums(model)
  work = policy, loss_sums, inner_tx, ids, rate
  options = {
    'target': setting.target,
    'span_length': setting.span_length,
    'draw_length': setting.draw_length,
    'tuning_tx': tuning_tx,
  }
  gradient, exact = (
    make_estimator(estimator, *work, **options)
    for estimator in (setting.estimator, setting.estimator._replace(mode='mixed'))
  )
  # Spread out at first, a policy has tried many spans before it settles on some.
  weight = optax.linear_schedule(*setting.entropy_weight, round(0.8 * updates))
  first, last = setting.temperature
  temperature = optax.exponential_decay(first, updates, last / first)
  probe = jax.jit(layout.spread(functools.partial(gradients.probe, gradient)))
  step_of = gradients.make_policy_step(policy, gradient.decide, tx, weight)
  update = layout.jit_step(step_of)

  @functools.partial(jax.jit, out_shardings=layout.episodes)
  def keys_of(key, step):
    return jax.random.split(jax.random.fold_in(key, step), setting.episodes)

  # Compiled apart: nearly all of it is the probing, which serves other purposes, too.
  def step(state, key, batch):
    start, episodes = batch
    # In the places and of the type in which validation gives them, or the probe would
    # be compiled for both.
    keys = keys_of(key, state.step)
    warmth = layout.scalar(jnp.asarray(temperature(state.step), jnp.float32))
    probed = probe(state.params, start, episodes, keys, warmth)
    return update(state, probed, episodes.scale)

  moments = layout.jit_whole(
    gradients.make_moments(gradient.decide, reinforce.without_baseline)
  )
  compare = layout.jit_whole(functools.partial(gradients.cosine, gradient, exact))
  outer = make_outer(loss_sums, tuning_tx, setting.estimator.fine_tune_steps)

  def falls(theta, start, episodes, keys):
    del theta  # the same before and after a denoising step, to first order
    return jax.lax.map(lambda item: outer.fall(start, *item), (episodes, keys))

  fall = jax.jit(layout.spread(falls))
  return PolicyUpdate(tx, inner_tx, probe, update, moments, step, compare, fall)


def _inner_optimizers(setting: Setting):
  """Those of denoising and of fine-tuning steps; both start from the same state."""
  # Not normalised: along a unit gradient, what a span teaches would be set against
  # what it changes, and the mean of many spans against that of the useful ones.
  names = setting.inner_optimizer, setting.fine_tune_optimizer
  rates = setting.inner_learning_rate, setting.fine_tune_learning_rate
  follows = True, not rates[1]
  tx, tuning_tx = (
    inner.adjustable(
      inner.make_inner(name or names[0], rate or rates[0], setting.trainable), follow
    )
    for name, rate, follow in zip(names, rates, follows, strict=True)
  )
  # By default there is one optimizer, whose state goes on from step to step.
  return inner.apart(tx, tuning_tx) if names[1] else (tx, tuning_tx)


def warn(metrics: Mapping[str, float]) -> str:
  """A warning about logged metrics, with its likely cause; '' if all is well.

  >>> warn({'influence': 0.3, 'grad_norm': 0.1})
  ''
  """
  norms = metrics['influence'], metrics['grad_norm']
  if not np.isfinite(norms).all():
    return (
      'the meta-gradient is not finite. The usual causes are an inner step that '
      'overshoots (a smaller inner_learning_rate) and a square root at zero in an '
      'optimizer of your own (eps_root > 0).'
    )
  if norms[0] == 0:
    return (
      'the meta-gradient is exactly zero: no decision moves the outer loss. The usual '
      'causes are an inner_learning_rate of 0 or below the resolution of the '
      'parameters, parameters in `trainable` that the questions do not need, and, in '
      "'score', draws that are all alike."
    )
  if norms[1] == 0:
    return (
      "the policy's gradient is exactly zero, though decisions matter: its scores no "
      'longer depend on its parameters, such as with one candidate a passage.'
    )
  return ''
