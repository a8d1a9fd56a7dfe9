"""What came of it: answers of a model and what a policy hides."""

import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data, text
from masklearn.evaluation import metrics, overlap
from masklearn.io import files
from masklearn.models import generate
from masklearn.training import losses
from masklearn.types import Batch, Corrupted, Example, Policy


def answer(
  model,
  params,
  questions: Corrupted,
  tokenizer: text.Tokenizer,
  max_length: int,
  batch_size: int = 64,
) -> list[str]:
  """Greedy answers to encoded questions, as text.

  Args:
    model: a Linen module, see `models.generate`.
    params: its parameters.
    questions: sources [P, S]; the targets are not looked at.
    tokenizer: of the model.
    max_length: tokens of an answer at most, <s> and </s> included.
    batch_size: questions at once; the last batch is filled up.
  """
  rows = len(questions.source)
  tokens = [
    _greedy(model, params, questions.source[i], questions.source_valid[i], max_length)
    for i in data.filled(rows, batch_size)
  ]
  eos = tokenizer.specials.eos
  return [
    # Past the first </s> there is nothing; <s> and padding are left out anyway.
    tokenizer.decode(row[: (row == eos).argmax()] if (row == eos).any() else row)
    for row in np.concatenate(jax.device_get(tokens))[:rows]
  ]


def question_loss(model, params, questions: Corrupted, batch_size: int = 64) -> float:
  """The mean over questions of each one's mean loss, however long its answer is.

  Args:
    model: a Linen module.
    params: its parameters.
    questions: of P rows.
    batch_size: questions at once; the last batch is filled up.
  """
  rows = len(questions.source)
  each = [
    _row_losses(model, params, data.take(questions, i))
    for i in data.filled(rows, batch_size)
  ]
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
  files.write_jsonl(
    path,
    (
      {
        'id': e.id,
        'input': e.source,
        'output': [{'answer': a}],
        'meta': {'targets': list(e.targets), 'label': e.label},
      }
      for e, a in zip(examples, answers, strict=True)
    ),
  )


class Hidden(NamedTuple):
  """What a policy hides, as expectations over its draws."""

  probability: np.ndarray  # [P, L] of each token being hidden
  answer_precision: float  # hidden words that belong to asked spans / hidden words
  salient_share: float  # the same of salient spans that nobody asks about
  span_precision: float  # hidden spans that are asked spans / hidden spans
  words: float  # hidden words a passage


def word_counts(batch, draw):
  """Hidden words of each passage, those asked about, other salient ones: [B, 3]."""
  first = jnp.pad(batch.word, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
  hidden = (draw.mask > 0) & (batch.word != first)
  asked = hidden & (batch.asked > 0)
  salient = hidden & (batch.asked == 0) & (batch.salient > 0)
  return jnp.stack([kind.sum(1) for kind in (hidden, asked, salient)], axis=1)


def hidden(
  policy: Policy,
  theta: Any,
  key,
  passages: Batch,
  draws: int = 32,
  batch_size: int = 64,
) -> Hidden:
  """Draws `draws` times from the distribution that pre-training samples from.

  Args:
    policy: whose distribution.
    theta: its parameters.
    key: a random key.
    passages: [P, L].
    draws: of each passage.
    batch_size: passages at once; the last batch is filled up.
  """
  rows = len(passages.tokens)
  found = [
    _hide(policy, theta, jax.random.fold_in(key, n), data.take(passages, i), draws)
    for n, i in enumerate(data.filled(rows, batch_size))
  ]
  probability, spans, words = (
    np.concatenate(parts)[:rows] for parts in zip(*jax.device_get(found), strict=True)
  )
  spans, words = spans.sum(0), words.sum(0)
  return Hidden(
    probability,
    float(words[1] / words[0]),
    float(words[2] / words[0]),
    float(spans[1] / spans[0]),
    float(words[0] / (draws * rows)),
  )


@functools.partial(jax.jit, static_argnames=('policy', 'draws'))
def _hide(policy, theta, key, batch, draws):
  def one(key):
    draw = policy.draw(theta, key, batch)
    return draw.mask, _span_counts(batch, draw), word_counts(batch, draw)

  masks, spans, words = jax.lax.map(one, jax.random.split(key, draws))
  return masks.mean(0), spans.sum(0), words.sum(0)


def _span_counts(batch, draw):
  """Hidden spans, and those that begin and end just where asked ones do: [B, 2]."""
  hidden = draw.mask > 0
  before = jnp.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
  begins = hidden & ((draw.start > 0) | ~before)
  # A mismatch anywhere inside a span spoils it: spans are numbered and compared.
  inside = jnp.where(begins, batch.asked == 1, batch.asked == 2)
  number = jnp.cumsum(begins, axis=1)
  rows = jnp.arange(hidden.shape[0])[:, None]
  wrong = jnp.zeros((hidden.shape[0], hidden.shape[1] + 1), bool)
  wrong = wrong.at[rows, number].max(hidden & ~inside)
  after = jnp.pad(hidden & ~begins, ((0, 0), (0, 1)))[:, 1:]
  cut = hidden & ~after & (jnp.pad(batch.asked, ((0, 0), (0, 1)))[:, 1:] == 2)
  wrong = wrong.at[rows, number].max(cut)
  exact = begins & ~jnp.take_along_axis(wrong, number, axis=1)
  return jnp.stack([begins.sum(1), exact.sum(1)], axis=1)


@functools.partial(jax.jit, static_argnames=('model',))
def _row_losses(model, params, questions):
  total, weight = losses.make_loss_sums(model)(params, None, questions)
  return total / jnp.maximum(weight, 1e-6)


@functools.partial(jax.jit, static_argnames=('model', 'max_length'))
def _greedy(model, params, source, source_valid, max_length):
  return generate.greedy(model, params, source, source_valid, max_length)
