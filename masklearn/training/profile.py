"""A trace of a few steps of a stage, to be looked at with xprof or Perfetto."""

import contextlib

import jax

from masklearn.io import hosts
from masklearn.training.context import StageContext

# Steps of a run: the first compiles, and the next may wait for it.
FIRST, LAST = 3, 7
FOLDER = 'profile'


class Profile:
  """The steps of a run, five of which are traced if the stage is to be.

  A context manager; a run that ends before them leaves what there is.
  """

  def __init__(self, context: StageContext):
    self._context, self._open = context, False

  def step(self, number: int) -> contextlib.AbstractContextManager:
    """A context for a step of this run, counted from 1."""
    if not (self._context.profile and hosts.is_first()):
      return contextlib.nullcontext()
    return self._traced(number)

  @contextlib.contextmanager
  def _traced(self, number):
    if number == FIRST:
      jax.profiler.start_trace(self._context.directory / FOLDER)
      self._open = True
    with jax.profiler.StepTraceAnnotation(self._context.title, step_num=number):
      yield
    if number == LAST:
      self._close()

  def _close(self):
    if self._open:
      self._open = False
      jax.profiler.stop_trace()

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._close()
