"""Where the time of a stage goes: compiling, data, saving, validation and steps."""

import collections
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator

import jax

PARTS = 'compiling', 'data', 'steps', 'validation', 'saving'
# What JAX says of its tracing, lowering and compiling, or reading from the cache.
_EVENTS = (
  '/jax/core/compile/jaxpr_trace_duration',
  '/jax/core/compile/jaxpr_to_mlir_module_duration',
  '/jax/core/compile/backend_compile_duration',
)


class Clock:
  """Seconds by part since the last line of a history.

  Devices compute behind the program, so that what steps take is what is left of the
  time between two lines, at each of which their metrics are read.
  """

  def __init__(self):
    self._compiled = _compiled()
    self._begin()

  def _begin(self):
    self._began, self._parts = time.monotonic(), collections.Counter()
    self._before = self._compiled.seconds()

  @contextlib.contextmanager
  def part(self, name: str) -> Iterator[None]:
    """A context whose time is that of a part, but for what is compiled in it."""
    began, before = time.monotonic(), self._compiled.seconds()
    yield
    compiled = self._compiled.seconds() - before
    self._parts[name] += time.monotonic() - began - compiled

  def timed(self, name: str, function: Callable) -> Callable:
    """The function, whose time is that of a part."""

    def called(*arguments):
      with self.part(name):
        return function(*arguments)

    return called

  def line(self) -> dict[str, float]:
    """`seconds_PART` of each part since the last line."""
    total = time.monotonic() - self._began
    parts = dict.fromkeys(PARTS, 0.0) | self._parts
    parts['compiling'] = self._compiled.seconds() - self._before
    parts['steps'] = max(0.0, total - sum(parts.values()))
    self._begin()
    return {f'seconds_{name}': round(parts[name], 3) for name in PARTS}


class _Compiled(threading.local):
  """Intervals in which this thread has traced or compiled; one may lie in another."""

  def __init__(self):
    self.intervals = []

  def add(self, event, seconds, **labels):
    """What JAX calls at the end of each."""
    if event not in _EVENTS:
      return
    end = time.monotonic()
    # Functions that are traced within another end before it.
    while self.intervals and self.intervals[-1][0] >= end - seconds:
      self.intervals.pop()
    self.intervals.append((end - seconds, end))

  def seconds(self):
    """Their length so far."""
    total = sum(end - start for start, end in self.intervals)
    self.intervals = [(0.0, total)]
    return total


@functools.cache
def _compiled():
  """The only listener of this process; JAX keeps those that it has."""
  compiled = _Compiled()
  jax.monitoring.register_event_duration_secs_listener(compiled.add)
  return compiled
