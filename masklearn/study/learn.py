"""Learning a masking policy for a task from the task's own loss.

First a warm-up: the base model is trained on denoising and on the questions of one
half of the training groups, until the loss of validation questions is lowest. It
then answers as well as it can without knowing the facts, so that what lowers the
outer loss is to learn them. The policy's episodes come from the other half.

Neither the warm-up nor the policy is ever told where an answer stands in a passage;
an episode joins passages and questions by what they are about, their group.
"""

import os
import pathlib
from typing import Any

import jax
import numpy as np

from masklearn import data, policies
from masklearn.io import checkpoint, files
from masklearn.io.progress import Progress
from masklearn.meta import inner, reinforce
from masklearn.meta.episodes import Episodes
from masklearn.meta.estimators import Estimator
from masklearn.meta.policy_update import Setting, make_policy_update, warn
from masklearn.policies import statistics
from masklearn.policies.capacity import word_capacity
from masklearn.study.stages import Setup, finish
from masklearn.study.warmup import warm_up
from masklearn.training import loop, steps
from masklearn.training.context import StageContext
from masklearn.types import Batch, Policy, Task

WATCHED = 32  # passages on which a policy is looked at while it learns, at most
VALIDATION = 48  # episodes that decide when to stop


def learn_policy(
  setup: Setup,
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
  entropy_coefficient: tuple[float, float],
  held_out: bool,
  cosine: bool,
  validate_every: int,
  warmup: dict[str, Any],
) -> dict[str, Any]:
  """Learns the parameters of a policy on the task's training groups.

  Args:
    setup: corpus, tokenizer and model.
    task: its training questions teach, its validation questions say when to stop.
    passages: the encoded corpus, in the order of `setup.passages`.
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
    entropy_coefficient: weight of the policy's entropy at the start and at the end, see
      `meta.make_policy_step`.
    held_out: whether fine-tuning steps use other groups' questions; False is the
      paper's way, the same questions as the outer loss.
    cosine: whether validation also logs the cosine of the estimated gradient and the
      one of mode 'mixed', which costs both.
    validate_every: updates between validations.
    warmup: `updates`, `batch_size`, `learning_rate`, `validate_every`.

  Returns:
    `theta`, `seconds`, `updates` used, and shares of what is hidden on groups that
    were not learned from: `answer_precision`, `span_precision`, `answer_precision_before`. Where
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
    setup,
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
  ids = setup.tokenizer.specials
  first_theta = reinforce.with_baseline(like) if estimator.learns_baseline else like
  setting = Setting(
    target,
    _candidate_capacity(passages, longest),
    int(word_capacity(passages, rate, ids).max()),
    estimator,
    inner_optimizer,
    inner_step,
    trainable,
    episodes,
    tuple(temperature),
    tuple(entropy_coefficient),
    learning_rate,
    updates,
  )
  tx, inner_tx, probe, place, step, compare = make_policy_update(
    setup.model, policy, ids, rate, setting
  )
  start = inner.start(inner_tx, warm.state.params, warm.state.opt)
  placed = place(start)
  hot, cold = np.float32(temperature)
  key_watch, key_check, key_unit, key_step = jax.random.split(jax.random.key(seed), 4)

  def episodes_of(examples):
    made = Episodes(
      setup.passages,
      passages,
      examples,
      setup.tokenizer,
      beside=task.examples,
      questions=questions,
      held_out=held_out,
      seed=seed,
      inner_steps=inner_steps,
    )
    made.measure_scales(
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
  rows = [i for i, p in enumerate(setup.passages) if p.group in unseen]
  some = np.linspace(0, len(rows) - 1, min(WATCHED, len(rows))).astype(int)
  watched = data.take(passages, np.array(rows)[some])

  def measure(theta):
    """The gain of each check, and the mean of their outer losses."""
    gains, outer = [], []
    for index, keys in zip(checks, check_keys, strict=True):
      stack = checked.stack(index)
      probed = probe(theta, placed, stack, keys, cold)
      # Of a few questions it is many times that of others, and they alone would decide.
      gains.append(np.arcsinh((probed.before - probed.outer) / stack.scale).mean(1))
      outer.append(probed.outer)
    return np.concatenate(gains), float(np.mean(outer))

  def validate(state):
    # The spans that tasks ask about are looked at here, and only reported.
    seen = statistics.hidden(policy, state.params, key_watch, watched, draws=8)
    gains, outer = measure(state.params)
    found = {
      'score': float(gains.mean()),
      'outer_loss': outer,
      'answer_precision': seen.answer_precision,
      'salient_share': seen.salient_share,
      'span_precision': seen.span_precision,
    }
    if cosine:
      stack = checked.stack(checks[0])
      found['cosine'] = float(compare(state.params, start, stack, check_keys[0], cold))
    return found

  result = loop.run(
    step,
    steps.init_state(first_theta, tx),
    lambda i: (placed, training.stack(index[i])),
    key_step,
    StageContext(directory, title, progress, save_every, seed),
    steps=updates,
    validate=validate,
    validate_every=validate_every,
    warn=warn,
  )
  everywhere = data.take(passages, np.array(rows))
  theta, used = result.state.params, int(result.state.step)
  chosen, first = (measure(t)[0] for t in (theta, first_theta))
  theta = reinforce.without_baseline(theta)
  if not surpasses(chosen, first):
    # The highest of several gains is one even where there is nothing but noise.
    theta, used = like, 0
  before, after = (
    statistics.hidden(policy, t, key_watch, everywhere) for t in (like, theta)
  )
  checkpoint.save(directory / 'theta', theta)
  done = {
    'seconds': warm.seconds + result.seconds,
    'updates': used,
    'score': result.score,
    'answer_precision_before': before.answer_precision,
    'answer_precision': after.answer_precision,
    'span_precision': after.span_precision,
  }
  return {'theta': theta, **finish(directory, done)}


def surpasses(gains: np.ndarray, others: np.ndarray) -> bool:
  """Whether `gains` [E] are more than the paired `others`, by three standard errors.

  Three and not two, as the gains are those of the best of several checks.
  """
  difference = gains - others
  error = difference.std(ddof=min(1, len(difference) - 1)) / len(difference) ** 0.5
  return bool(difference.mean() > 3 * error)


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
