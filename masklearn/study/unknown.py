"""Answers that a model cannot restore where it stands: what is left to be learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data
from masklearn.policies import sampling
from masklearn.study.setup import Setup
from masklearn.training import corruption, losses
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Answers, Specials


def keep_unknown(
  answers: Answers,
  setup: Setup,
  params: Start,
  target: str,
  least_loss: float,
  batch_size: int,
  context: StageContext,
) -> Answers:
  """The answers whose loss is high where each alone is hidden in its passage.

  One that can be told from the words around is left out, and so is a passage that has
  no other. Where the model restores all of them, all are kept, and that is said.

  Args:
    answers: up to A in each of P passages.
    setup: tokenizer and model.
    params: of the model.
    target: the format in which answers are restored, 'spans' or 'full'.
    least_loss: nats a token of the target.
    batch_size: passages at a time.
    context: where the devices are, and who is asked whether to stop.

  Returns:
    Some of the passages, with the weights of left out answers 0.
  """
  layout, params = context.layout, params.read()
  length = int((answers.passages.valid.sum(-1).max()) + 3)
  compute = compiled(setup.model, setup.tokenizer.specials, target, length, layout)
  found = []
  for index in data.filled(len(answers.start), layout.multiple(batch_size)):
    rows = layout.batch(lambda own, i=index: data.take(answers, i[own]), len(index))
    found.append(layout.read(compute(params, rows)))
    context.progress.check()
  loss = np.concatenate(found)[: len(answers.start)]  # [P, A]
  weight = np.where(loss >= least_loss, answers.weight, 0).astype(np.float32)
  kept = np.flatnonzero(weight.any(1))
  if not len(kept):
    context.progress.say(
      f'{context.title}: the base model restores all answers with less than '
      f'{least_loss:g} nats a token, so all are kept'
    )
    return answers
  return data.take(answers._replace(weight=weight), kept)


@functools.cache
def compiled(model, ids: Specials, target: str, length: int, layout: Layout):
  """The compiled `(params, answers) -> [B, A]`, the loss of each answer in nats."""
  sums = losses.make_loss_sums(model)

  def each(params, answers):
    def one(start, count):  # [B]
      span = sampling.Spans(start[:, None], count[:, None], jnp.zeros(len(start)))
      draw = sampling.to_draw(span, answers.passages)
      hidden = corruption.corrupt(answers.passages, draw, ids, target, length)
      total, tokens = sums(params, None, hidden)
      return total / jnp.maximum(tokens, 1)

    columns = answers.start.T, answers.length.T  # [A, B]
    return jax.lax.map(lambda column: one(*column), columns).T

  return layout.jit_whole(each)
