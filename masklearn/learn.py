"""Learning a masking policy for a task from the task's own loss.

First a warm-up: the base model is trained on denoising and on the questions of one
half of the training groups, until the loss of validation questions is lowest. It
then answers as well as it can without knowing the facts, so that what lowers the
outer loss is to learn them. The policy's episodes come from the other half.

Neither the warm-up nor the policy is ever told where an answer stands in a passage;
an episode joins passages and questions by what they are about, their group.
"""

import functools
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn import (
  checkpoint,
  data,
  evaluate,
  files,
  inner,
  losses,
  meta,
  policies,
  score,
  sharding,
  steps,
  train,
)
from masklearn.episodes import Episodes
from masklearn.estimators import Estimator, make_estimator
from masklearn.progress import Progress
from masklearn.stages import (
  Ground,
  finish,
  target_capacity,
)
from masklearn.types import Batch, Policy, Task
from masklearn.warmup import warm_up

WATCHED = 32  # passages on which a policy is looked at while it learns, at most
VALIDATION = 48  # episodes that decide when to stop


def learn_policy(
  ground: Ground,
  task: Task,
  passages: Batch,
  policy: Policy,
  params: Any,
  directory: str | os.PathLike,
  *,
  title: str,
  progress: Progress,
  save_every: int,
  seed: int,
  rate: float,
  target: str,
  longest: int,
  updates: int,
  episodes: int,
  questions: int,
  estimator: Estimator,
  learning_rate: float,
  inner_optimizer: str,
  inner_step: float,
  inner_steps: int,
  trainable: str,
  temperature: tuple[float, float],
  bonus: tuple[float, float],
  held_out: bool,
  cosine: bool,
  validate_every: int,
  warmup: dict[str, Any],
) -> dict[str, Any]:
  """Learns the parameters of a policy on the task's training groups.

  Args:
    ground: corpus, tokenizer and model.
    task: its training questions teach, its validation questions say when to stop.
    passages: the encoded corpus, in the order of `ground.passages`.
    policy: what to learn.
    params: of the base model.
    directory: of the stage.
    title: shown with the progress.
    progress: where to show it.
    save_every: steps between checkpoints.
    seed: of everything random here.
    rate: of the policy, for what is logged of it.
    target: the objective's output format.
    longest: words of the longest candidate span.
    updates: of the policy.
    episodes: averaged in an update.
    questions: Q, of an episode, all about the group of its passage.
    estimator: of the policy's gradient.
    learning_rate: of the policy's Adam at the start; a cosine ends it.
    inner_optimizer: of the denoising and of the fine-tuning steps, see
      `inner.OPTIMIZERS`.
    inner_step: its learning rate: with SGD so small that a step's effect is nearly
      linear in it.
    inner_steps: K.
    trainable: a regular expression for the names of the parameters that inner steps
      change; '' for all.
    temperature: of soft draws, at the start and at the end; it falls geometrically.
    bonus: weight of the policy's entropy at the start and at the end, see
      `meta.make_policy_step`.
    held_out: whether fine-tuning steps use other groups' questions; False is the
      paper's way, the same questions as the outer loss.
    cosine: whether validation also logs the cosine of the estimated gradient and the
      one of mode 'mixed', which costs both.
    validate_every: updates between validations.
    warmup: `updates`, `batch_size`, `learning_rate`, `validate_every`.

  Returns:
    `theta`, `seconds`, `updates` used, and shares of what is hidden on groups that
    were not learned from: `asked_share`, `exact_share`, `asked_share_before`. Where
    no theta gains more than the first beyond noise, the first one and 0 updates.
  """
  directory = pathlib.Path(directory)
  like = policy.init(jax.random.key(seed))
  like = policies.with_words(like, params['shared']['embedding'])
  if (directory / 'done.json').exists():
    done = files.read_json(directory / 'done.json')
    return {'theta': checkpoint.restore(directory / 'theta', like), **done}
  warm_groups, episode_groups = _halves(task, seed)
  warm = warm_up(
    ground,
    task,
    warm_groups,
    passages,
    params,
    directory / 'warmup',
    title=f'{title}: warm-up',
    progress=progress,
    save_every=save_every,
    seed=seed,
    rate=rate,
    target=target,
    longest=longest,
    **warmup,
  )
  ids = ground.tokenizer.specials
  first_theta = score.with_baseline(like) if estimator.learns_baseline else like
  setting = Setting(
    target,
    _candidate_capacity(passages, longest),
    int(target_capacity(passages, rate, ids).max()),
    estimator,
    inner_optimizer,
    inner_step,
    trainable,
    episodes,
    tuple(temperature),
    tuple(bonus),
    learning_rate,
    updates,
  )
  tx, inner_tx, probe, place, step, compare = _policy_training(
    ground.model, policy, ids, rate, setting
  )
  start = inner.start(inner_tx, warm.state.params, warm.state.opt)
  placed = place(start)
  hot, cold = np.float32(temperature)
  key_watch, key_check, key_unit, key_step = jax.random.split(jax.random.key(seed), 4)

  def episodes_of(examples):
    made = Episodes(
      ground.passages,
      passages,
      examples,
      ground.tokenizer,
      beside=task.examples,
      questions=questions,
      held_out=held_out,
      seed=seed,
      inner_steps=inner_steps,
    )
    made.measure_units(
      lambda stack, keys: probe(first_theta, placed, stack, keys, hot),
      episodes,
      key_unit,
    )
    return made

  training = episodes_of([e for e in task.train if e.group in episode_groups])
  index = data.batches(np.arange(len(training)), episodes, seed)
  checked = episodes_of(task.validation)
  count = -(-VALIDATION // episodes) * episodes
  checks = data.batches(np.arange(len(checked)), count, seed)[0].reshape(-1, episodes)
  check_keys = jax.random.split(key_check, count).reshape(-1, episodes)
  unseen = {e.group for e in task.validation + task.test}
  rows = [i for i, p in enumerate(ground.passages) if p.group in unseen]
  some = np.linspace(0, len(rows) - 1, min(WATCHED, len(rows))).astype(int)
  watched = data.take(passages, np.array(rows)[some])

  def measure(theta):
    """The gain of each check, and the mean of their outer losses."""
    gains, outer = [], []
    for index, keys in zip(checks, check_keys, strict=True):
      stack = checked.stack(index)
      probed = probe(theta, placed, stack, keys, cold)
      # Of a few questions it is many times that of others, and they alone would decide.
      gains.append(np.arcsinh((probed.before - probed.outer) / stack.unit).mean(1))
      outer.append(probed.outer)
    return np.concatenate(gains), float(np.mean(outer))

  def validate(state):
    # The spans that tasks ask about are looked at here, and only reported.
    seen = evaluate.hidden(policy, state.params, key_watch, watched, draws=8)
    gains, outer = measure(state.params)
    found = {
      'score': float(gains.mean()),
      'outer_loss': outer,
      'asked_share': seen.asked_share,
      'salient_share': seen.salient_share,
      'exact_share': seen.exact_share,
    }
    if cosine:
      stack = checked.stack(checks[0])
      found['cosine'] = float(compare(state.params, start, stack, check_keys[0], cold))
    return found

  result = train.run(
    step,
    steps.init_state(first_theta, tx),
    lambda i: (placed, training.stack(index[i])),
    key_step,
    directory,
    steps=updates,
    name=title,
    progress=progress,
    save_every=save_every,
    validate=validate,
    validate_every=validate_every,
    warn=warn,
  )
  everywhere = data.take(passages, np.array(rows))
  theta, used = result.state.params, int(result.state.step)
  chosen, first = (measure(t)[0] for t in (theta, first_theta))
  theta = score.without_baseline(theta)
  if not surpasses(chosen, first):
    # The highest of several gains is one even where there is nothing but noise.
    theta, used = like, 0
  before, after = (
    evaluate.hidden(policy, t, key_watch, everywhere) for t in (like, theta)
  )
  checkpoint.save(directory / 'theta', theta)
  done = {
    'seconds': warm.seconds + result.seconds,
    'updates': used,
    'score': result.score,
    'asked_share_before': before.asked_share,
    'asked_share': after.asked_share,
    'exact_share': after.exact_share,
  }
  return {'theta': theta, **finish(directory, done)}


def surpasses(gains: np.ndarray, others: np.ndarray) -> bool:
  """Whether `gains` [E] are more than the paired `others`, by three standard errors.

  Three and not two, as the gains are those of the best of several checks.
  """
  difference = gains - others
  error = difference.std(ddof=min(1, len(difference) - 1)) / len(difference) ** 0.5
  return bool(difference.mean() > 3 * error)


def warn(metrics: dict[str, float]) -> str:
  """What is wrong with logged metrics, and its likely cause; '' if nothing."""
  norms = metrics['influence'], metrics['grad_norm']
  if not np.isfinite(norms).all():
    return (
      'the meta-gradient is not finite. The usual causes are an inner step that '
      'overshoots (a smaller inner_step) and a square root at zero in an optimizer '
      'of your own (eps_root > 0).'
    )
  if norms[0] == 0:
    return (
      'the meta-gradient is exactly zero: no decision moves the outer loss. The usual '
      "causes are an inner_step of 0 or below the parameters' resolution, parameters "
      "in `trainable` that the questions do not need, and, in 'score', draws that "
      'are all alike.'
    )
  if norms[1] == 0:
    return (
      "the policy's gradient is exactly zero, though decisions matter: its scores no "
      'longer depend on its parameters, such as with one candidate a passage.'
    )
  return ''


class Setting(NamedTuple):
  """Numbers that a compiled policy step depends on; see `learn_policy`."""

  target: str
  span_length: int
  draw_length: int
  estimator: Estimator
  inner_optimizer: str
  inner_step: float
  trainable: str
  episodes: int
  temperature: tuple[float, float]
  bonus: tuple[float, float]
  learning_rate: float
  updates: int


@functools.cache
def _policy_training(model, policy, ids, rate, setting: Setting):
  """Optimizers of policy and model; `meta.probe`, the step and the comparison."""
  # Not normalised: along a unit gradient, what a span teaches would be set against
  # what it changes, and the mean of many spans against that of the useful ones.
  inner_tx = inner.make_inner(
    setting.inner_optimizer, setting.inner_step, setting.trainable
  )
  tx = optax.adam(
    optax.cosine_decay_schedule(setting.learning_rate, setting.updates, alpha=0.1)
  )

  def make(estimator):
    return make_estimator(
      estimator,
      policy,
      losses.make_row_sums(model),
      inner_tx,
      ids,
      rate,
      target=setting.target,
      span_length=setting.span_length,
      draw_length=setting.draw_length,
    )

  gradient = make(setting.estimator)
  exact = make(setting.estimator._replace(mode='mixed'))
  # Spread out at first, a policy has tried many spans before it settles on some.
  bonus = optax.linear_schedule(*setting.bonus, round(0.8 * setting.updates))
  first, last = setting.temperature
  temperature = optax.exponential_decay(first, setting.updates, last / first)
  _, probe, place = sharding.spread(
    functools.partial(meta.probe, gradient), setting.episodes
  )
  ascend = jax.jit(meta.make_policy_step(policy, gradient.decide, tx, bonus))

  # Compiled apart: nearly all of it is the probing, which serves other purposes, too.
  def step(state, key, batch):
    start, episodes = batch
    key = jax.random.fold_in(key, state.step)
    keys = jax.random.split(key, setting.episodes)
    # As strongly typed as numpy's, or it would be compiled for both.
    warmth = jnp.asarray(temperature(state.step), jnp.float32)
    probed = probe(state.params, start, episodes, keys, warmth)
    return ascend(state, probed, episodes.unit)

  compare = jax.jit(functools.partial(meta.cosine, gradient, exact))
  return tx, inner_tx, probe, place, step, compare


def _halves(task, seed):
  groups = sorted({e.group for e in task.train})
  order = np.random.default_rng(seed).permutation(len(groups))
  half = len(groups) // 2
  return tuple(
    frozenset(groups[i] for i in part) for part in (order[:half], order[half:])
  )


def _candidate_capacity(passages, longest):
  """Length T that no candidate's target exceeds: `<mask>`, its words and `</s>`."""
  capacity = 0
  for word, valid in zip(passages.word, passages.valid, strict=True):
    sizes = np.pad(np.bincount(word[valid]), (0, longest))
    runs = sum(sizes[n : len(sizes) - longest + n] for n in range(longest))
    capacity = max(capacity, int(runs.max()) + 2)
  return capacity
