"""Settings of glibc's allocator; on other systems nothing happens."""

import ctypes
import os
import sys

_TUNABLES, _HUGE = 'GLIBC_TUNABLES', 'glibc.malloc.hugetlb'


def huge_pages() -> None:
  """Starts the program again, with large allocations on huge pages.

  On CPU, XLA maps the large temporaries of every call again, and the kernel fills them
  page by page: a step that keeps 2 GB spends a third of its time there. glibc reads
  this when a process starts, so nothing must have been done before; what the user has
  set is left alone.
  """
  given = os.environ.get(_TUNABLES, '')
  if not hasattr(ctypes.CDLL(None), 'gnu_get_libc_version') or _HUGE in given:
    return
  os.environ[_TUNABLES] = ':'.join(filter(None, (given, f'{_HUGE}=1')))
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep() -> None:
  """Lets the process keep what is freed, instead of giving it back at once.

  On CPU, XLA allocates the temporaries of every call again. Given back and fetched
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
