"""Compares us with a peer on the same work: agreement first, then time and memory.

python -m experiments.benchmark --suite=generate --size=base
python -m experiments.benchmark --suite=train --case=bart_full --size=small

Suites: train, generate, mask, meta, weights, units. Sizes: tiny, small, base. A line of
JSON for each case goes to stdout: seconds are medians of repeats in turn, bytes what
each side adds to the peak of a process of its own. `mask` compares with numpy, `meta`
with `higher` or (--peer) `torchopt`, `bergson`, `bergson_halves` (half a batch at a
time) or `reverse`, our own reverse mode over reverse mode, `weights` with the last
three, `units` a step of policy learning with one plain gradient, the others with
PyTorch; the extra `parity` installs PyTorch, `higher` and TorchOpt. bergson runs in an
environment of its own, .venv-peer or that of the interpreter that PEER_PYTHON names.
"""

import json
import subprocess
import sys

import benchmarks
from benchmarks import magic
from benchmarks.case import SIDES, compare, peak_bytes, whole
from benchmarks.model_sizes import SIZES
from experiments import app
from masklearn.io import provenance
from masklearn.io.lookup import lookup
from masklearn.types import InputError


def main(suite, size='small', case='', peer='', repeats='5', weigh=''):
  """Measures every case of a suite; `weigh` is for the processes that it starts."""
  cases = lookup(benchmarks.SUITES, suite, 'suite')
  lookup(dict.fromkeys(SIZES), size, 'size')
  peer = peer or benchmarks.PEERS[suite][0]
  lookup(dict.fromkeys(benchmarks.PEERS[suite]), peer, 'peer')
  builds = {case: lookup(cases, case, 'case')} if case else cases
  repeats = whole('repeats', repeats)
  if peer in magic.PARTS:
    magic.python()  # before our side is compiled
  if weigh:
    lookup(dict.fromkeys(SIDES), weigh, 'weigh')
  which = {'peer': peer} if len(benchmarks.PEERS[suite]) > 1 else {}
  try:
    for name, build in builds.items():
      if weigh:
        print(peak_bytes(build(size, (weigh,), **which), weigh))
        continue
      print(f'{suite} {name} {size}', file=sys.stderr)
      # Weighed first: beside a process that has both sides in memory there is less.
      peaks = [weigh_in_a_process(suite, size, name, peer, side) for side in SIDES]
      times = compare(build(size, SIDES, **which), repeats)
      line = {'suite': suite, 'size': size, 'case': name, 'peer': peer, **times}
      line |= {'peak_bytes': peaks[0], 'peer_peak_bytes': peaks[1]}
      line |= {'memory_ratio': peaks[0] / max(peaks[1], 1)}
      print(json.dumps(line | {'commit': provenance.commit()}), flush=True)
  except ModuleNotFoundError as error:
    raise InputError(
      f'--suite={suite} compares with {peer}, and {error.name} is not installed; the '
      'extra `parity` brings it: pip install -e ".[parity]".'
    ) from error


def weigh_in_a_process(suite, size, case, peer, side) -> int:
  """Bytes that a side adds to the peak of a process that does nothing else."""
  flags = f'--suite={suite} --size={size} --case={case} --peer={peer} --weigh={side}'
  command = [sys.executable, '-m', 'experiments.benchmark', *flags.split()]
  try:
    return int(subprocess.check_output(command))
  except subprocess.CalledProcessError as error:  # which has said why
    raise InputError(
      f'{case} of {suite} could not be weighed: its process for {side!r} ended with '
      f'{error.returncode}.'
    ) from error


if __name__ == '__main__':
  app.run(main, huge_pages=True)
