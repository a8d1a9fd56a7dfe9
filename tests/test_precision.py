"""Influences in few digits are compared with those in float32."""

import numpy as np
import pytest

from masklearn.study import precision
from masklearn.types import InputError

WANTED = np.random.default_rng(0).normal(size=(2, 1, 3, 5)).astype(np.float32)


def noisy(size):
  """The same with noise of so many standard deviations."""
  noise = np.random.default_rng(1).normal(size=WANTED.shape)
  return (WANTED + size * noise).astype(np.float32)


@pytest.mark.parametrize(('size', 'warned'), [(0.01, 0), (0.6, 1)])
def test_what_is_near_is_used_and_what_is_not_so_near_is_told(size, warned):
  """With the cosine, which the caller gets as well, and a warning if it is low."""
  said = []
  cosine = precision.check(noisy(size), WANTED, 'bfloat16', said.append)
  assert (cosine < precision.GOOD) == bool(warned)
  (line,) = said
  assert ('WARNING' in line) == bool(warned)
  assert f'bfloat16 have a cosine of {cosine:.2f}' in line


@pytest.mark.parametrize('found', [noisy(9), 0 * WANTED, np.nan * WANTED, -WANTED])
def test_what_would_be_noise_is_refused(found):
  """And what says nothing at all."""
  with pytest.raises(InputError, match=r'dtype=float16 is too coarse.*Use float32'):
    precision.check(found, WANTED, 'float16', print)
