"""Denoising: training a model to restore what a policy hides."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from masklearn import data
from masklearn.study import stage
from masklearn.study.setup import Setup
from masklearn.training import loop, steps
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Batch, Policy, Specials


class Objective(NamedTuple):
  """What is hidden, and what is to be restored."""

  policy: Policy
  theta: Any  # the policy's parameters
  target: str  # 'spans' or 'full'
  # [P] longest `spans` target of each passage, see `policies.Entry.capacity`; what is
  # beyond it is lost, and logged.
  capacity: np.ndarray


class Denoising(NamedTuple):
  """How long, and how fast, a model is trained to denoise."""

  updates: int
  batch_size: int  # passages a step; with packing, on average
  learning_rate: float  # its peak; a short warm-up, then a cosine
  weight_decay: float  # of AdamW

  def exposures(self, passages: int) -> float:
    """How often each of so many passages is seen, on average.

    >>> Denoising(3, 8, 1e-3, 0.01).exposures(passages=10)
    2.4
    """
    return self.updates * self.batch_size / passages

  def exposed(self, times: float, passages: int) -> 'Denoising':
    """The same until each of so many passages was seen so often; 0 changes nothing.

    >>> Denoising(3, 8, 1e-3, 0.01).exposed(times=10, passages=10).updates
    13
    """
    if not times:
      return self
    return self._replace(updates=math.ceil(times * passages / self.batch_size))


def denoise(
  setup: Setup,
  passages: Batch,
  objective: Objective,
  params: Start,
  training: Denoising,
  context: StageContext,
  saving: stage.Saving = stage.Saving(),  # noqa: B008 (a tuple)
) -> dict[str, Any]:
  """Trains a model on what a policy hides: the base, or intermediate pre-training.

  Args:
    setup: corpus, tokenizer and model.
    passages: the encoded corpus [P, L].
    objective: what to hide, and what to restore.
    params: of the model, to start from; `params` in the stage's directory gets what
      they become.
    training: updates, batch size and learning rate.
    context: where, and from which seed: of batches, draws and dropout.
    saving: time and memory for the same training.

  Returns:
    `seconds`, `updates`, and `masked_words`, the mean number of a passage.
  """
  done = stage.finished(context.directory, 'params')
  if done:
    return done
  seed, layout = context.seed, context.layout
  ids, theta = setup.tokenizer.specials, objective.theta
  given = setup.model, ids, passages, objective, training, saving
  work = make_work(*given, seed, layout)
  key_draw, key_step = jax.random.split(jax.random.key(seed))

  def batch_at(i):
    key, index = jax.random.fold_in(key_draw, i), work.order[i]
    texts = layout.batch(lambda own: data.take(passages, index[own]), len(index))
    used = layout.split(index >= 0, layout.rows)
    return work.together(used, *work.corrupted(theta, key, texts))

  first, count = steps.begin(params, work.tx), training.updates
  result = loop.run(work.step, first, batch_at, key_step, context, steps=count)
  words = loop.mean(result.history, 'masked_words')
  done = {'seconds': result.seconds, 'updates': count, 'masked_words': words}
  return stage.finish(context.directory, done, 'params', result.state.params)


class Work(NamedTuple):
  """What makes the batches of a stage, and the step on them; all compiled."""

  tx: optax.GradientTransformation
  step: Callable  # (state, key, batch) -> (state, metrics)
  order: Sequence[np.ndarray]  # [N] the passages of each batch, -1 for none
  corrupted: Callable  # (theta, key, passages) -> (Corrupted, {name: [N]})
  together: Callable  # see `packing.batches`


def make_work(
  model,
  ids: Specials,
  passages: Batch,
  objective: Objective,
  training: Denoising,
  saving: stage.Saving,
  seed: int,
  layout: Layout,
) -> Work:
  """The work of `denoise`, whose arguments these are.

  Args:
    model: a Linen module.
    ids: its special tokens.
    passages: the encoded corpus.
    objective: what to hide, and what to restore.
    training: how long, and how fast.
    saving: of time and memory.
    seed: of the order.
    layout: of the rows.
  """
  policy, theta, target, capacity = objective
  rate, updates = training.learning_rate, training.updates
  decay, length = training.weight_decay, int(capacity.max())
  tx, step = stage.compiled_step(model, rate, updates, decay, saving, layout)
  corrupted = stage.compiled_corruption(policy, ids, target, length, layout)
  some = np.arange(layout.size) % len(passages.tokens)
  given = theta, jax.random.key(0), data.take(passages, some)
  one = jax.eval_shape(corrupted, *given)[0]
  # By how much a source can be longer than its passage.
  source = passages.valid.sum(1) + one.source.shape[1] - passages.tokens.shape[1]
  lengths = np.stack([source, capacity if target == 'spans' else source], 1)
  size = training.batch_size
  order, together = saving.batches(lengths, ids.pad, size, seed, layout)
  return Work(tx, step, order, corrupted, together)
