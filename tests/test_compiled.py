"""Programs that are kept between runs."""

import os
import pathlib
import subprocess
import sys

import pytest

from masklearn.io import compiled

NAMES = 'JAX_COMPILATION_CACHE_DIR', 'JAX_COMPILATION_CACHE_MAX_SIZE'
PROGRAM = """
from masklearn.io import compiled
compiled.keep()
import jax, logging
logging.basicConfig(level='DEBUG')
jax.jit(lambda x: x * 3 + 1)(2.0)
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
  """A user who has set nothing, and whose cache is empty."""
  for name in NAMES:
    monkeypatch.setenv(name, '')  # so that it is as before in the end
    monkeypatch.delenv(name)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


@pytest.mark.slow
def test_a_second_process_finds_what_the_first_has_compiled(tmp_path):
  """In the user's cache, without a word on stdout."""
  environment = os.environ | {'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
  said = [
    subprocess.run(
      [sys.executable, '-c', PROGRAM],
      env=environment, capture_output=True, text=True, check=True,
    ).stderr
    for _ in range(2)
  ]  # fmt: skip
  hits = ['cache hit' in text for text in said]
  assert hits == [False, True]
  assert list((tmp_path / 'masklearn').glob('programs-*/*-cache'))


def test_what_the_user_has_set_is_left_alone(monkeypatch, tmp_path):
  """And nothing is made."""
  monkeypatch.setenv(NAMES[0], 'mine')
  compiled.keep()
  assert os.environ[NAMES[0]] == 'mine'
  assert NAMES[1] not in os.environ
  assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_nothing_is_kept(monkeypatch, tmp_path):
  """Such as below a file."""
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  compiled.keep()
  assert NAMES[0] not in os.environ


def test_each_kind_of_processor_has_a_directory_of_its_own(monkeypatch):
  """Where the system does not say its kind, there is one."""
  kinds = []
  for said in ('flags: sse avx', 'flags: sse', None):

    def read(path, said=said):
      if said is None:
        raise FileNotFoundError
      return f'processor: 0\n{said}\n'

    monkeypatch.setattr(pathlib.Path, 'read_text', read)
    kinds.append(compiled.directory())
  assert len(set(kinds)) == 3
