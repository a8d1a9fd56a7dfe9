"""One host loop for every stage: next batch, step, log, validate, save, stop cleanly.

A stage's directory holds `history.jsonl` (one object a logged step), TensorBoard
event files and, until it is finished, its newest checkpoint.
"""

import contextlib
import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masklearn.io import checkpoint, files, memory
from masklearn.training import events
from masklearn.training.context import StageContext
from masklearn.training.steps import TrainState
from masklearn.types import InputError


class Result(NamedTuple):
  """The outcome of a run."""

  state: TrainState  # of the best validation score; the last without validation
  score: float  # the best validation score; nan without validation
  history: list[dict[str, float]]  # what history.jsonl holds
  seconds: float  # spent in this loop, before interruptions included


def run(
  step: Callable,
  state: TrainState,
  batch_at: Callable[[int], Any],
  key: jax.Array,
  context: StageContext,
  *,
  steps: int,
  validate: Callable[[TrainState], Mapping[str, float]] | None = None,
  validate_every: int = 0,
  log_every: int = 10,
  warn: Callable[[Mapping[str, float]], str] = lambda metrics: '',
) -> Result:
  """Runs `state, metrics = step(state, key, batch_at(i))` for `steps` steps.

  Args:
    step: the pure step, already jitted; every metric a scalar.
    state: where to start, if no checkpoint says otherwise.
    batch_at: the batch of step i; a function of i alone, so that a resumed run
      sees what an uninterrupted one sees.
    key: folded with the step number by `step`.
    context: of the stage.
    steps: how many in all, with those before an interruption.
    validate: `validate(state)` returns metrics to log; of the states with the
      highest `score`, the first is kept. It also sees the start and the end.
    validate_every: steps between validations.
    log_every: steps whose mean metrics make one line of history.
    warn: what is wrong with such a line, '' if nothing; each warning is shown once.

  Raises:
    FloatingPointError: the loss is not finite.
    KeyboardInterrupt: the run was asked to stop, and saved what it had.
  """
  saved = _saved(state, (state, jnp.float32(-jnp.inf)) if validate else None, 0)
  with contextlib.ExitStack() as stack:
    stack.callback(memory.release)
    folder = context.directory / 'checkpoints'
    checkpoints = stack.enter_context(checkpoint.Checkpoints(folder))
    saved = checkpoints.resume(saved)
    # Copies: a step may donate its state, and who called may still need theirs.
    state, best = jax.tree.map(jnp.copy, (saved['state'], saved['best']))
    first = int(state.step)
    began = time.monotonic() - float(saved['seconds'])
    history = stack.enter_context(History(context.directory, first))
    shown = context.progress.start(context.title, steps, first)
    window, warned = [], set()

    def save():
      history.flush()
      seconds = time.monotonic() - began
      checkpoints.save(int(state.step), _saved(state, best, seconds))

    # What compiling takes is given back before more is compiled, here or beside it.
    if validate and first == 0:
      best = _better(best, state, validate, history)
      memory.release()
    for done in range(first + 1, steps + 1):
      state, metrics = step(state, key, batch_at(done - 1))
      window.append(metrics)
      if done == first + 1:
        memory.release()
      saves = done % context.save_every == 0 and done < steps
      # A checkpoint ends a window, so that a resumed run logs the same means.
      if done % log_every == 0 or saves or done == steps:
        means = history.add_mean(done, window)
        window = []
        _check(means['loss'], warn(means), warned, done, context)
        shown.update(done, means['loss'])
      if validate and (done % validate_every == 0 or done == steps):
        best = _better(best, state, validate, history)
      if saves:
        save()
      if context.progress.stop.is_set() and not window:
        save()
        raise KeyboardInterrupt
    shown.update(steps)
    history.flush()
    best = best or (state, math.nan)
    return Result(best[0], float(best[1]), history.rows, time.monotonic() - began)


