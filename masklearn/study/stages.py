"""One function for each stage: files in, files out.

A stage that is finished leaves `done.json` in its directory, with what it hands
over beside it; running it again reads that. An interrupted one continues.
"""

import functools
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from masklearn import data, models, policies
from masklearn.evaluation import answering
from masklearn.io import checkpoint, files, provenance
from masklearn.io.progress import Progress
from masklearn.study.setup import Setup
from masklearn.training import corruption, loop, losses, packing, steps
from masklearn.types import Batch, Policy, Specials, Task

# What a stage may do to save time and memory. It changes nothing of what is learned but
# which examples meet in a batch (`packing`) and the draws of dropout.
PLAIN = {
  'packing': 0,  # source tokens of a row that several examples share; 0 for one each
  'chunk': 0,  # target tokens whose logits are in memory at a time; 0 for all
  'gradient_accumulation': 1,  # of a batch, whose gradients are made one after the other
}


def denoise(
  setup: Setup,
  passages: Batch,
  policy: Policy,
  theta: Any,
  params: Any,
  directory: str | os.PathLike,
  *,
  title: str,
  progress: Progress,
  save_every: int,
  seed: int,
  target: str,
  capacity: np.ndarray,
  updates: int,
  batch_size: int,
  learning_rate: float,
  weight_decay: float,
  saving: Mapping[str, int] = PLAIN,
) -> dict[str, Any]:
  """Trains a model to restore what a policy hides: the base, or in between.

  Args:
    setup: corpus, tokenizer and model.
    passages: the encoded corpus [P, L].
    policy: what to hide.
    theta: the policy's parameters.
    params: of the model, to start from.
    directory: of the stage.
    title: shown with the progress.
    progress: where to show it.
    save_every: steps between checkpoints.
    seed: of batches, draws and dropout.
    target: 'spans' or 'full'.
    capacity: [P], length of the `spans` target of each passage at most, such as
      `Entry.capacity`; what is beyond it is lost, and logged.
    updates: steps.
    batch_size: passages a step; with packing, on average.
    learning_rate: its peak; a short warm-up, then a cosine.
    weight_decay: of AdamW.
    saving: time and memory for the same training, see `PLAIN`.

  Returns:
    `params`, `seconds` and `masked_words`, the mean number of a passage.
  """
  directory = pathlib.Path(directory)
  if (directory / 'done.json').exists():
    done = files.read_json(directory / 'done.json')
    return {'params': checkpoint.restore(directory / 'params', params), **done}
  ids = setup.tokenizer.specials
  tx, step = compiled_step(
    setup.model,
    learning_rate,
    updates,
    weight_decay,
    saving['chunk'],
    saving['gradient_accumulation'],
  )
  key_draw, key_step = jax.random.split(jax.random.key(seed))
  corrupted = compiled_corruption(policy, ids, target, int(capacity.max()))
  one = jax.eval_shape(corrupted, theta, key_draw, data.take(passages, np.arange(1)))[0]
  # By how much a source can be longer than its passage.
  source = passages.valid.sum(1) + one.source.shape[1] - passages.tokens.shape[1]
  lengths = np.stack([source, capacity if target == 'spans' else source], 1)
  order, together = packing.batches(
    lengths,
    saving['packing'],
    ids.pad,
    batch_size,
    saving['gradient_accumulation'],
    seed,
  )

  def batch_at(i):
    key, index = jax.random.fold_in(key_draw, i), order[i]
    return together(index, *corrupted(theta, key, data.take(passages, index)))

  result = loop.run(
    step,
    steps.init_state(params, tx),
    batch_at,
    key_step,
    directory,
    steps=updates,
    name=title,
    progress=progress,
    save_every=save_every,
  )
  done = {
    'seconds': result.seconds,
    'masked_words': loop.mean(result.history, 'masked_words'),
  }
  checkpoint.save(directory / 'params', result.state.params)
  return {'params': result.state.params, **finish(directory, done)}


