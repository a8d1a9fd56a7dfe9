"""The progress that a waiting person sees, and their request to stop."""

import signal
import threading
import time

from rich import console, progress

from masklearn.io.visible import one_line

_EVERY = 10.0  # seconds between lines where there is no terminal to redraw


class Progress:
  """Stage, step, loss and time left: bars on a terminal, lines elsewhere; on stderr.

  As a context it also listens for Ctrl-C and SIGTERM: they set `stop`, and every
  stage saves and ends at its next logged step.
  """

  def __init__(self):
    self.stop = threading.Event()
    self.console = console.Console(stderr=True)
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
    self._handlers = {}

  def start(self, name: str, total: int, done: int = 0, unit: str = 'steps') -> 'Stage':
    """Begins a stage of `total` steps, `done` of them before an interruption."""
    return Stage(self, name, total, done, unit)

  def say(self, line: str) -> None:
    """Prints a line above the bars."""
    self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)

  def __enter__(self):
    # Only a main thread may listen; a notebook's cell may run in another.
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGINT, signal.SIGTERM):
        self._handlers[number] = signal.signal(number, self._ask)
    self.bar.start()
    return self

  def __exit__(self, *exception):
    self.bar.stop()
    for number, handler in self._handlers.items():
      signal.signal(number, handler)

  def _ask(self, number, frame):
    del number, frame
    self.stop.set()
    self.say('Stopping: every stage saves what it has.')


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
