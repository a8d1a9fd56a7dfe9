"""Says what a device is good for, in one command: speed, digits and memory, as JSON.

python -m experiments.device_check --size=base > check.json

Each part runs in a process of its own, and what fails says so in its place:

  benchmarks  cases of `experiments.benchmark`, beside peers where the extra `parity` is
  precision   influences and gains in fewer digits, compared with float64's
  memory      what XLA plans for a training step, and the most that the device held
  learning    seconds of a few updates of the demo's policy

`--seconds` ends it all, by default after eight minutes; `--study` is the config whose
policy is learned. The parts run alone with `--part=..`.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from experiments import app
from masklearn.io import provenance
from masklearn.io.lookup import lookup
from masklearn.io.visible import one_line
from masklearn.types import InputError

CASES = (
  ('train', 'bart_full'),
  ('units', 'K1-fast'),
  ('meta', 'K1-low'),
  ('generate', 'bart_greedy'),
  ('mask', 't5_mask'),
)
# Updates that are timed, behind those that compile.
UPDATES = {'base': 20, 'learn.warmup': 20, 'learn': 30}


def main(size='small', study='configs/world.py', seconds='480', part=''):
  """Prints the JSON of all parts, or that of one."""
  if part:
    print(json.dumps(lookup(PARTS, part, 'part')(size, study)))
    return
  if not seconds.isdigit():
    raise InputError(f'--seconds must be a whole number, got {seconds!r:.40}')
  end = time.monotonic() + int(seconds)
  found = {'size': size, 'commit': provenance.commit()}
  own = ('-m', 'experiments.device_check', f'--size={size}', f'--study={study}')
  commands = {name: (*own, f'--part={name}') for name in PARTS}
  for suite, case in CASES:
    flags = f'--suite={suite}', f'--case={case}', f'--size={size}', '--repeats=3'
    commands[f'{suite} {case}'] = ('-m', 'experiments.benchmark', *flags)
  for name, command in commands.items():
    print(name, file=sys.stderr)
    found[name] = run(command, end - time.monotonic())
  print(json.dumps(found, indent=1))


def run(command, seconds):
  """The JSON that a command prints, or why there is none."""
  try:
    done = subprocess.run(
      [sys.executable, *command], capture_output=True, text=True,
      timeout=max(seconds, 0),
    )  # fmt: skip
  except subprocess.TimeoutExpired:
    return {'error': 'no time was left'}
  if done.returncode:
    last = done.stderr.strip().split('\n')[-1]
    return {'error': one_line(last)[:300]}
  return json.loads(done.stdout.strip().split('\n')[-1])


def device(size, study):
  """What the device is."""
  del size, study
  import jax

  first = jax.devices()[0]
  return {
    'kind': first.device_kind,
    'platform': first.platform,
    'count': jax.device_count(),
    'jax': jax.__version__,
  }


def precision(size, study):
  """See `benchmarks.precision`."""
  del study
  from benchmarks import precision as digits

  return digits.measure(size)


def memory(size, study):
  """Bytes of a training step: as XLA plans them, and at their peak."""
  del study
  from benchmarks import memory_use

  return memory_use.checked(size, rows=16)


def learning(size, study):
  """Seconds of an update of the policy, and of compiling, from its history."""
  del size
  from masklearn.io import files

  flags = [f'--config.{name}.updates={count}' for name, count in UPDATES.items()]
  with tempfile.TemporaryDirectory() as folder:
    command = '-m', 'experiments.learn_policy', f'--config={study}', *flags
    subprocess.run(
      [sys.executable, *command, f'--workdir={folder}/run'], check=True,
      stdout=sys.stderr,
    )  # fmt: skip
    paths = pathlib.Path(folder).glob('run/policies/*/*/history.jsonl')
    rows = [row for path in paths for row in files.read_jsonl(path) if 'loss' in row]
  return {
    'seconds_compiling': sum(row['seconds_compiling'] for row in rows),
    'seconds_an_update': rows[-1]['seconds_steps']
    / (rows[-1]['step'] - rows[-2]['step']),
  }


PARTS = {
  'device': device,
  'precision': precision,
  'memory': memory,
  'learning': learning,
}


if __name__ == '__main__':
  app.run(main)
