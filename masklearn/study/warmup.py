"""The warm-up before a policy is learned: denoising and the task's questions at once.

The model that it leaves answers as well as it can without knowing the facts of its
episodes, and is calibrated: what lowers the outer loss is then to learn those facts.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from masklearn import data
from masklearn.evaluation import answering
from masklearn.study import stage
from masklearn.study.pretrain import Objective
from masklearn.study.setup import Setup
from masklearn.training import loop, losses, steps
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Batch, Corrupted, Task


class Warmup(NamedTuple):
  """How a model is trained before the policy."""

  updates: int
  batch_size: int  # passages, and questions, a step
  learning_rate: float
  validate_every: int


def warm_up(
  setup: Setup,
  task: Task,
  groups: frozenset[str],
  passages: Batch,
  questions: Corrupted,
  objective: Objective,
  params: Start,
  training: Warmup,
  context: StageContext,
) -> loop.Result:
  """Trains on denoising and on the questions of `groups`, jointly.

  Args:
    setup: corpus, tokenizer and model.
    task: its training questions of `groups` train, its validation questions choose the
      state of the lowest loss.
    groups: what the questions are about, see `Example.about`.
    passages: the encoded corpus [P, L].
    questions: `task.examples`, encoded.
    objective: what to hide, and what to restore.
    params: of the base model.
    training: updates, batch size and learning rate.
    context: where, and from which seed.
  """
  taught = np.flatnonzero([e.about in groups for e in task.train])
  validation = data.take(questions, task.rows('validation'))
  ids, length = setup.tokenizer.specials, int(objective.capacity.max())
  layout, size = context.layout, training.batch_size
  corrupted = stage.compiled_corruption(
    objective.policy, ids, objective.target, length, layout
  )
  rate = training.learning_rate
  tx, step = joint_training(setup.model, rate, training.updates, layout)
  key_draw, key_step = jax.random.split(jax.random.key(context.seed))
  texts, asked = (
    data.batches(np.arange(len(rows)), size, context.seed)
    for rows in (np.arange(len(passages.tokens)), taught)
  )
  asking = answering.Asking(setup.model, layout, context.progress.check)

  def batch_at(i):
    key, index, asks = jax.random.fold_in(key_draw, i), texts[i], asked[i]
    rows = layout.batch(lambda own: data.take(passages, index[own]), size)
    examples, _ = corrupted(objective.theta, key, rows)
    return examples, layout.batch(lambda own: data.take(questions, asks[own]), size)

  def validate(state):
    loss = asking.loss(state.params, validation)
    return {'score': -loss, 'loss': loss}

  return loop.run(
    step,
    steps.begin(params, tx),
    batch_at,
    key_step,
    context,
    steps=training.updates,
    validate=validate,
    validate_every=training.validate_every,
  )


@functools.cache
def joint_training(model, learning_rate: float, updates: int, layout: Layout):
  """The optimizer and the compiled step on batches of passages and of questions."""
  tx = stage.optimizer(learning_rate, updates, 0.0)
  token_loss = losses.make_token_loss(model)

  def loss(params, key, batch):
    examples, questions = batch
    key_text, key_asked = jax.random.split(key)
    denoising, _ = token_loss(params, key_text, examples)
    answering, _ = token_loss(params, key_asked, questions)
    metrics = {'denoising_loss': denoising, 'question_loss': answering}
    return denoising + answering, metrics

  return tx, layout.jit_step(steps.make_step(loss, tx))
