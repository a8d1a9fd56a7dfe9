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
  # What pairs share does not count.
  others = np.random.default_rng(0).normal(0, 50, 100)
  noise = np.tile([1.0, -1.0], 50)
  assert learn.surpasses(others + difference + noise, others) == expected
  assert not learn.surpasses(others, others)
  assert not learn.surpasses(others[:1], others[:1])