def finetune(
  setup: Setup,
  task: Task,
  params: Any,
  directory: str | os.PathLike,
  *,
  title: str,
  progress: Progress,
  save_every: int,
  seed: int,
  updates: int,
  batch_size: int,
  learning_rates: Sequence[float],
  weight_decay: float,
  validate_every: int,
  answer_length: int,
  source_length: int = 256,
  saving: Mapping[str, int] = PLAIN,
) -> dict[str, Any]:
  """Fine-tunes on the task's training questions and answers the others.

  The learning rate, and when to stop, are those of the lowest validation loss; the
  test questions are answered once, by the model that this chose.

  Args:
    setup: corpus, tokenizer and model.
    task: the questions.
    params: of the model, to start from.
    directory: of the stage; gets predictions.jsonl, of the test split.
    title: shown with the progress.
    progress: where to show it.
    save_every: steps between checkpoints.
    seed: of batches and dropout.
    updates: steps at most.
    batch_size: questions a step; with packing, on average.
    learning_rates: to choose from; each is tried for all updates.
    weight_decay: of AdamW.
    validate_every: steps between validations.
    answer_length: tokens of an answer at most, <s> and </s> included.
    source_length: tokens of a question at most, and of an answer to learn from; what is
      longer loses its end.
    saving: time and memory for the same training, see `PLAIN`.

  Returns:
    `validation` and `test` scores, `overlaps` (those of test questions by what they
    share with training ones), `seconds`, the chosen `learning_rate`, its `score`, which
    is minus its lowest validation loss, and `trials`, the score of each.
  """
  directory = pathlib.Path(directory)
  if (directory / 'done.json').exists():
    return files.read_json(directory / 'done.json')
  questions = {
    split: data.encode_examples(
      task.split(split), setup.tokenizer, source_length, task.examples
    )
    for split in ('train', 'validation', 'test')
  }

  def validate(state):
    loss = answering.question_loss(setup.model, state.params, questions['validation'])
    return {'score': -loss, 'loss': loss}

  order, together = packing.batches(
    packing.lengths(questions['train']),
    saving['packing'],
    setup.tokenizer.specials.pad,
    batch_size,
    saving['gradient_accumulation'],
    seed,
  )

  def batch_at(i):
    return together(order[i], data.take(questions['train'], order[i]), {})

  def start(rate):
    tx, step = compiled_step(
      setup.model,
      rate,
      updates,
      weight_decay,
      saving['chunk'],
      saving['gradient_accumulation'],
    )
    return step, steps.init_state(params, tx), validate

  state, done = loop.best_of(
    learning_rates,
    start,
    batch_at,
    jax.random.key(seed),
    directory,
    name=title,
    steps=updates,
    progress=progress,
    save_every=save_every,
    validate_every=validate_every,
  )
  for split in ('validation', 'test'):
    examples = task.split(split)
    answers = answering.answer(
      setup.model,
      state.params,
      questions[split],
      setup.tokenizer,
      answer_length,
    )
    names = dict.fromkeys(('em', 'f1', task.metric))
    done[split] = answering.score(examples, answers, list(names))
    if split == 'test':
      answering.write_predictions(directory / 'predictions.jsonl', examples, answers)
      done['overlaps'] = answering.score_overlaps(examples, answers, task.train)
  return finish(directory, done)


def optimizer(
  learning_rate: float, updates: int, weight_decay: float
) -> optax.GradientTransformation:
  """AdamW with a short warm-up and a cosine to a twentieth of the peak."""
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, learning_rate, min(50, updates // 4), updates, 0.05 * learning_rate
  )
  return optax.adamw(schedule, b2=0.98, weight_decay=weight_decay)


def first_params(model, seed: int) -> Any:
  """Random parameters of a model that nothing was trained on."""
  return models.init_params(model, jax.random.key(seed))


@functools.cache
def uniform(rate: float, longest: int) -> Policy:
  """Random spans of up to `longest` words: what a base model is trained on."""
  return policies.POLICIES['random_span'](rate, longest=longest)


# Compiled programs belong to these functions: made once for equal arguments, they
# serve every policy and seed of a study.
@functools.cache
def compiled_step(
  model,
  learning_rate: float,
  updates: int,
  weight_decay: float,
  chunk: int,
  gradient_accumulation: int,
):
  """The optimizer and the compiled step on batches `(Corrupted, {name: [B]})`.

  Of what is to be logged of each row, the mean is.
  """
  tx = optimizer(learning_rate, updates, weight_decay)
  token_loss = losses.make_token_loss(model, chunk=chunk or None)

  def loss(params, key, batch):
    examples, logged = batch
    value, aux = token_loss(params, key, examples)
    return value, {**aux, **{name: rows.mean() for name, rows in logged.items()}}

  return tx, jax.jit(steps.make_step(loss, tx, gradient_accumulation), donate_argnums=0)


@functools.cache
def compiled_corruption(policy: Policy, ids: Specials, target: str, length: int):
  """The compiled `(theta, key, passages) -> (Corrupted, {name: [B]})` of a policy."""

  def corrupted(theta, key, passages):
    draw = policy.draw(theta, key, passages)
    words = answering.word_counts(passages, draw)[:, 0]
    lost = corruption.overflow(
      passages, draw, ids, length if target == 'spans' else None
    )
    logged = {'masked_words': words, 'lost_tokens': lost}
    return corruption.corrupt(passages, draw, ids, target, length), logged

  return jax.jit(corrupted)


def finish(directory: pathlib.Path, done: Mapping[str, Any]) -> dict[str, Any]:
  """Marks a stage as done, and drops the checkpoint that it would continue from."""
  done = {**done, 'commit': provenance.commit()}
  files.write_json(directory / 'done.json', done)
  shutil.rmtree(directory / 'checkpoints', ignore_errors=True)
  return done
