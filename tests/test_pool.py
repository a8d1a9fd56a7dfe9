"""Pools that cannot be had; one that works is tested with a study."""

import sys

import pytest

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


def test_each_job_has_a_name_of_its_own():
  """Of its stage and of what it is about."""
  jobs = [plan.Job('finetune', (CELL,)), plan.Job('base', (3,))]
  jobs.append(plan.Job('pretrain', ('random', None, 'spans', 3)))
  names = [job.name for job in jobs]
  assert names[:2] == ['finetune-civics-learned-civics-spans-3', 'base-3']
  assert len(set(names)) == len(jobs)
