"""Measures how long policy learning takes to begin, by the size of the corpus.

python -m benchmarks.learning_start --passages=1000,100000

Invented people, four passages each, and questions about all of them. A line of JSON for
each size goes to stdout: `seconds` from the end of the warm-up to the end of the first
update, of a run of 200 updates that is stopped there, and `processor_seconds`, which
other work on the machine changes little; and both of the whole process, with a base
model and a warm-up of two updates each. Every size is run twice: `first_..` are those
of a process that also makes the corpus, and compiles what the second one finds.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.case import whole
from configs import people
from experiments import app
from masklearn.io import compiled, provenance
from masklearn.io.progress import Progress, Stage
from masklearn.study import start
from masklearn.types import InputError

COPIES = 4  # passages of a person
FEW = 2  # updates of what is not measured
TITLE = 'learned policy, classes, seed 0'


class Watch(Progress):
  """Notes when the warm-up ends, and when the first update does; then it stops all."""

  def __init__(self):
    super().__init__()
    self.checked = self.ended = self.updated = None

  def start(self, name, total, done=0, unit='steps'):
    """Begins a stage; see `Progress.start`."""
    inside = name.startswith(TITLE) and not name.endswith('warm-up')
    if inside and self.ended is None:
      self.ended = self.checked
    return _Watched(self, name, total, done, unit)

  def check(self):
    """Notes the time, as each step of a stage ends with it."""
    self.checked = now()
    super().check()

  def updated_policy(self):
    """Notes the time of the first update."""
    self.updated = now()
    self.stop.set()


class _Watched(Stage):
  def update(self, step, loss=None, note=''):
    super().update(step, loss, note)
    if self._name == TITLE:
      self._shown.updated_policy()


def now() -> np.ndarray:
  """The time, and what this process has had of its processors, in seconds."""
  return np.array([time.monotonic(), time.process_time()])


def main(passages='1000,100000', measure='', folder=''):
  """Measures every size; `measure` and `folder` are for the processes it starts."""
  if measure:
    print(json.dumps(begin(whole('people', measure), pathlib.Path(folder))))
    return
  try:
    sizes = [int(size) // COPIES for size in passages.split(',')]
  except ValueError as error:
    raise InputError(f'passages must be whole numbers, got {passages!r}.') from error
  compiled.keep()  # by the processes that follow
  for size in sizes:
    with tempfile.TemporaryDirectory() as made:
      flags = f'--measure={size}', f'--folder={made}'
      command = [sys.executable, '-m', 'benchmarks.learning_start', *flags]
      first = json.loads(subprocess.check_output(command))
      shutil.rmtree(pathlib.Path(made, 'policies'))
      found = json.loads(subprocess.check_output(command))
    compiling = {f'first_{name}': value for name, value in first.items()}
    line = {'work': 'learning_start', 'passages': COPIES * size, **found, **compiling}
    print(json.dumps(line | {'commit': provenance.commit()}), flush=True)


def begin(size: int, folder: pathlib.Path) -> dict[str, float]:
  """The times of one run with passages about `size` people."""
  c = people.get_config('classes')
  c.corpus.update(size=size, copies=COPIES)
  c.task.size = size
  c.policy.names = 'none,learned'
  c.base.updates = FEW
  c.learn.update(updates=200)
  c.learn.warmup.update(updates=FEW, validate_every=FEW)
  c.study.update(seeds=1, save_every=1, workers=1)  # saved steps are noted one by one
  began, watch = now(), Watch()
  start.Progress = lambda: watch
  with contextlib.suppress(KeyboardInterrupt):
    start.run_study(c, folder, until='policies')
  names = 'seconds', 'processor_seconds'
  learning, whole = watch.updated - watch.ended, now() - began
  found = dict(zip(names, learning.tolist(), strict=True))
  return found | {
    f'total_{name}': float(x) for name, x in zip(names, whole, strict=True)
  }


if __name__ == '__main__':
  app.run(main)
