"""What pre-training made a model forget: its loss on what only the base has seen."""

import functools
import time
from collections.abc import Callable

import jax
import numpy as np

from masklearn import data
from masklearn.study import stage
from masklearn.study.pretrain import Objective
from masklearn.study.setup import Setup
from masklearn.training import losses
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Batch

PASSAGES = 512  # at most, evenly spaced in the corpus
BATCH = 64
SEED = 0  # of the draws: the same for all models, so that their losses are paired


def measure(
  setup: Setup,
  passages: Batch,
  params: Start,
  objective: Objective,
  context: StageContext,
  before: float | None = None,
) -> dict[str, float]:
  """The loss of a model on random spans of passages.

  Args:
    setup: tokenizer and model.
    passages: [P, L], of which some are measured on.
    params: of the model.
    objective: random spans, as of the base model.
    context: where; its seed is not used, so that all models have the same draws.
    before: the `kept_loss` of the base model; None for the base model itself.

  Returns:
    `kept_loss`, the mean over target tokens in nats, and `forgotten`, by how much it is
    above that of the base model.
  """
  done = stage.finished(context.directory)
  if not done:
    began = time.monotonic()
    loss = _loss(setup, passages, params, objective, context)
    forgotten = 0.0 if before is None else loss - before
    done = {'kept_loss': loss, 'forgotten': forgotten}
    done |= {'seconds': time.monotonic() - began}
    context.directory.mkdir(parents=True, exist_ok=True)
    done = stage.finish(context.directory, done)
  return {name: done[name] for name in ('kept_loss', 'forgotten')}


def _loss(setup, passages, params, objective, context) -> float:
  policy, theta, target, capacity = objective
  layout, last = context.layout, len(passages.tokens) - 1
  some = data.take(passages, np.unique(np.linspace(0, last, PASSAGES, dtype=int)))
  given = policy, setup.tokenizer.specials, target, int(capacity.max()), layout
  corrupted, sums = stage.compiled_corruption(*given), loss_sums(setup.model, layout)
  key, state, rows, found = jax.random.key(SEED), params.read(), len(some.tokens), []
  for n, index in enumerate(data.filled(rows, layout.multiple(BATCH))):
    texts = layout.batch(lambda own, i=index: data.take(some, i[own]), len(index))
    examples, _ = corrupted(theta, jax.random.fold_in(key, n), texts)
    found.append(jax.device_get(sums(state, examples)))
    context.progress.check()
  total, weight = (
    np.concatenate(part)[:rows].sum() for part in zip(*found, strict=True)
  )
  return float(total / weight)


@functools.cache
def loss_sums(model, layout: Layout) -> Callable:
  """The compiled `(params, examples [B]) -> ([B], [B])`: losses and target tokens."""
  compute = losses.make_loss_sums(model)
  return layout.jit_whole(lambda params, examples: compute(params, None, examples))
