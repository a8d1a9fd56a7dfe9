"""One host loop for every stage: next batch, step, log, validate, save, stop cleanly.

A stage's directory holds `history.jsonl` (one object a logged step), TensorBoard
event files and, until it is finished, its newest checkpoint.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn.io import checkpoint, hosts, memory
from masklearn.training.clock import Clock
from masklearn.training.context import StageContext
from masklearn.training.history import History
from masklearn.training.profile import Profile
from masklearn.training.steps import Start, TrainState
from masklearn.types import InputError

# What a checkpoint has beside the states.
_NUMBERS = {'seconds': np.float32, 'score': np.float32, 'checked': np.int32}
CHECKPOINTS = 'checkpoints'  # the folder in a stage's directory


class Result(NamedTuple):
  """The outcome of a run."""

  # Of the best validation score, on the host; without validation the last one.
  state: TrainState
  score: float  # the best validation score; nan without validation
  history: list[dict[str, float]]  # what history.jsonl holds
  seconds: float  # spent in this loop, before interruptions included


class Best(NamedTuple):
  """The best state so far, as it lies in checkpoints."""

  state: TrainState  # on the host
  score: jax.Array  # float32 scalar, -inf before the first validation
  # int32 scalar: the step of the last validation, -1 before the first. The history
  # cannot say it: it may be on disk without the checkpoint that has this state.
  checked: jax.Array


def run(
  step: Callable,
  start: Start,
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
    step: the pure step, already jitted, which may donate its state; every metric a
      scalar.
    start: of the state, if no checkpoint says otherwise.
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
    InputError: the loss is not finite.
    KeyboardInterrupt: the run was asked to stop, and saved what it had.
  """
  with contextlib.ExitStack() as stack:
    stack.callback(memory.release)
    # Named at once: a tuple would hold on to the first state.
    checkpoints, state, best, seconds = _restored(stack, context, start, validate)
    first, began = int(state.step), time.monotonic() - seconds
    history = stack.enter_context(History(context.directory, first))
    traced = stack.enter_context(Profile(context))
    log = _Log(history, context.progress.start(context.title, steps, first), context)
    batch = log.clock.timed('data', batch_at)

    def save():
      with log.clock.part('saving'):
        history.save(int(state.step), log.window)
        saved = _saved(state, best, _since(began), context.layout)
        checkpoints.save(int(state.step), saved)

    def due(step):
      return validate and (step % validate_every == 0 or step == steps)

    try:
      # Before the first step, or where the last checkpoint came before validation.
      if due(first) and int(best.checked) < first:
        best = _better(best, state, validate, log)
        memory.release()  # what compiling took, before more is compiled
      for done in range(first + 1, steps + 1):
        with traced.step(done - first):  # no name holds on to its batch
          state, metrics = step(state, key, batch(done - 1))
        if done == first + 1:
          memory.release()
        saves = done % context.save_every == 0 and done < steps
        # A checkpoint ends a window, so that a resumed run logs the same means.
        ends = done % log_every == 0 or saves or done == steps
        log.add(done, metrics, ends, warn)
        if due(done):
          best = _better(best, state, validate, log)
        if saves:
          save()
        context.progress.check()
    except KeyboardInterrupt:
      save()
      raise
    log.finish(steps)
    best = best or Best(state, math.nan, -1)
    return Result(best.state, float(best.score), history.rows, _since(began))


class _Log:
  """The lines of a run: the means of what its steps say, and where the time went."""

  def __init__(self, history, shown, context):
    self.window = history.window()  # what is in no line yet
    self.clock, self.shown, self.layout = Clock(), shown, context.layout
    self._history, self._context, self._warned = history, context, set()

  def validated(self, state, validate):
    """The step and the score of a validation, whose metrics are added."""
    step = int(state.step)
    with self.clock.part('validation'):
      found = dict(validate(state))
    self._history.add(step, {f'validation_{k}': v for k, v in found.items()})
    return step, found['score']

  def add(self, done, metrics, ends, warn):
    """Adds the metrics of a step, which may end a line."""
    self.window.append(metrics)
    if not ends:
      return
    means = self._history.add_mean(done, self.window)
    self.window = []
    self._history.add(done, self.clock.line())
    _check(means['loss'], warn(means), self._warned, done, self._context)
    self.shown.update(done, means['loss'])

  def finish(self, done):
    """Adds the time since the last line to it, such as that of the last validation."""
    if self._history.rows:
      last, rest = self._history.rows[-1], self.clock.line()
      spent = {name: last.get(name, 0.0) + seconds for name, seconds in rest.items()}
      self._history.add(last['step'], spent)
    self._history.flush()
    self.shown.update(done)


