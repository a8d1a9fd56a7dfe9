"""Pools that cannot be had; one that works is tested with a study."""

import os
import sys
import threading
import time

import pytest

from masklearn.io import owner
from masklearn.io.progress import Progress
from masklearn.study import plan, pool
from masklearn.types import InputError

CELL = plan.Cell('civics', 'learned', 'civics', 'spans', 3)


def execute(scheduler, tmp_path):
  """Runs no job on a pool."""
  return list(pool.execute({}, print, tmp_path, scheduler, Progress()))


@pytest.mark.parametrize(
  'scheduler', ['local', 'local:0', 'local:x', 'slurm:', 'http://a:1', 'tcp://', ' ']
)
def test_names_of_no_pool_are_refused(scheduler):
  """With the forms that there are."""
  with pytest.raises(
    InputError, match=r'local:WORKERS, slurm:WORKERS or tcp://ADDRESS'
  ):
    pool.check(scheduler)


@pytest.mark.parametrize('name', ['distributed', 'dask_jobqueue'])
def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path, name):
  """With what to install."""
  pytest.importorskip('distributed', reason='needs the extra `cluster`')
  monkeypatch.setitem(sys.modules, name, None)
  scheduler = 'local:1' if name == 'distributed' else 'slurm:1'
  with pytest.raises(InputError, match=rf'needs {name}.*masklearn\[cluster\]'):
    execute(scheduler, tmp_path)


def test_a_scheduler_at_which_nobody_is_is_named(tmp_path):
  """In seconds, as far as the user's own limits of Dask are."""
  dask = pytest.importorskip('dask', reason='needs the extra `cluster`')
  # Nobody may listen at a port that needs the rights of the system.
  with (
    dask.config.set({'distributed.comm.timeouts.connect': '1s'}),
    pytest.raises(
      InputError, match=r'No Dask scheduler answers at tcp://127\.0\.0\.1:9'
    ),
  ):
    execute('tcp://127.0.0.1:9', tmp_path)


def test_a_job_that_a_hung_worker_keeps_is_waited_for(tmp_path, caplog):
  """With a line that names who has it; done as soon as that one ends."""
  job, done = plan.Job('base', (3,)), []
  (tmp_path / pool.LEASES).mkdir()
  lock = tmp_path / pool.LEASES / f'{job.name}.lock'
  waiting = threading.Thread(
    target=pool._work, args=(lambda job: done.append(job), tmp_path, job)
  )
  with owner.owned(job.name, lock):
    waiting.start()
    while not caplog.records:
      time.sleep(0.05)
    assert f'base-3 is in use by process {os.getpid()}' in caplog.text
    assert not done
  waiting.join(30)
  assert done == [job]


def test_each_job_has_a_name_of_its_own():
  """Of its stage and of what it is about."""
  jobs = [plan.Job('finetune', (CELL,)), plan.Job('base', (3,))]
  jobs.append(plan.Job('pretrain', ('random', None, 'spans', 3, '')))
  names = [job.name for job in jobs]
  assert names[:2] == ['finetune-civics-learned-civics-spans-3', 'base-3']
  assert len(set(names)) == len(jobs)
