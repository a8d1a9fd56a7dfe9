"""A study that is killed at random times has the rows of one that is not."""

import random
import signal

import jax
import pytest

from tests.kills import GRACE, check_whole, finish, interrupted, results
from tests.test_study import SMALL


def interrupt(flags, tmp_path, window, kills, terms):
  """Interrupts a study at random times; returns the places."""
  numbers = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
  random.Random(0).shuffle(numbers)
  cache = jax.config.jax_compilation_cache_dir or tmp_path / 'cache'
  finish(flags, tmp_path / 'whole', cache)
  killed = tmp_path / 'killed'
  workdirs, places, slowest = interrupted(flags, killed, cache, window, numbers)
  assert len(places) == kills + terms
  assert slowest < GRACE
  for workdir in workdirs:
    check_whole(workdir)
    assert results(workdir) == results(tmp_path / 'whole')
  return {folder for _, folder in places}


def test_killed_anywhere_gives_the_rows_of_an_uninterrupted_run(tmp_path):
  """`kill -9` and SIGTERM at random times, one after the other."""
  interrupt((*SMALL, '--config.policy.names=none,random'), tmp_path, 6, 5, 1)


@pytest.mark.slow
def test_killed_thirty_times(tmp_path):
  """In all stages, as far as a machine gets in the time that it is given."""
  assert interrupt(SMALL, tmp_path, 10, 30, 2) - {'nothing', 'corpus'}
