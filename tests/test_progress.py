"""Requests to stop: the first is polite, the second ends the process."""

import os
import signal
import subprocess
import sys

import pytest

from masklearn.io.progress import Progress

# One long call that does not return to Python, as compiling does.
BUSY = """
import hashlib
from masklearn.io.progress import Progress
with Progress():
  print('ready', flush=True)
  hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)
"""


def test_a_signal_sets_stop_and_handlers_come_back():
  """What is asked afterwards, or goes on over items, raises."""
  numbers = signal.SIGINT, signal.SIGTERM
  before = [signal.getsignal(number) for number in numbers]
  with Progress() as progress:
    assert list(progress.until_stopped('ab')) == ['a', 'b']
    os.kill(os.getpid(), signal.SIGTERM)
    assert progress.stop.wait(10)
    for go_on in (progress.check, progress.until_stopped('ab').__next__):
      with pytest.raises(KeyboardInterrupt):
        go_on()
  assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process_at_once(number):
  """Also within a call that lasts; the shell's code, and a line on how to go on."""
  process = subprocess.Popen(
    [sys.executable, '-c', BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
  )
  process.stdout.readline()
  process.send_signal(number)
  assert process.stderr.readline().startswith(b'Stopping')
  process.send_signal(number)
  _, said = process.communicate(timeout=20)
  assert process.returncode == 130
  assert said.startswith(b'Ended at once')
