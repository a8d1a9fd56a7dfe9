"""The meta-gradient in bergson's trainer (MAGIC), which runs in its own environment.

bergson replays the steps from checkpoints and goes back through one at a time, reverse
mode over reverse mode. It asks for versions of its own of many libraries, so it is
installed apart, and `PEER_PYTHON` names the interpreter that has it.

References:
  Ilyas and Engstrom, MAGIC: Near-Optimal Data Attribution for Deep Learning (2025),
  arXiv 2504.16430. Engstrom et al., Optimizing ML Training with Metagradient Descent
  (2025), arXiv 2503.13751.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import weakref
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from benchmarks import bilevel, model_sizes
from masklearn.types import Corrupted, InputError

ROOT = pathlib.Path(__file__).parents[1]
VARIABLE, DEFAULT = 'PEER_PYTHON', ROOT / '.venv-peer' / 'bin' / 'python'
INSTALL = 'python3 -m venv .venv-peer && .venv-peer/bin/pip install bergson==2.5.1'
# Peer -> into how many parts a batch is split, one of which is in memory at a time.
PARTS = {'bergson': 1, 'bergson_halves': 2}
# The fastest: no step is taken twice. What it has more on disk is not in memory.
SAVE_MODE = 'all'


def python() -> str:
  """The interpreter that has bergson.

  Raises:
    InputError: there is none, or it has no bergson.
  """
  found = os.environ.get(VARIABLE) or str(DEFAULT)
  look = "import importlib.util as i; print(i.find_spec('bergson') is not None)"
  with contextlib.suppress(OSError):
    asked = subprocess.run([found, '-c', look], capture_output=True, text=True)
    if asked.stdout.strip() == 'True':
      return found
  raise InputError(
    f'This peer needs an interpreter that has bergson, and {found} has none; '
    f'make one, {INSTALL}, or name it in {VARIABLE}.'
  )


class Steps(NamedTuple):
  """The inputs of K steps."""

  kind: str  # of the decisions: 'shares' that are hidden, or 'weights' in the loss
  decisions: np.ndarray  # [K, P, L]
  input_ids: np.ndarray  # [K, P, L]
  decoder_input_ids: np.ndarray  # [K, P, L]
  labels: np.ndarray  # [K, P, L]


class Worker:
  """A process that computes the gradient by the decisions once at each call."""

  def __init__(
    self,
    peer: str,
    pair: model_sizes.Pair,
    dtype: str,
    optimizer: dict[str, Any],
    steps: Steps,
    questions: dict[str, Corrupted],
  ):
    """Waits until it is ready.

    Args:
      peer: a key of `PARTS`.
      pair: the model.
      dtype: of everything that is no token.
      optimizer: `name` and arguments of one of TorchOpt, and for moments that are
        not zero, `nu` and `count`.
      steps: on what to train.
      questions: `query` of the outer loss, and `support` of a step before it, if any.
    """
    arrays = {f'params/{name}': x for name, x in pair.tensors.items()}
    inputs = {name: x for name, x in steps._asdict().items() if name != 'kind'}
    arrays |= {f'steps/{name}': x for name, x in inputs.items()}
    for part, one in questions.items():
      arrays[f'{part}/input_ids'] = one.source
      arrays[f'{part}/decoder_input_ids'] = one.decoder_input
      arrays[f'{part}/labels'] = one.target
    work = {'config': pair.config, 'dtype': dtype, 'optimizer': optimizer}
    work |= {'kind': steps.kind, 'mask': bilevel.IDS.mask}
    work['trainer'] = {'save_mode': SAVE_MODE, 'grad_accum_steps': PARTS[peer]}
    command = [python(), str(ROOT / 'benchmarks' / 'magic_worker.py')]
    folder = tempfile.TemporaryDirectory()
    self._directory = pathlib.Path(folder.name)
    (self._directory / 'work.json').write_text(json.dumps(work))
    arrays = {name: np.ascontiguousarray(x) for name, x in arrays.items()}
    safetensors.numpy.save_file(arrays, self._directory / 'work.safetensors')
    with (self._directory / 'log').open('w') as log:
      self._process = subprocess.Popen(
        [*command, folder.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
      )
    self.process = self._process.pid
    self.close = weakref.finalize(self, _end, self._process, folder)
    self._wait('ready')

  def __call__(self) -> np.ndarray:
    """The gradient, [K, P, L]."""
    path = self._directory / 'gradient.npy'
    with contextlib.suppress(BrokenPipeError):  # then it does not answer, either
      print(path, file=self._process.stdin, flush=True)
    self._wait('done')
    return np.load(path)

  def _wait(self, answer):
    for line in self._process.stdout:
      if line.rstrip('\n') == answer:  # others are what libraries print
        return
    lines = (self._directory / 'log').read_text().splitlines()
    said = [line for line in lines if line and '%|' not in line]  # no progress bars
    last = said[-1] if said else 'nothing'
    raise InputError(f'The process of bergson has ended; it said: {last}')


def _end(process, folder):
  with contextlib.suppress(BrokenPipeError):
    process.stdin.close()
  process.wait()
  process.stdout.close()
  folder.cleanup()


def shares(peer: str, pair: model_sizes.Pair, work: bilevel.Work, dtype: str) -> Worker:
  """The work of the suite `meta`; <s> and </s> are hidden by nothing, but count."""
  sgd = {'name': 'sgd', 'lr': bilevel.RATE}
  whole, shifted = work.whole
  decisions = np.pad(work.shares, ((0, 0), (0, 0), (1, 1)))
  steps = Steps('shares', decisions, whole, shifted, whole)
  questions = {'support': work.support, 'query': work.query}
  return Worker(peer, pair, dtype, sgd, steps, questions)
