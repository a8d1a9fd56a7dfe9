"""What glibc's allocator does with freed memory; elsewhere nothing happens."""

import ctypes


def keep() -> None:
  """Lets the process keep what is freed, instead of giving it back at once.

  On CPU, XLA asks for the temporaries of every call anew. Given back and fetched
  again, page by page, they take about a third of the time of a small model's step.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is not None:
    mallopt(-8, 4)  # M_ARENA_MAX: one would be fought over by stages side by side
    mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
    mallopt(-1, 2**28)  # M_TRIM_THRESHOLD: compiling takes far more than steps keep


def release() -> None:
  """Gives back what is free: compiling a stage's programs takes what no step needs."""
  trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
  if trim is not None:
    trim(0)
