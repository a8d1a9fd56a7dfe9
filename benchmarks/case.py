"""One piece of work for both sides, and how it is timed and weighed."""

import pathlib
import re
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from masklearn.io import memory
from masklearn.types import InputError

SIDES = ('ours', 'peer')
_MOST = 65_536  # rows, steps or repeats: more is a slip of the pen


def whole(name: str, string: str) -> int:
  """The number that a flag gives, up to 65,536.

  >>> whole('rows', '32')
  32
  """
  # No other digits than these, and no more of them than Python reads at once.
  if not re.fullmatch('[0-9]{1,5}', string) or not 0 < int(string) <= _MOST:
    raise InputError(
      f'{name} must be a whole number above 0 and up to {_MOST:,}, got {string!r:.40}.'
    )
  return int(string)


def compiled(function: Callable, *arguments) -> tuple[Callable, int]:
  """One call of a function, which waits for its end, and XLA's bytes beside these.

  The call knows its `compile_seconds`, tracing included.
  """
  began = time.perf_counter()
  program = jax.jit(function).lower(*arguments).compile()
  seconds = time.perf_counter() - began

  def run():
    return jax.block_until_ready(program(*arguments))

  run.compile_seconds = seconds
  return run, program.memory_analysis().temp_size_in_bytes


class Case(NamedTuple):
  """A piece of work; a side that was not asked for is None."""

  ours: Callable[[], Any] | None  # does it once, and waits for the end of it
  peer: Callable[[], Any] | None
  agree: Callable[[], float] | None  # largest difference of what both sides compute
  tolerance: float  # what `agree` must not exceed
  temp_bytes: int  # that XLA's program needs beside its arguments; 0 if not known
  tokens: int  # that the work is about, padding not counted
  # Times the matmuls of our side alone; None where they say nothing.
  matmul_seconds: Callable[[], float] | None = None
  process: int | None = None  # of the peer, where that is not this one


def compare(case: Case, repeats: int) -> dict[str, float]:
  """Checks that the sides agree, then times them in turn, each after a call of its own.

  Returns:
    `agree`, the medians `seconds` and `peer_seconds`, `speedup`, `tokens_per_second` of
    both, `repeats`, `temp_bytes`, `compile_seconds` of our side, and `matmul_seconds`
    where the case has them.

  Raises:
    InputError: the sides do not compute the same.
  """
  agree = case.agree()
  if not agree <= case.tolerance:
    raise InputError(f'The sides differ by {agree}, more than {case.tolerance}.')
  seconds = {side: [] for side in SIDES}
  for _ in range(repeats):
    for side in SIDES:
      # As in a loop of its own: the first call after the other side's also pays for the
      # memory that the other side has given back.
      getattr(case, side)()
      began = time.perf_counter()
      getattr(case, side)()
      seconds[side].append(time.perf_counter() - began)
  ours, theirs = (statistics.median(seconds[side]) for side in SIDES)
  found = {
    'agree': agree,
    'seconds': ours,
    'peer_seconds': theirs,
    'speedup': theirs / ours,
    'tokens_per_second': case.tokens / ours,
    'peer_tokens_per_second': case.tokens / theirs,
    'repeats': repeats,
    'temp_bytes': case.temp_bytes,
    'compile_seconds': getattr(case.ours, 'compile_seconds', 0),  # 0 if not known
  }
  if case.matmul_seconds:
    found['matmul_seconds'] = case.matmul_seconds()
  return found


def peak_bytes(case: Case, side: str) -> int:
  """By how much three calls raise the resident size of their process at most.

  To be called in a process of its own, and on Linux, where the peak that building and
  compiling have left can be reset.
  """
  process = (case.process if side == 'peer' else None) or 'self'
  before = begin_peak(process)
  for _ in range(3):
    getattr(case, side)()
  return status('VmHWM', process) - before


def begin_peak(process: int | str = 'self') -> int:
  """The resident size of a process, after which its peak is measured anew."""
  memory.release()  # another process does so itself before it is ready
  pathlib.Path(f'/proc/{process}/clear_refs').write_text('5')
  return status('VmRSS', process)


def status(name: str, process: int | str = 'self') -> int:
  """A size of a process in bytes, as the kernel tells it."""
  status = pathlib.Path(f'/proc/{process}/status').read_text()
  return int(re.search(rf'{name}:\s+(\d+) kB', status)[1]) * 1024
