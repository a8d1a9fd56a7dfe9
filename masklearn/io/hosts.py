"""The processes of one job, on one host or on several: how they start and agree.

All run the same program on arrays that they share, and read one directory. The first of
them decides what depends on files or on the clock, and it alone writes. With a single
process, all of this is nothing.

A launcher says that there are several:

- `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`, for any machines;
- Slurm, in a step of several tasks;
- `config.mesh.processes`, on a TPU pod, whose runtime knows the rest.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from masklearn.types import InputError

T = TypeVar('T')

LOST = 75  # the exit code where another process was lost: to be tried again
HEARTBEAT = 30  # seconds without a sign of life
EXPLICIT = 'JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID'
WAITS = 300  # seconds for the others to be started
SHUTDOWN = 20  # seconds that a process which has ended waits for the others
_SAID = 'error: another process of this job was lost; the same command continues'
# How the runtime speaks of processes that it cannot reach.
_SIGNS = 'Gloo', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED', 'heartbeat'
_KEPT = []  # what C code calls must not be collected


def start(processes: int, environment: Mapping[str, str] = os.environ) -> None:
  """Joins the other processes of the job, if a launcher says that there are some.

  Args:
    processes: how many there must be; 0 for as many as the launcher says.
    environment: where launchers say it.

  Raises:
    InputError: what they say is incomplete, or there are others than asked for.
  """
  given = arguments(processes, environment)
  if given is None:
    return
  import jax

  if jax.distributed.is_initialized():
    return
  _end_on_abort()
  try:
    jax.distributed.initialize(
      **given,
      initialization_timeout=WAITS,
      heartbeat_timeout_seconds=HEARTBEAT,
      shutdown_timeout_seconds=SHUTDOWN,
    )
  except (RuntimeError, ValueError) as error:
    first = str(error).split('\n')[0]
    raise InputError(
      f'The processes of this job cannot be joined: {first:.200} Is each of them '
      'started, and can all reach the first?'
    ) from error
  if processes not in (0, jax.process_count()):
    raise InputError(
      f'config.mesh.processes must be the number of processes that were started, which '
      f'is {jax.process_count()}; got {processes}.'
    )


def arguments(
  processes: int, environment: Mapping[str, str]
) -> dict[str, str | int] | None:
  """What `jax.distributed.initialize` is to be told; None where nobody is to be joined.

  >>> said = {'SLURM_STEP_NUM_TASKS': '4'}
  >>> arguments(0, {}), arguments(0, said), arguments(1, said)
  (None, {}, None)
  """
  if processes == 1:
    return None
  if there := [name for name in EXPLICIT if environment.get(name)]:
    if missing := [name for name in EXPLICIT if name not in there]:
      raise InputError(f'{there[0]} is set, so {missing[0]} must be, too.')
    address, *numbers = (environment[name] for name in EXPLICIT)
    try:
      count, own = map(int, numbers)
    except ValueError:
      raise InputError(
        f'{EXPLICIT[1]} and {EXPLICIT[2]} must be whole numbers, got {numbers}.'
      ) from None
    if not 0 <= own < count:
      raise InputError(
        f'{EXPLICIT[2]} must be from 0 to {EXPLICIT[1]} - 1, got {own} of {count}.'
      )
    if count == 1:
      return None
    return {'coordinator_address': address, 'num_processes': count, 'process_id': own}
  tasks = environment.get('SLURM_STEP_NUM_TASKS', '1')
  if processes > 1 or (tasks.isdigit() and int(tasks) > 1):
    return {}  # The runtime looks at Slurm's variables, or asks the TPU's host.
  return None


def _joined():
  """Whether there are other processes; loads nothing to find out."""
  jax = sys.modules.get('jax')
  return jax is not None and jax.distributed.is_initialized()


def count() -> int:
  """How many processes there are."""
  return sys.modules['jax'].process_count() if _joined() else 1


def is_first() -> bool:
  """Whether this process decides and writes."""
  return not _joined() or sys.modules['jax'].process_index() == 0


def agree(value: T) -> T:
  """The value that the first process has, for all of them.

  Args:
    value: what JSON can hold; of the others it is not looked at.
  """
  if count() == 1:
    return value
  import numpy as np
  from jax.experimental import multihost_utils

  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
  text = text if is_first() else np.zeros(size, np.uint8)
  return json.loads(bytes(multihost_utils.broadcast_one_to_all(text)))


def wait() -> None:
  """Waits for all processes: what the first has written can be read then."""
  agree(None)


def told(function: Callable[[], T]) -> T:
  """What a function returns in the first process, for all of them.

  Args:
    function: called in the first alone; returns what JSON can hold.

  Raises:
    InputError, KeyboardInterrupt: in all processes, what the first has raised.
  """
  if count() == 1:
    return function()
  value, error = None, None
  if is_first():
    try:
      value = function()
    except (InputError, OSError, KeyboardInterrupt) as raised:
      error = raised
  stopped = isinstance(error, KeyboardInterrupt)
  value, said, stopped = agree([value, error and str(error), stopped])
  if error is not None:
    raise error
  if stopped:
    raise KeyboardInterrupt
  if said is not None:
    raise InputError(said)
  return value


def in_turn(function: Callable[[], T]) -> T:
  """Calls a function in the first process, which may write, then in all others."""
  found: list[T] = []
  told(lambda: found.append(function()))
  return found[0] if found else function()


class SyncPoints:
  """Points that all processes pass in the same order, and where all stop at once.

  The runtime hears SIGTERM in any of them and tells the others.
  """

  def __init__(self):
    self._passed = 0

  def stops(self) -> bool:
    """Passes a point; whether all processes are to stop here."""
    if count() == 1:
      return False
    from jax.experimental import multihost_utils

    self._passed += 1
    return multihost_utils.reached_preemption_sync_point(self._passed)


@contextlib.contextmanager
def losses() -> Iterator[None]:
  """A context in which the loss of another process ends this one: one line, `LOST`."""
  try:
    yield
  except Exception as error:
    if count() > 1 and any(sign in str(error) for sign in _SIGNS):
      _end()
    raise


def _end_on_abort():
  """Says what the runtime's abort means, which comes where a process has hung."""
  handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: _end())
  _KEPT.append(handler)
  set_handler = ctypes.CDLL(None).signal
  set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), None
  set_handler(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))


def _end():
  # Not by `sys.exit`, which would wait for the other processes.
  os.write(2, f'{_SAID}\n'.encode())
  os._exit(LOST)
