"""A program that asks for huge pages is started again, once."""

import os
import subprocess
import sys

import pytest

from masklearn import memory

PROGRAM = """
import os, sys
from masklearn import memory
print('begun', flush=True)
memory.huge_pages()
print(os.environ['GLIBC_TUNABLES'], sys.argv[1:], flush=True)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='it is about glibc')
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


def test_keeping_and_giving_back_can_be_asked_for_anywhere():
  """Also where there is no glibc."""
  memory.keep()
  memory.release()