def best_of(
  learning_rates: Sequence[float],
  start: Callable[[float], tuple[Callable, TrainState, Callable]],
  batch_at: Callable[[int], Any],
  key: jax.Array,
  context: StageContext,
  **options,
) -> tuple[TrainState, dict[str, Any]]:
  """Trains once with each learning rate; the highest validation score chooses.

  Args:
    learning_rates: to try; of equal scores the first one's is taken.
    start: `start(learning_rate)` returns step, state and validate, see `run`.
    batch_at: see `run`, as for `key` and `options`.
    key: the same for all.
    context: of the stage; each learning rate has a folder in its directory.
    **options: of `run`.

  Returns:
    The best state of the chosen run, and what a stage notes down: the `learning_rate`,
    its `score`, the score of each as `trials`, and the `seconds` of all.
  """
  found = {}
  for rate in learning_rates:
    step, state, validate = start(rate)
    trial = dataclasses.replace(
      context,
      directory=context.directory / f'lr-{rate:g}',
      title=f'{context.title}, lr {rate:g}',
    )
    found[rate] = run(step, state, batch_at, key, trial, validate=validate, **options)
  chosen = max(found, key=lambda rate: found[rate].score)
  return found[chosen].state, {
    'learning_rate': chosen,
    'score': found[chosen].score,
    'trials': {f'{rate:g}': result.score for rate, result in found.items()},
    'seconds': sum(result.seconds for result in found.values()),
  }


def mean(history: list[dict[str, float]], name: str) -> float:
  """The mean of a logged metric over a run whose lines stand for equally many steps.

  >>> mean([{'step': 10, 'loss': 3.0}, {'step': 20, 'loss': 2.0}], 'loss')
  2.5
  """
  return float(np.mean([row[name] for row in history if name in row]))


class History:
  """The lines of `history.jsonl`, and the same numbers for TensorBoard."""

  def __init__(self, directory: pathlib.Path, step: int):
    """Keeps what was logged up to `step`; what came later is run again."""
    self._path = directory / 'history.jsonl'
    self.rows = []
    if step:
      with files.remade(directory):
        self.rows = self._logged(step)
    self._writer = events.EventFile(directory / 'tensorboard', step)

  def _logged(self, step):
    if not self._path.is_file():
      raise InputError(f'{self._path} is missing.')
    rows = files.read_jsonl(self._path, ['step'])
    if not all(isinstance(row['step'], int) for row in rows):
      raise InputError(f'{self._path} is damaged: a step is no whole number.')
    # A checkpoint is written behind a line.
    if not (rows := [row for row in rows if row['step'] <= step]):
      raise InputError(f'{self._path} is damaged: nothing is left of it.')
    return rows

  def add(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds metrics of a step, to those that it has."""
    self._writer.add(step, metrics)
    if self.rows and self.rows[-1]['step'] == step:
      self.rows[-1].update(metrics)
    else:
      self.rows.append({'step': step, **metrics})

  def add_mean(
    self, step: int, window: Sequence[Mapping[str, jax.Array]]
  ) -> dict[str, float]:
    """Adds the mean of each metric over some steps, which it returns."""
    means = {k: float(np.mean([m[k] for m in window])) for k in window[-1]}
    self.add(step, means)
    return means

  def flush(self) -> None:
    """Writes everything to disk."""
    self._writer.flush()
    files.write_jsonl(self._path, self.rows, parents=False)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._writer.close()


def _saved(state, best, seconds):
  return {'state': state, 'best': best, 'seconds': jnp.float32(seconds)}


def _better(best, state, validate, history):
  """The better of the best state so far and `state`, each with its score."""
  found = dict(validate(state))
  history.add(int(state.step), {f'validation_{k}': v for k, v in found.items()})
  if found['score'] > float(best[1]):
    return jax.tree.map(jnp.copy, state), jnp.float32(found['score'])
  return best


def _check(loss, warning, warned, step, context):
  if warning and warning not in warned:
    warned.add(warning)
    context.progress.say(f'WARNING: {context.title}, step {step}: {warning}')
  if not math.isfinite(loss):
    raise FloatingPointError(
      f'The loss of {context.title} is {loss} at step {step}; the last checkpoint is '
      'kept. A smaller learning rate is the usual cure; an inner Adam also needs '
      'eps_root > 0.'
    )
