"""Answers of a model to questions, and their scores."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data, text
from masklearn.evaluation import metrics, overlap
from masklearn.io import files
from masklearn.models import generate
from masklearn.training import losses
from masklearn.training.mesh import Layout, one_device
from masklearn.types import Corrupted, Example


@dataclasses.dataclass(frozen=True)
class Asking:
  """A model that is asked encoded questions, in batches.

  Args:
    model: a Linen module, see `models.generate`.
    layout: of parameters and batches.
    check: called between batches; raises to end, see `Progress.check`.
    batch_size: questions at once; the last batch is filled up.
  """

  model: Any
  layout: Layout = dataclasses.field(default_factory=one_device)
  check: Callable[[], None] = lambda: None
  batch_size: int = 64

  def answers(
    self, params, questions: Corrupted, tokenizer: text.Tokenizer, max_length: int
  ) -> list[str]:
    """Greedy answers, as text.

    Args:
      params: of the model.
      questions: sources [P, S]; the targets are not looked at.
      tokenizer: of the model.
      max_length: tokens of an answer at most, <s> and </s> included.
    """
    compute = greedy(self.model, max_length, self.layout)
    rows = self._each(compute, params, (questions.source, questions.source_valid))
    eos = self.model.config.eos
    return [
      # Past the first </s> there is nothing; <s> and padding are left out anyway.
      tokenizer.decode(row[: (row == eos).argmax()] if (row == eos).any() else row)
      for row in rows
    ]

  def loss(self, params, questions: Corrupted) -> float:
    """The mean over questions [P] of each one's mean loss, however long its answer."""
    return float(
      self._each(row_losses(self.model, self.layout), params, questions).mean()
    )

  def _each(self, compute, params, rows):
    """The results [P, ..] of `compute(params, rows)`, batch by batch."""
    count, found = len(jax.tree.leaves(rows)[0]), []
    for i in data.filled(count, self.layout.multiple(self.batch_size)):
      batch = self.layout.batch(lambda own, i=i: data.take(rows, i[own]), len(i))
      found.append(compute(params, batch))
      # Of the last but one: the device has work, and no long queue.
      jax.block_until_ready(found[-2:-1])
      self.check()
    return np.concatenate(jax.device_get(found))[:count]


def score(
  examples: Sequence[Example],
  answers: Sequence[str],
  names: Sequence[str] = ('em', 'f1'),
) -> dict[str, float]:
  """Means of answers by some of `metrics.METRICS`, fractions, and their number `n`."""
  table = metrics.table(answers, [example.targets for example in examples], names)
  means = {name: float(values.mean()) for name, values in table.items()}
  return {**means, 'n': len(examples)}


def score_overlaps(
  examples: Sequence[Example],
  answers: Sequence[str],
  train: Iterable[Example],
  names: Sequence[str] = ('em', 'f1'),
) -> dict[str, dict[str, float]]:
  """`score` of each split of `overlap.split` against the training questions.

  A split without a question is left out.
  """
  labels = overlap.split(examples, train)
  found = {}
  for split in overlap.SPLITS:
    rows = [i for i, label in enumerate(labels) if label == split]
    if rows:
      own = [examples[i] for i in rows], [answers[i] for i in rows]
      found[split] = score(*own, names)
  return found


def write_predictions(
  path: str | os.PathLike, examples: Sequence[Example], answers: Sequence[str]
) -> None:
  """Writes answers as KILT records, what would have been right under `meta`."""
  rows = []
  for e, answer in zip(examples, answers, strict=True):
    row = {'id': e.id, 'input': e.source, 'output': [{'answer': answer}]}
    meta = {'targets': list(e.targets), 'label': e.label, 'group': e.group}
    rows.append({**row, 'meta': meta})
  files.write_jsonl(path, rows)


@functools.cache
def row_losses(model, layout: Layout) -> Callable:
  """The compiled `(params, questions [B]) -> [B]`, the mean loss of each."""
  loss_sums = losses.make_loss_sums(model)

  def losses_of(params, questions):
    total, weight = loss_sums(params, None, questions)
    return total / jnp.maximum(weight, 1e-6)

  return layout.jit_whole(losses_of)


@functools.cache
def greedy(model, max_length: int, layout: Layout) -> Callable:
  """The compiled `(params, (source, source_valid)) -> [B, max_length]` tokens."""

  def answered(params, asked):
    return generate.greedy(model, params, *asked, max_length)

  return layout.jit_whole(answered)
