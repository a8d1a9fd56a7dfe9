"""Answers of a model to questions, and their scores."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data, text
from masklearn.evaluation import metrics, overlap
from masklearn.io import files
from masklearn.models import generate
from masklearn.training import losses
from masklearn.types import Corrupted, Example


def answer(
  model,
  params,
  questions: Corrupted,
  tokenizer: text.Tokenizer,
  max_length: int,
  batch_size: int = 64,
  check: Callable[[], None] = lambda: None,
) -> list[str]:
  """Greedy answers to encoded questions, as text.

  Args:
    model: a Linen module, see `models.generate`.
    params: its parameters.
    questions: sources [P, S]; the targets are not looked at.
    tokenizer: of the model.
    max_length: tokens of an answer at most, <s> and </s> included.
    batch_size: questions at once; the last batch is filled up.
    check: called between batches; raises to end, see `Progress.check`.
  """
  rows = len(questions.source)
  tokens = []
  for i in data.filled(rows, batch_size):
    source, valid = questions.source[i], questions.source_valid[i]
    tokens.append(_greedy(model, params, source, valid, max_length))
    _wait(tokens, check)
  eos = model.config.eos
  return [
    # Past the first </s> there is nothing; <s> and padding are left out anyway.
    tokenizer.decode(row[: (row == eos).argmax()] if (row == eos).any() else row)
    for row in np.concatenate(jax.device_get(tokens))[:rows]
  ]


def question_loss(
  model,
  params,
  questions: Corrupted,
  batch_size: int = 64,
  check: Callable[[], None] = lambda: None,
) -> float:
  """The mean over questions of each one's mean loss, however long its answer is.

  Args:
    model: a Linen module.
    params: its parameters.
    questions: of P rows.
    batch_size: questions at once; the last batch is filled up.
    check: as for `answer`.
  """
  rows = len(questions.source)
  batches = (data.take(questions, i) for i in data.filled(rows, batch_size))
  each = []
  for batch in batches:
    each.append(_row_losses(model, params, batch))
    _wait(each, check)
  return float(np.concatenate(jax.device_get(each))[:rows].mean())


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
    rows.append({**row, 'meta': {'targets': list(e.targets), 'label': e.label}})
  files.write_jsonl(path, rows)


def _wait(results, check):
  """Waits for the last result but one: the device has work, and no long queue."""
  jax.block_until_ready(results[-2:-1])
  check()


@functools.partial(jax.jit, static_argnames=('model',))
def _row_losses(model, params, questions):
  total, weight = losses.make_loss_sums(model)(params, None, questions)
  return total / jnp.maximum(weight, 1e-6)


_greedy = jax.jit(generate.greedy, static_argnames=('model', 'max_length'))
