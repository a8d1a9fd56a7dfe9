"""Denoising: training a model to restore what a policy hides."""

from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn import data
from masklearn.study import stage
from masklearn.study.setup import Setup
from masklearn.training import loop, steps
from masklearn.training.context import StageContext
from masklearn.types import Batch, Policy


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


def denoise(
  setup: Setup,
  passages: Batch,
  objective: Objective,
  params: Any,
  training: Denoising,
  context: StageContext,
  saving: stage.Saving = stage.Saving(),  # noqa: B008 (a tuple)
) -> dict[str, Any]:
  """Trains a model on what a policy hides: the base, or intermediate pre-training.

  Args:
    setup: corpus, tokenizer and model.
    passages: the encoded corpus [P, L].
    objective: what to hide, and what to restore.
    params: of the model, to start from.
    training: updates, batch size and learning rate.
    context: where, and from which seed: of batches, draws and dropout.
    saving: time and memory for the same training.

  Returns:
    `params`, `seconds` and `masked_words`, the mean number of a passage.
  """
  done = stage.finished(context.directory, 'params', params)
  if done:
    return done
  policy, theta, target, capacity = objective
  ids, seed = setup.tokenizer.specials, context.seed
  tx, step = stage.compiled_step(
    setup.model, training.learning_rate, training.updates, training.weight_decay, saving
  )
  key_draw, key_step = jax.random.split(jax.random.key(seed))
  corrupted = stage.compiled_corruption(policy, ids, target, int(capacity.max()))
  one = jax.eval_shape(corrupted, theta, key_draw, data.take(passages, np.arange(1)))[0]
  # By how much a source can be longer than its passage.
  source = passages.valid.sum(1) + one.source.shape[1] - passages.tokens.shape[1]
  lengths = np.stack([source, capacity if target == 'spans' else source], 1)
  order, together = saving.batches(lengths, ids.pad, training.batch_size, seed)

  def batch_at(i):
    key, index = jax.random.fold_in(key_draw, i), order[i]
    return together(index, *corrupted(theta, key, data.take(passages, index)))

  first, updates = steps.init_state(params, tx), training.updates
  result = loop.run(step, first, batch_at, key_step, context, steps=updates)
  words = loop.mean(result.history, 'masked_words')
  done = {'seconds': result.seconds, 'masked_words': words}
  return stage.finish(context.directory, done, 'params', result.state.params)
