"""A program that asks for huge pages is started again, once."""

import os
import subprocess
import sys
import types

import pytest

from masklearn.io import memory

PROGRAM = """
import os, sys
from masklearn.io import memory
print('begun', flush=True)
memory.huge_pages()
print(os.environ['GLIBC_TUNABLES'], sys.argv[1:], flush=True)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='only glibc reads the variable')
@pytest.mark.parametrize(
  ('given', 'begun', 'tunables'),
  [
    ('', 2, 'glibc.malloc.hugetlb=1'),
    ('glibc.malloc.check=0', 2, 'glibc.malloc.check=0:glibc.malloc.hugetlb=1'),
    ('glibc.malloc.hugetlb=0', 1, 'glibc.malloc.hugetlb=0'),
  ],
)
def test_a_program_starts_again_with_what_it_was_given(given, begun, tunables):
  """The same arguments; a user's own tunables stay, and so does a choice of theirs."""
  environment = {k: v for k, v in os.environ.items() if k != 'GLIBC_TUNABLES'}
  if given:
    environment['GLIBC_TUNABLES'] = given
  out = subprocess.run(
    [sys.executable, '-c', PROGRAM, 'a b', '--c'],
    env=environment, capture_output=True, text=True, check=True,
  ).stdout.splitlines()  # fmt: skip
  assert out == ['begun'] * begun + [f"{tunables} ['a b', '--c']"]


def test_the_allocator_is_told_and_others_are_left_alone(monkeypatch):
  """Once what to keep, and once to give back; a library without glibc's calls, not."""
  told = []

  def tell(*arguments):
    told.append(arguments)

  glibc = types.SimpleNamespace(mallopt=tell, malloc_trim=tell)
  for library, count in ((glibc, 4), (object(), 0)):
    told.clear()
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name, library=library: library)
    memory.keep()
    memory.release()
    assert len(told) == count
  monkeypatch.delenv('GLIBC_TUNABLES', raising=False)
  memory.huge_pages()  # or the tests would begin again
  assert 'GLIBC_TUNABLES' not in os.environ