def best_of(
  learning_rates: Sequence[float],
  start: Callable[[float], tuple[Callable, Start, Callable]],
  batch_at: Callable[[int], Any],
  key: jax.Array,
  context: StageContext,
  **options,
) -> tuple[TrainState, dict[str, Any]]:
  """Trains once with each learning rate; the highest validation score chooses.

  Args:
    learning_rates: to try; of equal scores the first one's is taken.
    start: `start(learning_rate)` returns step, start and validate, see `run`.
    batch_at: see `run`, as for `key` and `options`.
    key: the same for all.
    context: of the stage; each learning rate has a folder in its directory.
    **options: of `run`.

  Returns:
    The best state of the chosen run, on the host, and what a stage notes down: the
    `learning_rate`, its `score`, the score of each as `trials`, and the `seconds` of
    all.
  """
  found, best = {}, None
  for rate in learning_rates:
    step, first, validate = start(rate)
    trial = dataclasses.replace(
      context,
      directory=context.directory / f'lr-{rate:g}',
      title=f'{context.title}, lr {rate:g}',
    )
    result = run(step, first, batch_at, key, trial, validate=validate, **options)
    found[rate] = result.score, result.seconds
    if max(found, key=lambda rate: found[rate][0]) == rate:
      chosen, best = rate, result.state
    del result  # and with it the state, unless it is the best
  return best, {
    'learning_rate': chosen,
    'score': found[chosen][0],
    'trials': {f'{rate:g}': score for rate, (score, _) in found.items()},
    'seconds': sum(seconds for _, seconds in found.values()),
  }


def mean(history: list[dict[str, float]], name: str) -> float:
  """The mean of a logged metric over a run whose lines stand for equally many steps.

  >>> mean([{'step': 10, 'loss': 3.0}, {'step': 20, 'loss': 2.0}], 'loss')
  2.5
  """
  return float(np.mean([row[name] for row in history if name in row]))


def _since(began):
  """Seconds, by the clock of the first process."""
  return hosts.agree(time.monotonic() - began)


def _saved(state, best, seconds, layout):
  placed = layout.place({'seconds': np.float32(seconds)})
  return {'state': state, 'best': best, **placed}


def _restored(stack, context, start, validate):
  """The checkpoints of a stage, and the state, the best one and the seconds so far."""
  checkpoints = checkpoint.Checkpoints(context.directory / CHECKPOINTS)
  stack.enter_context(checkpoints)
  layout = context.layout
  if checkpoints.latest is None:
    state = layout.place(start.read())
    best = _best(state, -math.inf, -1, layout) if validate else None
    return checkpoints, state, best, 0.0
  like = layout.shapes(start.shapes)
  numbers = layout.shapes({name: _number(kind) for name, kind in _NUMBERS.items()})
  seconds = numbers.pop('seconds')
  best = Best(layout.on_host(like), **numbers) if validate else None
  saved = checkpoints.resume({'state': like, 'best': best, 'seconds': seconds})
  return checkpoints, saved['state'], saved['best'], float(saved['seconds'])


def _number(kind):
  return jax.ShapeDtypeStruct((), kind)


def _best(state, score, checked, layout):
  numbers = {'score': np.float32(score), 'checked': np.int32(checked)}
  return Best(layout.to_host(state), **layout.place(numbers))


def _better(best, state, validate, log):
  """The better of the best state so far and `state`, each with its score."""
  step, score = log.validated(state, validate)
  if score > float(best.score):
    return _best(state, score, step, log.layout)
  return best._replace(**log.layout.place({'checked': np.int32(step)}))


def _check(loss, warning, warned, step, context):
  if warning and warning not in warned:
    warned.add(warning)
    context.progress.say(f'WARNING: {context.title}, step {step}: {warning}')
  if not math.isfinite(loss):
    narrow = ', or a wider dtype' if context.dtype == 'float16' else ''
    raise InputError(
      f'The loss of {context.title} is {loss} at step {step}, computed in '
      f'{context.dtype}; the last checkpoint is kept. A smaller learning rate{narrow} '
      'is the usual cure; an inner Adam also needs eps_root > 0.'
    )
