"""Whether a model that computes in few digits still says which spans teach.

An influence is a small difference of large losses: half precision can lose it while
the model trains as well as ever.
"""

from collections.abc import Callable

import numpy as np

from masklearn.types import InputError

EXACT = 'float32', 'float64'
# Cosines to the influences in float32: below the first, a policy would follow noise;
# below the second, it is told.
LEAST, GOOD = 0.5, 0.95


def check(
  found: np.ndarray, wanted: np.ndarray, dtype: str, say: Callable[[str], None]
) -> float:
  """The cosine of influences to those in float32, of the same draws.

  Says it, warns where it is low, and refuses what would be noise.

  Args:
    found: as the model computes them, any shape.
    wanted: the same in float32.
    dtype: of the model's computation, for the message.
    say: takes a line.

  Raises:
    InputError: it is below `LEAST`, or not a number.

  >>> round(check(np.array([1.0, 2.0]), np.array([1.0, 2.1]), 'bfloat16', print), 3)
  influences in bfloat16 have a cosine of 1.00 to those in float32
  1.0
  """
  one, other = (np.ravel(x).astype(np.float64) for x in (found, wanted))
  size = np.linalg.norm(one) * np.linalg.norm(other)
  cosine = float(one @ other / size) if size > 0 else np.nan
  said = f'influences in {dtype} have a cosine of {cosine:.2f} to those in float32'
  if not cosine >= LEAST:
    raise InputError(
      f'config.model.dtype={dtype} is too coarse to learn a policy: {said}, and at '
      f'least {LEAST} is needed. Use float32 for policy learning.'
    )
  if cosine < GOOD:
    said = f'WARNING: {said}; use float32 if the policy does not learn.'
  say(said)
  return cosine
