"""A study that is killed at random times, again and again, until it is finished.

python -m tests.kills --kills=30 --terms=10 --config=configs/world.py:smoke

Runs the study once without an interruption and once with all of them, in temporary
directories; prints where each comes, and at the end whether the rows are the same.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from masklearn.io import files

ROOT = pathlib.Path(__file__).parents[1]
# Seconds to end after SIGTERM: what is being compiled is waited for, on a busy machine.
GRACE = 300
CLOCK = 'seconds', 'learning_seconds', 'commit'  # what no two runs have in common


def results(workdir):
  """The rows of a study without what depends on the clock or on an edited tree."""
  rows = files.read_jsonl(workdir / 'results.jsonl')
  return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def start(flags, workdir, cache):
  """The study as a user starts it, with compiled programs kept for the next start."""
  environment = os.environ | {
    'JAX_COMPILATION_CACHE_DIR': str(cache),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.2',
    'PYTHONPATH': str(ROOT),
  }
  return subprocess.Popen(
    [sys.executable, '-m', 'experiments.study', *flags, f'--workdir={workdir}'],
    cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
  )  # fmt: skip


def forked(flags, workdir, cache):
  """The same in a process that has nothing left to load, so that more can be killed."""
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload(['experiments.study', 'masklearn.study.run'])
  process = context.Process(target=_work, args=(flags, workdir, str(cache)))
  process.start()
  return process


def _work(flags, workdir, cache):
  import jax

  from experiments import app, study

  jax.config.update('jax_compilation_cache_dir', cache)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.2)
  with open(os.devnull, 'w') as nowhere, open(f'{workdir}.txt', 'a') as said:
    os.dup2(nowhere.fileno(), 1)
    os.dup2(said.fileno(), 2)
  app.run(study.main, ['study', *flags, f'--workdir={workdir}'])


def finish(flags, workdir, cache):
  """Seconds of a run to the end."""
  began = time.monotonic()
  process = start(flags, workdir, cache)
  _, said = process.communicate(timeout=3600)
  assert process.returncode == 0, said.decode()
  return time.monotonic() - began


def interrupted(flags, workdir, cache, window, numbers, seed=0):
  """Sends one signal after the other, then lets the study finish.

  A study that is finished before all were sent begins again in another directory.

  Args:
    flags: of the study.
    workdir: to be made, with a number behind its name.
    cache: of compiled programs.
    window: seconds, of which each run gets some, at random: behind its first file, or,
      one in five, behind its start.
    numbers: of the signals.
    seed: of the times.

  Returns:
    The directories; the place of each interruption, [(signal, folder of the last
    file)]; and the longest time that SIGTERM took.
  """
  rng, places, slowest = random.Random(seed), [], 0.0
  workdirs = [workdir.with_name(f'{workdir.name}-0')]
  numbers = list(numbers)
  while numbers:
    process = forked(flags, workdirs[-1], cache)
    if rng.random() > 0.2:
      _wait_for_a_file(workdirs[-1], process)
    process.join(rng.uniform(0, window))
    if process.exitcode is not None:
      assert process.exitcode == 0, _said(workdirs[-1])
      workdirs.append(workdir.with_name(f'{workdir.name}-{len(workdirs)}'))
      continue
    number = numbers.pop()
    places.append((number, _latest(workdirs[-1])[1]))
    print(f'{number.name:>8} {places[-1][1]}', flush=True)
    os.kill(process.pid, number)
    began = time.monotonic()
    process.join(600)
    if number == signal.SIGTERM:
      slowest = max(slowest, time.monotonic() - began)
      assert process.exitcode in (0, 130, -signal.SIGTERM), _said(workdirs[-1])
  finish(flags, workdirs[-1], cache)
  return workdirs, places, slowest


def _said(workdir):
  """What the runs in a directory have printed."""
  return pathlib.Path(f'{workdir}.txt').read_text()


def _wait_for_a_file(workdir, process):
  """Waits until a study, which may have gone on in its directory, writes something."""
  before = _latest(workdir)
  while process.exitcode is None and _latest(workdir) == before:
    time.sleep(0.05)


def check_whole(workdir):
  """Nothing is half written where a study is finished."""
  for path in workdir.rglob('*'):
    assert 'partial' not in path.name
    if path.suffix == '.json':
      json.loads(path.read_text(encoding='utf-8'))


def _latest(workdir):
  """When the newest file of a study was written, and the folder in which it lies."""
  found = []
  for path in workdir.rglob('*'):
    try:
      place = path.relative_to(workdir).parts[0]
      if not place.startswith('.'):  # nor the lock, which is the first of all
        found.append((path.stat().st_mtime_ns, place))
    except FileNotFoundError:  # replaced or removed in this moment
      continue
  return max(found, default=(0, 'nothing'))


def main():
  """Kills a study as the command line says."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--kills', type=int, default=30)
  parser.add_argument('--terms', type=int, default=10)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--keep', type=pathlib.Path, help='gets directories that differ')
  options, flags = parser.parse_known_args()
  numbers = [signal.SIGKILL] * options.kills + [signal.SIGTERM] * options.terms
  random.Random(options.seed).shuffle(numbers)
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    cache = folder / 'cache'
    finish(flags, folder / 'first', cache)
    seconds = finish(flags, folder / 'whole', cache)
    window = max(5, 2 * seconds / len(numbers))
    work = flags, folder / 'killed', cache, window, numbers, options.seed
    workdirs, places, slowest = interrupted(*work)
    whole = results(folder / 'whole')
    apart = [path for path in workdirs if results(path) != whole]
    for path in workdirs:
      check_whole(path)
    for path in apart:
      _print_differences(results(path), whole)
      if options.keep:
        shutil.copytree(path, options.keep / path.name)
    if apart and options.keep:
      shutil.copytree(folder / 'whole', options.keep / 'whole')
  print('In all:')
  counts = collections.Counter((number.name, place) for number, place in places)
  for (name, place), count in sorted(counts.items()):
    print(f'{name:>8} {place:12} {count}')
  print(
    f'{len(places)} interruptions, SIGTERM ended within {slowest:.1f} s; rows', end=' '
  )
  print('DIFFER' if apart else 'are the same')
  sys.exit(bool(apart))


def _print_differences(found, wanted):
  """What a row has in another way, with its values."""
  print(f'{len(found)} rows where {len(wanted)} are wanted')
  for row, other in zip(found, wanted, strict=False):
    where = ' '.join(str(row[key]) for key in ('task', 'policy', 'seed', 'split'))
    for key in sorted(row.keys() | other.keys()):
      if row.get(key) != other.get(key):
        print(f'{where}: {key} is {row.get(key)}, not {other.get(key)}')


if __name__ == '__main__':
  main()
