"""What all stages share: how one begins and ends, and the step that they train with.

A stage that is finished leaves `done.json` in its directory, with what it hands over
beside it, and the checksums of both in SHA256SUMS; running it again reads that. An
interrupted one continues.
"""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from masklearn.io import checkpoint, checksums, files, hosts, provenance
from masklearn.policies import heuristic, statistics
from masklearn.training import corruption, history, loop, losses, packing, steps
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import InputError, Policy, Specials

DONE = 'done.json'  # written last
# What a stage may leave beside it for the reader of a study.
BESIDE = '*history.jsonl', 'predictions.jsonl'


class Saving(NamedTuple):
  """What a stage may do to save time and memory.

  It changes nothing of what is learned but which examples meet in a batch (`packing`)
  and the draws of dropout.
  """

  packing: int = 0  # source tokens of a row that several examples share; 0 for one each
  chunk: int = 0  # target tokens whose logits are in memory at a time; 0 for all
  gradient_accumulation: int = 1  # parts of a batch, one after the other
  # The rows of a packed batch are a multiple of it, and of devices and parts: those of
  # eight devices, for the same batches on one.
  row_multiple: int = 1

  def batches(
    self, lengths: np.ndarray, pad: int, batch_size: int, seed: int, layout: Layout
  ):
    """The order and the making of batches; see `packing.batches`."""
    parts = math.lcm(self.gradient_accumulation * layout.size, self.row_multiple)
    return packing.batches(lengths, self.packing, pad, batch_size, parts, seed, layout)


@dataclasses.dataclass(frozen=True)
class Training:
  """How something is trained with each of several learning rates."""

  updates: int  # at most
  batch_size: int  # examples a step
  learning_rates: Sequence[float]  # each is tried for all updates; validation chooses
  weight_decay: float  # of AdamW
  validate_every: int  # steps between validations

  def best_of(self, start: Callable, batch_at: Callable, context: StageContext):
    """The best state, and what to note down; see `loop.best_of`."""
    key = jax.random.key(context.seed)
    options = {'steps': self.updates, 'validate_every': self.validate_every}
    # Without an update all rates are the same.
    rates = self.learning_rates if self.updates else self.learning_rates[:1]
    return loop.best_of(rates, start, batch_at, key, context, **options)


def finished(directory: pathlib.Path, name: str = '') -> dict[str, Any] | None:
  """What a finished stage noted down; None if it is not finished.

  Args:
    directory: of the stage.
    name: of the parameters that it left beside `done.json`, see `saved`; '' for none.

  Raises:
    InputError: a file of it is missing or damaged; names it.
  """

  def read():
    if not os.path.lexists(directory / DONE):
      return None
    with files.remade(directory):
      checksums.check(directory, [DONE, *BESIDE, f'{name}/*'])
      done = files.read_object(directory / DONE, ['seconds'])
    _drop(directory)  # what a process left that was killed right after the last line
    return done

  return hosts.told(read)


def saved(path: pathlib.Path, shapes: Any, layout: Layout) -> Start:
  """Parameters that a finished stage has handed over.

  Args:
    path: of their directory.
    shapes: of the parameters.
    layout: where they are to lie.
  """

  def read():
    with files.remade(path.parent):
      return checkpoint.restore(path, layout.shapes(shapes))

  return Start(shapes, read)


def finish(
  directory: pathlib.Path, done: Mapping[str, Any], name: str = '', tree: Any = None
) -> dict[str, Any]:
  """Marks a stage as finished, and drops the checkpoints that it would continue from.

  Args:
    directory: of the stage.
    done: numbers for `done.json`, `seconds` among them.
    name: of the parameters to hand over, '' for none; `saved` reads them.
    tree: the parameters.

  Returns:
    What `finished` will return.
  """
  done = hosts.agree({**done, 'commit': provenance.commit()})
  beside = [path for pattern in BESIDE for path in directory.rglob(pattern)]
  names = [path.relative_to(directory).as_posix() for path in beside]
  if name:
    checkpoint.save(directory / name, tree)
    names.append(f'{name}/{checksums.NAME}')  # which lists the files beside it
  checksums.seal(directory / DONE, done, names)  # It says that all is there.
  hosts.told(lambda: _drop(directory))
  return done


@contextlib.contextmanager
def memory_errors(name: str) -> Iterator[None]:
  """A context in which running out of memory is an `InputError` that says what helps.

  Args:
    name: of the stage.
  """
  try:
    yield
  except (jax.errors.JaxRuntimeError, MemoryError) as error:
    first = str(error).split('\n')[0]
    if isinstance(error, jax.errors.JaxRuntimeError) and (
      'RESOURCE_EXHAUSTED' not in first and 'Out of memory' not in first
    ):
      raise
    raise InputError(
      f'{name} does not fit into memory: {first:.200} A smaller batch_size, more '
      'config.saving.gradient_accumulation, config.saving.chunk or '
      'config.model.remat=True take less.'
    ) from error


def _drop(directory: pathlib.Path) -> None:
  """Removes what a stage and its parts would have continued from."""
  for folder in list(directory.rglob(loop.CHECKPOINTS)):
    shutil.rmtree(folder, ignore_errors=True)
  for path in list(directory.rglob(history.WINDOW)):
    path.unlink(missing_ok=True)


def optimizer(
  learning_rate: float, updates: int, weight_decay: float
) -> optax.GradientTransformation:
  """AdamW with a short warm-up and a cosine to a twentieth of the peak."""
  count = max(updates, 1)  # for no update there is no schedule
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, learning_rate, min(50, count // 4), count, 0.05 * learning_rate
  )
  return optax.adamw(schedule, b2=0.98, weight_decay=weight_decay)


@functools.cache
def uniform(rate: float, longest: int, varied: bool = False) -> Policy:
  """Random spans of up to `longest` words: what a base model is trained on.

  With `varied`, any number of them, from one on.
  """
  if varied:
    return heuristic.some_random_spans(rate, longest)
  return heuristic.random_span(rate, longest=longest)


# Compiled programs belong to these functions: made once for equal arguments, they
# serve every policy and seed of a study.
@functools.cache
def compiled_step(
  model,
  learning_rate: float,
  updates: int,
  weight_decay: float,
  saving: Saving,
  layout: Layout,
):
  """The optimizer and the compiled step on batches `(Corrupted, {name: [B]})`.

  The second part of a batch is logged, by the mean of its rows.
  """
  tx = optimizer(learning_rate, updates, weight_decay)
  token_loss = losses.make_token_loss(
    model, chunk=saving.chunk or None, local=layout.local
  )

  def loss(params, key, batch):
    examples, logged = batch
    value, aux = token_loss(params, key, examples)
    return value, {**aux, **{name: rows.mean() for name, rows in logged.items()}}

  step = steps.make_step(loss, tx, saving.gradient_accumulation)
  return tx, layout.jit_step(step)


@functools.cache
def compiled_corruption(
  policy: Policy, ids: Specials, target: str, length: int, layout: Layout
):
  """The compiled `(theta, key, passages) -> (Corrupted, {name: [B]})` of a policy."""

  def corrupted(theta, key, passages):
    draw = policy.draw(theta, key, passages)
    words = statistics.word_counts(passages, draw)[:, 0]
    limit = length if target == 'spans' else None
    lost = corruption.overflow(passages, draw, ids, limit)
    logged = {'masked_words': words, 'lost_tokens': lost}
    return corruption.corrupt(passages, draw, ids, target, length), logged

  return layout.jit_rows(corrupted)
