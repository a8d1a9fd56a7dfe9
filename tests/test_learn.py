"""When a learned policy counts as one."""

import numpy as np
import pytest

from masklearn.study import learn


@pytest.mark.parametrize(
  ('difference', 'expected'),
  [(0.0, False), (-1.0, False), (0.25, False), (0.35, True), (9.0, True)],
)
def test_gains_surpass_others_beyond_noise(difference, expected):
  """Of 100 pairs that differ by one more or less, three standard errors are 0.3."""
  others = np.random.default_rng(0).normal(
    0, 50, 100
  )  # what pairs share does not count
  noise = np.tile([1.0, -1.0], 50)
  assert learn.surpasses(others + difference + noise, others) == expected


def test_nothing_surpasses_itself():
  """Neither many episodes nor a single one."""
  for count in (1, 7):
    assert not learn.surpasses(np.ones(count), np.ones(count))
