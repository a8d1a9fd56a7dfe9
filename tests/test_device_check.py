"""One command about a device: every part says something, whatever fails."""

import json
import time

import pytest

from benchmarks import memory_use, precision
from experiments import device_check
from tests.runs import command


def test_a_part_that_fails_or_takes_too_long_says_so():
  """The others go on; what a program prints before its JSON is not read."""
  said = device_check.run(('-c', 'print("hello"); print(\'{"a": 1}\')'), 60)
  assert said == {'a': 1}
  wrong = 'import sys; print("error: no <b>GPU</b>", file=sys.stderr); sys.exit(2)'
  assert device_check.run(('-c', wrong), 60) == {'error': 'error: no <b>GPU</b>'}
  began = time.monotonic()
  late = device_check.run(('-c', 'import time; time.sleep(60)'), 0.5)
  assert late == {'error': 'no time was left'}
  assert time.monotonic() - began < 30


def test_every_part_is_asked_in_turn(monkeypatch, capsys):
  """And each benchmark; one JSON on stdout."""
  asked = []
  monkeypatch.setattr(device_check, 'run', lambda flags, left: asked.append(flags) or 1)
  assert command(device_check.main, '--size=tiny', '--seconds=9') == 0
  found = json.loads(capsys.readouterr().out)
  assert found.keys() > {*device_check.PARTS, 'train bart_full', 'units K1-fast'}
  assert len(asked) == len(device_check.PARTS) + len(device_check.CASES)
  assert all('--size=tiny' in flags for flags in asked)


@pytest.mark.parametrize('flag', ['--seconds=soon', '--part=memry'])
def test_mistakes_are_named(capsys, flag):
  """Exit code 2 and one line."""
  assert command(device_check.main, flag) == 2
  assert capsys.readouterr().err.startswith('error: ')


@pytest.mark.grid  # five meta-gradients to compile: minutes
def test_influences_in_fewer_digits_are_compared_with_those_in_float64():
  """On a processor float32 products are exact; half precision is near."""
  found = precision.measure('tiny')
  assert found.keys() == precision.VARIANTS.keys()
  exact = found['float32, highest']
  assert exact['cosine'] > 0.9999
  assert exact['gain_error'] < 1e-2
  assert all(abs(row['cosine']) <= 1 for row in found.values())
  assert found['bfloat16']['cosine'] < exact['cosine']


@pytest.mark.slow
def test_what_a_device_held_is_told_beside_what_was_planned():
  """A processor does not count."""
  found = memory_use.checked('tiny', 4)
  assert found['planned_bytes'] > 10**6
  assert found['peak_bytes'] is None
