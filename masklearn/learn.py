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
import numpy as np
import optax

from masklearn import (
  checkpoint,
  data,
  evaluate,
  files,
  losses,
  meta,
  policies,
  relaxations,
  steps,
  train,
)
from masklearn.episodes import Episodes
from masklearn.progress import Progress
from masklearn.stages import (
  Ground,
  finish,
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
  candidates: int,
  explore: float,
  blot: float,
  learning_rate: float,
  inner_step: float,
  bonus: tuple[float, float],
  fine_tune_steps: int,
  held_out: bool,
  memory: str,
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
    candidates: spans sampled from a passage.
    explore: share of candidates that are sampled uniformly.
    blot: share of tokens that the policy does not see while it learns.
    learning_rate: of the policy's Adam at the start; a cosine ends it.
    inner_step: learning rate of the denoising step, and of each fine-tuning step: SGD,
      so small that a step's effect is nearly linear in it.
    bonus: weight of the policy's entropy at the start and at the end, see
      `meta.make_policy_step`.
    fine_tune_steps: J.
    held_out: whether fine-tuning steps use other groups' questions; False is the
      paper's way, the same questions as the outer loss.
    memory: 'low' or 'fast', see `meta.make_meta_gradient`.
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
  setting = Setting(
    target,
    _candidate_capacity(passages, longest),
    candidates,
    explore,
    blot,
    fine_tune_steps,
    inner_step,
    tuple(bonus),
    memory,
    learning_rate,
    updates,
  )
  tx, inner_tx, probe, step = _policy_training(
    ground.model, policy, ground.tokenizer.specials, rate, setting
  )
  inner = steps.init_state(warm.state.params, inner_tx)
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
    )
    made.measure_units(functools.partial(probe, like, inner), episodes, key_unit)
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
      probed = probe(theta, inner, stack, keys)
      # Of a few questions it is many times that of others, and they alone would decide.
      gains.append(np.arcsinh((probed.before - probed.outer) / stack.unit).mean(1))
      outer.append(probed.outer)
    return np.concatenate(gains), float(np.mean(outer))

  def validate(state):
    # The spans that tasks ask about are looked at here, and only reported.
    seen = evaluate.hidden(policy, state.params, key_watch, watched, draws=8)
    gains, outer = measure(state.params)
    return {
      'score': float(gains.mean()),
      'outer_loss': outer,
      'asked_share': seen.asked_share,
      'exact_share': seen.exact_share,
    }

  result = train.run(
    step,
    steps.init_state(like, tx),
    lambda i: (inner, training.stack(index[i])),
    key_step,
    directory,
    steps=updates,
    name=title,
    progress=progress,
    save_every=save_every,
    validate=validate,
    validate_every=validate_every,
  )
  everywhere = data.take(passages, np.array(rows))
  theta, used = result.state.params, int(result.state.step)
  chosen, start = (measure(t)[0] for t in (theta, like))
  if not surpasses(chosen, start):
    # The highest of several gains is one even where there is nothing but noise.
    theta, used = like, 0
  before, after = (
    evaluate.hidden(policy, t, key_watch, everywhere) for t in (like, theta)
  )
  checkpoint.save(directory / 'theta', theta)
  done = {
    'seconds': warm.seconds + result.seconds,
    'updates': used,
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


class Setting(NamedTuple):
  """Numbers that a compiled policy step depends on; see `learn_policy`."""

  target: str
  target_length: int
  candidates: int
  explore: float
  blot: float
  fine_tune_steps: int
  inner_step: float
  bonus: tuple[float, float]
  memory: str
  learning_rate: float
  updates: int


@functools.cache
def _policy_training(model, policy, ids, rate, setting: Setting):
  """Optimizers of policy and model; `meta.probe`, and the step, both compiled."""
  # Not normalised: along a unit gradient, what a span teaches would be set against
  # what it changes, and the mean of many spans against that of the useful ones.
  inner_tx = optax.sgd(setting.inner_step)
  tx = optax.adam(
    optax.cosine_decay_schedule(setting.learning_rate, setting.updates, alpha=0.1)
  )
  row_sums = losses.make_row_sums(model)
  relaxation = relaxations.RELAXATIONS['mixture'](
    policy,
    row_sums,
    ids,
    rate,
    target=setting.target,
    target_length=setting.target_length,
    candidates=setting.candidates,
    explore=setting.explore,
    blot=setting.blot,
  )
  gradient = meta.make_meta_gradient(
    relaxation,
    row_sums,
    inner_tx,
    fine_tune_steps=setting.fine_tune_steps,
    memory=setting.memory,
  )
  # Spread out at first, a policy has tried many spans before it settles on some.
  bonus = optax.linear_schedule(*setting.bonus, round(0.8 * setting.updates))
  probe = jax.jit(functools.partial(meta.probe, gradient))
  ascend = jax.jit(meta.make_policy_step(policy, gradient.decide, tx, bonus))

  # Compiled apart: nearly all of it is the probing, which serves other purposes, too.
  def step(state, key, batch):
    inner, episodes = batch
    key = jax.random.fold_in(key, state.step)
    keys = jax.random.split(key, len(episodes.unit))
    return ascend(state, probe(state.params, inner, episodes, keys), episodes.unit)

  return tx, inner_tx, probe, step


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
