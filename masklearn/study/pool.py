"""The jobs of a study on a pool of worker processes, by Dask.

A worker does one job at a time and hands over files, so nothing but small numbers goes
from one to another. The job of a worker that is lost is given to another one, which
goes on from its files; so is a study that was stopped.
"""

import contextlib
import logging
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from masklearn.io import owner
from masklearn.io.progress import Progress
from masklearn.study.plan import URGENT, Job
from masklearn.types import InputError

KINDS = re.compile(r'local:[1-9]\d*|slurm:[1-9]\d*|(tcp|tls)://\S+|')
LOST = 10  # workers that a job may lose before the study ends
LEASES = '.leases'  # in a work directory: who does which job
_SAY = 60  # seconds between lines about what is waited for
_LOG = logging.getLogger('distributed.worker')  # whose lines a worker's log has
_LOOK = 0.2  # seconds between looks at what has ended

# A worker may have several threads; its jobs come one after the other all the same.
_ONE = threading.Lock()


def check(scheduler: str) -> None:
  """Refuses the name of a pool that is none.

  >>> check('local:3')
  >>> check('local')
  Traceback (most recent call last):
  masklearn.types.InputError: must be '', local:WORKERS, slurm:WORKERS or ..
  """
  if not KINDS.fullmatch(scheduler):
    raise InputError(
      "must be '', local:WORKERS, slurm:WORKERS or tcp://ADDRESS of a Dask scheduler, "
      f'got {scheduler!r}'
    )


def execute(
  jobs: Mapping[Job, tuple[Job, ...]],
  run: Callable[..., Any],
  workdir: pathlib.Path,
  scheduler: str,
  progress: Progress,
) -> Iterator[tuple[Job, Any]]:
  """Runs jobs on a pool, and yields each with its result; see `plan.execute`.

  Args:
    jobs: each with those that it needs.
    run: `run(job, *results)`, a function of a module, as workers import it.
    workdir: that every worker sees under this name.
    scheduler: see `check`. Workers of 'local' and 'slurm' end with the study; those of
      an address finish what they are at.
    progress: of this process, which may be asked to stop.

  Raises:
    InputError: Dask is not installed or cannot be reached, or what a job has raised.
    KeyboardInterrupt: somebody asked to stop.
  """
  waiting, futures = dict(jobs), {}
  (workdir / LEASES).mkdir(exist_ok=True)
  with _client(scheduler) as client:
    while waiting:
      for job in [
        job for job, needs in waiting.items() if futures.keys() >= set(needs)
      ]:
        needs = [futures[need] for need in waiting.pop(job)]
        futures[job] = client.submit(
          _work, run, str(workdir.absolute()), job, *needs,
          key=job.name, priority=-URGENT.index(job.stage), pure=False,
        )  # fmt: skip
    alone = 0.0  # seconds without a worker
    while futures:
      for job in [job for job, future in futures.items() if future.done()]:
        yield job, futures.pop(job).result()
      progress.check()
      time.sleep(_LOOK)
      alone = 0.0 if client.nthreads() else alone + _LOOK
      if alone >= _SAY:
        progress.say(f'{scheduler}: no worker has come for {_SAY} seconds; waiting.')
        alone = 0.0
  with contextlib.suppress(OSError):  # an outside worker may still be at one
    (workdir / LEASES).rmdir()


@contextlib.contextmanager
def _client(scheduler: str) -> Iterator[Any]:
  kind, _, rest = scheduler.partition(':')
  try:
    import dask
    import distributed

    if kind == 'slurm':
      import dask_jobqueue
  except ImportError as error:
    raise InputError(
      f'config.study.scheduler={scheduler} needs {error.name}, which is not installed: '
      "pip install 'masklearn[cluster]'."
    ) from error
  with contextlib.ExitStack() as stack:
    stack.enter_context(
      dask.config.set({'distributed.scheduler.allowed-failures': LOST})
    )
    if kind == 'local':
      options = {'n_workers': int(rest), 'threads_per_worker': 1, 'memory_limit': 0}
      options['dashboard_address'] = None
      address = stack.enter_context(distributed.LocalCluster(**options))
    elif kind == 'slurm':
      address = stack.enter_context(dask_jobqueue.SLURMCluster())
      address.scale(jobs=int(rest))
    else:
      address = scheduler
    try:
      client = stack.enter_context(distributed.Client(address))
    except OSError as error:
      raise InputError(f'No Dask scheduler answers at {scheduler}: {error}') from error
    yield client


def _work(run: Callable, workdir: str, job: Job, *needed) -> Any:
  """One job, in a worker."""
  with _ONE, _leased(pathlib.Path(workdir), job):
    return run(job, *needed)


@contextlib.contextmanager
def _leased(workdir, job) -> Iterator[None]:
  """Waits until nobody else is at this job: a worker that was given up may still be."""
  lock = workdir / LEASES / f'{job.name}.lock'
  with contextlib.ExitStack() as stack:
    waited = 0
    while True:
      try:
        stack.enter_context(owner.owned(job.name, lock))
        break
      except InputError as error:
        if waited % _SAY == 0:
          _LOG.warning('%s Waiting, as it may have hung: end it there.', error)
        waited += 1
        time.sleep(1)
    yield
