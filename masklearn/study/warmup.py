"""The warm-up before a policy is learned: denoising and the task's questions at once.

The model that it leaves answers as well as it can without knowing the facts of its
episodes, and is calibrated: what lowers the outer loss is then to learn those facts.
"""

import functools
import pathlib
from typing import Any

import jax

from masklearn import data
from masklearn.evaluation import answering
from masklearn.io.progress import Progress
from masklearn.policies.capacity import word_capacity
from masklearn.study.stages import (
  Setup,
  compiled_corruption,
  optimizer,
  uniform,
)
from masklearn.training import loop, losses, steps
from masklearn.training.context import StageContext
from masklearn.types import Batch, Task


def warm_up(
  setup: Setup,
  task: Task,
  groups: frozenset[str],
  passages: Batch,
  params: Any,
  directory: pathlib.Path,
  *,
  title: str,
  progress: Progress,
  save_every: int,
  seed: int,
  rate: float,
  target: str,
  longest: int,
  updates: int,
  batch_size: int,
  learning_rate: float,
  validate_every: int,
) -> loop.Result:
  """Trains on denoising random spans and on the questions of `groups`, jointly.

  Arguments are those of `learn_policy` and of its `warmup`; the state of the lowest
  loss of validation questions is kept.
  """
  ids = setup.tokenizer.specials
  examples = [e for e in task.train if e.group in groups]
  questions, validation = (
    data.encode_examples(e, setup.tokenizer, beside=task.examples)
    for e in (examples, task.validation)
  )
  policy = uniform(rate, longest)
  capacity = int(word_capacity(passages, rate, ids).max())
  corrupted = compiled_corruption(policy, ids, target, capacity)
  tx, step = _joint_training(setup.model, learning_rate, updates)
  key_draw, key_step = jax.random.split(jax.random.key(seed))
  texts = data.batches(passages, batch_size, seed)
  asked = data.batches(questions, batch_size, seed)

  def batch_at(i):
    examples, _ = corrupted({}, jax.random.fold_in(key_draw, i), texts[i])
    return examples, asked[i]

  def validate(state):
    loss = answering.question_loss(setup.model, state.params, validation)
    return {'score': -loss, 'loss': loss}

  return loop.run(
    step,
    steps.init_state(params, tx),
    batch_at,
    key_step,
    StageContext(directory, title, progress, save_every, seed),
    steps=updates,
    validate=validate,
    validate_every=validate_every,
  )


@functools.cache
def _joint_training(model, learning_rate, updates):
  tx = optimizer(learning_rate, updates, 0.0)
  token_loss = losses.make_token_loss(model)

  def loss(params, key, batch):
    examples, questions = batch
    key_text, key_asked = jax.random.split(key)
    denoising, _ = token_loss(params, key_text, examples)
    answering, _ = token_loss(params, key_asked, questions)
    metrics = {'denoising_loss': denoising, 'question_loss': answering}
    return denoising + answering, metrics

  return tx, jax.jit(steps.make_step(loss, tx), donate_argnums=0)
