"""Training a policy on passages with the places of answers in them."""

import functools
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from masklearn import data, text
from masklearn.data import answer_spans
from masklearn.data.answer_spans import Answered
from masklearn.policies.learned import make_answer_loss
from masklearn.study import stage
from masklearn.tasks import splits, squad
from masklearn.training import steps
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.types import Answers, Example, Impossible, Passage, Policy, Task

# Of `pairs`, what is no file.
OCCURRENCES = {
  'match': text.occurrences,
  'lenient': text.loose_occurrences,
  'prefix': text.prefix_occurrences,
}
SOURCES = 'task', *OCCURRENCES
SHARES = 0.7, 0.1  # of a file's groups that train and validate; the rest is for tests


class Supervision(stage.Training):
  """How a policy is trained to find answers, with batches of passages."""


def pairs(
  sources: str,
  task: Task,
  passages: Sequence[Passage],
  tokenizer: text.Tokenizer,
  longest: int,
  seed: int,
) -> tuple[Answers, Answers]:
  """Returns passages with answers to train on, and to validate with.

  Args:
    sources: separated by commas: 'task' for the gold passages of the task's questions,
      as they stand in the corpus, or, of those without one, passages of their group in
      which an answer stands; 'match' for such passages alone; 'lenient' for those in
      which it stands in any case and inflection, 'prefix' where words begin with its
      own; or files in SQuAD's format, see `of_file`.
    task: its training questions train, its validation questions validate.
    passages: the corpus.
    tokenizer: text to tokens.
    longest: tokens of a passage; longer ones are cut.
    seed: of the split of files.

  Raises:
    Impossible: there is no answer in a passage to train on, or to validate with.
  """
  found: tuple[list[Answered], list[Answered]] = [], []

  def size(piece):
    return len(tokenizer.encode(piece).ids)

  for source in (name.strip() for name in sources.split(',')):
    if source == 'task':
      parts = [of_task(rows, passages) for rows in (task.train, task.validation)]
    elif source in OCCURRENCES:
      asked, given = (task.train, task.validation), OCCURRENCES[source]
      parts = [answer_spans.by_match(passages, rows, given) for rows in asked]
    else:
      of_split = of_file(source, seed)
      parts = [of_split['train'], of_split['validation']]
    for rows, part in zip(found, parts, strict=True):
      rows += answer_spans.split(part, size, longest)[0]
  if not all(found):
    raise Impossible(
      f'A supervised policy needs passages with answers, and {sources!r} has '
      f'{len(found[0])} to train on and {len(found[1])} to validate with; '
      f"{', '.join(SOURCES)} and files in SQuAD's format can be joined by commas."
    )
  return tuple(answer_spans.encode(rows, tokenizer, longest) for rows in found)


def of_file(path: str | os.PathLike, seed: int) -> dict[str, list[Answered]]:
  """Returns the passages with answers of a file in SQuAD's format, in three splits.

  By article, `SHARES` of them: 'train', 'validation', and 'test', from which no policy
  of this seed has learned.
  """
  rows = answer_spans.of_examples(squad.read(path)[0])
  split_of = splits.split_groups([row.passage.group for row in rows], seed, *SHARES)
  found: dict[str, list[Answered]] = {split: [] for split in splits.SPLITS}
  for row in rows:
    found[split_of[row.passage.group]].append(row)
  return found


def of_task(examples: Sequence[Example], passages: Sequence[Passage]) -> list[Answered]:
  """Returns where the answers to a task's questions stand in its corpus.

  In gold passages, see `answers.of_examples`; for questions without one, wherever they
  stand literally.
  """
  gold = answer_spans.of_examples(examples, passages)
  return gold + answer_spans.by_match(passages, [e for e in examples if not e.context])


def train_policy(
  policy: Policy,
  theta: Any,
  pairs: tuple[Answers, Answers],
  training: Supervision,
  context: StageContext,
  spent: float = 0.0,
) -> dict[str, Any]:
  """Trains a policy to find answers without their questions.

  The learning rate, and when to stop, are those of the lowest validation loss.

  Args:
    policy: what to train.
    theta: its parameters to start from.
    pairs: passages with answers to train on, and others, of other groups, to validate
      with.
    training: updates, batch size and learning rates.
    context: where, and from which seed, that of the batches.
    spent: seconds that finding the pairs has taken.

  Returns:
    `seconds`, with those spent before, the chosen `learning_rate`, `updates` used,
    `score` (minus the validation loss) and `trials`, the score of every learning rate;
    `theta` in the stage's directory gets the parameters.
  """
  done = stage.finished(context.directory, 'theta')
  if done:
    return done
  examples, validation = pairs
  batch_size, layout = training.batch_size, context.layout
  at_once = layout.multiple(batch_size)
  index = data.batches(np.arange(len(examples.start)), batch_size, context.seed)
  rows = data.filled(len(validation.start), at_once)

  def start(rate):
    decay = training.weight_decay
    tx, step, losses = compiled(policy, rate, training.updates, decay, layout)

    def validate(state):
      # A last batch that is filled up counts its first passages twice.
      found = []
      for i in rows:
        found.append(jax.device_get(losses(state.params, None, batch(validation, i))))
        context.progress.check()
      totals = np.array(
        [(loss * aux['answers'], aux['answers']) for loss, aux in found]
      )
      loss = float(totals[:, 0].sum() / totals[:, 1].sum())
      return {'score': -loss, 'loss': loss}

    return step, steps.begin(steps.held(theta), tx), validate

  def batch(answers, index):
    return layout.batch(lambda own: data.take(answers, index[own]), len(index))

  best, done = training.best_of(start, lambda i: batch(examples, index[i]), context)
  done['updates'] = int(best.step)
  done['seconds'] += spent
  return stage.finish(context.directory, done, 'theta', best.params)


@functools.cache
def compiled(
  policy: Policy,
  learning_rate: float,
  updates: int,
  weight_decay: float,
  layout: Layout,
) -> tuple:
  """The optimizer, the compiled step on batches of `Answers`, and the loss alone."""
  tx = stage.optimizer(learning_rate, updates, weight_decay)
  loss = make_answer_loss(policy)
  return tx, layout.jit_step(steps.make_step(loss, tx)), layout.jit_whole(loss)
