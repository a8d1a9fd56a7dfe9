"""Several processes are one job: they agree, stop together, and end together."""

import functools
import os
import random
import signal
import time

import jax
import numpy as np
import pytest

from masklearn.io import checkpoint, files, hosts
from masklearn.types import InputError
from tests import joined, processes
from tests.small import slow_case
from tests.test_train import timeless

# Seconds in which a process must notice that another has hung: two signs of life.
NOTICED = 2 * hosts.HEARTBEAT


def command(directory):
  """What is run in each process."""
  return ['-m', 'tests.joined', str(directory)]


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """The directory of a single process with two devices."""
  directory = tmp_path_factory.mktemp('hosts') / 'alone'
  processes.finish(1, command(directory), devices=2)
  return directory


def assert_same(directory, alone, tolerance=0):
  """Parameters, to the bit if need be, and what was noted down, but for the time."""
  same = functools.partial(np.testing.assert_allclose, rtol=tolerance)
  trees = [
    checkpoint.restore(path / 'params', checkpoint.shapes(path / 'params'))
    for path in (directory, alone)
  ]
  jax.tree.map(same, *trees)
  histories = [
    timeless(files.read_jsonl(path / 'history.jsonl')) for path in (directory, alone)
  ]
  jax.tree.map(same, *histories)
  done = [files.read_object(path / 'done.json') for path in (directory, alone)]
  same(done[0]['score'], done[1]['score'])
  left = [{p.name for p in path.iterdir()} for path in (directory, alone)]
  assert left[0] == left[1]


@pytest.mark.parametrize('count', [2, slow_case(4)])
def test_processes_train_as_one_with_all_devices(alone, tmp_path, count):
  """Each reads its own rows and holds its own part of the weights; one writes."""
  if count != 2:
    alone = tmp_path / 'alone'
    processes.finish(1, command(alone), devices=count)
  processes.finish(count, command(tmp_path / 'joined'))
  # Sums of two numbers are the same in any order, those of four are not.
  assert_same(tmp_path / 'joined', alone, 0 if count == 2 else 1e-5)


def interrupt(directory, number, seed):
  """Sends a signal to one of two processes at a random step; what the other says."""
  rng = random.Random(seed)
  started = processes.start(2, command(directory))
  until = rng.randrange(joined.STEPS - 4)
  while not list(directory.glob('checkpoints/4')) and started[0].poll() is None:
    time.sleep(0.05)
  time.sleep(0.1 * until)
  victim, other = rng.sample(started, 2)
  began = time.monotonic()
  os.kill(victim.pid, number)
  try:
    other.wait(NOTICED)
  finally:
    seconds = time.monotonic() - began
    if number == signal.SIGSTOP:
      victim.kill()
  ended = dict(zip(started, processes.ended(started, NOTICED), strict=True))
  return ended[victim], ended[other], seconds


@pytest.mark.parametrize(
  ('name', 'seed'),
  [
    slow_case('SIGTERM', 0),
    slow_case('SIGKILL', 0),
    slow_case('SIGSTOP', 0),
    *(
      pytest.param(name, seed, marks=pytest.mark.grid)
      for name in ('SIGTERM', 'SIGKILL', 'SIGSTOP')
      for seed in range(1, 11)
    ),
  ],
)
def test_one_that_is_asked_to_stop_or_lost_ends_all(alone, tmp_path, name, seed):
  """In a minute and with one line; the same command then gives the same numbers."""
  directory = tmp_path / 'joined'
  (code, _), (other, said), _ = interrupt(directory, getattr(signal, name), seed)
  if name == 'SIGTERM':
    # Where it came too late, nothing is left to stop.
    assert (code, other) in ((130, 130), (0, 0)), said
  else:
    assert other == hosts.LOST, said
    assert said.splitlines()[-1] == (
      'error: another process of this job was lost; the same command continues'
    )
  processes.finish(2, command(directory))
  assert_same(directory, alone)


@pytest.mark.parametrize(
  ('environment', 'message'),
  [
    ({'JAX_COORDINATOR_ADDRESS': 'a:1'}, 'JAX_NUM_PROCESSES must be, too'),
    ({'JAX_PROCESS_ID': '1'}, 'JAX_COORDINATOR_ADDRESS must be, too'),
    (dict(zip(hosts.EXPLICIT, ('a:1', 'two', '0'), strict=True)), 'whole numbers'),
    (dict(zip(hosts.EXPLICIT, ('a:1', '2', '2'), strict=True)), 'got 2 of 2'),
    (dict(zip(hosts.EXPLICIT, ('a:1', '2', '-1'), strict=True)), 'got -1 of 2'),
  ],
)
def test_what_a_launcher_says_is_checked(environment, message):
  """Before anybody is waited for."""
  with pytest.raises(InputError, match=message):
    hosts.arguments(0, environment)


def test_who_is_joined_is_what_a_launcher_says():
  """A single process joins nobody, whatever is set around it."""
  several = dict(zip(hosts.EXPLICIT, ('host:1', '2', '1'), strict=True))
  assert hosts.arguments(0, several) == {
    'coordinator_address': 'host:1', 'num_processes': 2, 'process_id': 1,
  }  # fmt: skip
  assert hosts.arguments(0, several | {'JAX_NUM_PROCESSES': '1'} | one()) is None
  assert hosts.arguments(1, several) is None
  assert hosts.arguments(4, {}) == {}  # a TPU's runtime knows
  assert hosts.arguments(0, {'SLURM_STEP_NUM_TASKS': '1'}) is None
  assert hosts.arguments(0, {'SLURM_STEP_NUM_TASKS': '2'}) == {}


def one():
  """The number of the only process."""
  return {'JAX_PROCESS_ID': '0'}
