"""The progress that a waiting person sees, and their request to stop."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich import console, progress

from masklearn.io import hosts
from masklearn.io.visible import one_line

T = TypeVar('T')

_EVERY = 10.0  # seconds between lines where there is no terminal to redraw
_STOPPING = 'Stopping: every stage saves what it has.'
_SIGNALS = signal.SIGINT, signal.SIGTERM


class Progress:
  """Stage, step, loss and time left: bars on a terminal, lines elsewhere; on stderr.

  As a context it also listens for Ctrl-C and SIGTERM: the first sets `stop`, and every
  stage saves and ends after what it is computing; the second ends the process at once.
  A thread listens, as Python's own handlers wait while the main thread compiles.
  """

  def __init__(self):
    self.stop = threading.Event()
    # Set while all processes of a job do the same: only then can they stop together.
    self.together = False
    self._points = hosts.SyncPoints()
    self.console = console.Console(stderr=True, quiet=not hosts.is_first())
    self.bar = progress.Progress(
      progress.TextColumn('{task.description}', markup=False),
      progress.BarColumn(bar_width=24),
      progress.TextColumn('{task.completed:>5.0f}/{task.total:.0f}'),
      progress.TextColumn('{task.fields[loss]:10}', markup=False),
      progress.TimeElapsedColumn(),
      progress.TextColumn('left'),
      progress.TimeRemainingColumn(),
      console=self.console,
      disable=not self.console.is_terminal,
    )
    self._restore = contextlib.ExitStack()

  def start(self, name: str, total: int, done: int = 0, unit: str = 'steps') -> 'Stage':
    """Begins a stage of `total` steps, `done` of them before an interruption."""
    return Stage(self, name, total, done, unit)

  def say(self, line: str) -> None:
    """Prints a line above the bars."""
    self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)

  def check(self) -> None:
    """Raises `KeyboardInterrupt` once somebody has asked to stop."""
    if self.together and self._points.stops():
      self.stop.set()
      self.say(_STOPPING)
    if self.stop.is_set():
      raise KeyboardInterrupt

  def until_stopped(self, items: Iterable[T]) -> Iterator[T]:
    """Yields the items, with a `check` before each."""
    for item in items:
      self.check()
      yield item

  def __enter__(self):
    # Only a main thread may listen; a notebook's cell may run in another.
    main = threading.current_thread() is threading.main_thread()
    if main and hosts.count() > 1:
      # The runtime listens for SIGTERM, and tells all processes.
      asked = signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(_SIGNALS[1]))
      self._restore.callback(signal.signal, signal.SIGINT, asked)
    elif main:
      heard, asked = os.pipe()
      os.set_blocking(asked, False)
      before = signal.set_wakeup_fd(asked, warn_on_full_buffer=False)
      self._restore.callback(os.close, asked)
      self._restore.callback(signal.set_wakeup_fd, before)
      for number in _SIGNALS:
        # The numbers go to the pipe only if there is a handler.
        handler = signal.signal(number, lambda number, frame: self.stop.wait())
        self._restore.callback(signal.signal, number, handler)
      threading.Thread(target=self._listen, args=(heard,), daemon=True).start()
    self.bar.start()
    return self

  def __exit__(self, *exception):
    self.bar.stop()
    self._restore.close()

  def _listen(self, heard):
    with open(heard, 'rb', buffering=0) as numbers:
      while number := numbers.read(1):
        if number[0] in _SIGNALS:
          self._ask()

  def _ask(self):
    if self.stop.is_set():
      self.console.show_cursor()
      self.say('Ended at once: the same command continues from what was saved.')
      os._exit(130)
    self.stop.set()
    self.say(f'{_STOPPING} Once more ends at once.')


class Stage:
  """The progress of one stage."""

  def __init__(self, shown: Progress, name: str, total: int, done: int, unit: str):
    name = one_line(name)
    self._shown, self._name, self._total, self._done = shown, name, total, done
    self._began = self._printed = time.monotonic()
    self._task = shown.bar.add_task(name, total=total, completed=done, loss='')
    if shown.bar.disable:
      before = f', {done} of them done before' if done else ''
      shown.say(f'{name}: {total} {unit}{before}')

  def update(self, step: int, loss: float | None = None, note: str = '') -> None:
    """Shows that `step` steps are done, and the latest loss or another note."""
    note = note if loss is None else f'loss {loss:.3f}'
    fields = {'loss': note} if note else {}
    going = step < self._total  # a finished stage makes room for the next
    self._shown.bar.update(self._task, completed=step, visible=going, **fields)
    now = time.monotonic()
    if self._shown.bar.disable and note and now - self._printed > _EVERY:
      left = (now - self._began) / max(step - self._done, 1) * (self._total - step)
      self._shown.say(f'{self._name}: {step}/{self._total}, {note}, {left:.0f} s left')
      self._printed = now
