"""A study on several meshes and processes, compared with the same on one device.

python -m tests.meshes 8x1 2x4 1x8 2x1@2 2x2@4

In float64, as Adam makes whole steps of gradients that are nothing but rounding;
packed, in chunks and with gradient accumulation. What devices share has no smallest
size, so that small models are split as large ones are. `2x2@4` is a mesh of 2 x 2
devices, which four processes share. Prints how far parameters are apart, and whether
the answers are the same.
"""

import pathlib
import sys
import tempfile

import jax
import numpy as np

from masklearn.io import checkpoint, files
from tests import processes
from tests.kills import results

FLAGS = {
  'corpus': {'name': 'people', 'size': 12, 'vocabulary': 300, 'longest': 120},
  'task': {'names': 'habits', 'size': 12},
  'policy': {'names': 'none,original,learned,supervised'},
  'model': {'dtype': 'float64'},
  'base': {'batch_size': 32, 'updates': 3},
  'learn': {'episodes': 8, 'candidates': 4, 'warmup.batch_size': 8},
  'supervised': {'batch_size': 8, 'updates': 3},
  'pretrain': {'batch_size': 32, 'updates': 3},
  'finetune': {'batch_size': 16, 'updates': 3, 'validate_every': 3},
  'saving': {
    'packing': 250,
    'chunk': 7,
    'gradient_accumulation': 2,
    'row_multiple': 16,
  },
}


def run(shape, workdir, cache):
  """Runs the study on a mesh `DATAxFSDP[@PROCESSES]`."""
  mesh, _, count = shape.partition('@')
  data, fsdp = map(int, mesh.split('x'))
  changes = FLAGS | {'mesh': {'data': data, 'fsdp': fsdp, 'smallest': 0}}
  flags = [
    f'--config.{group}.{name}={value}'
    for group, fields in changes.items()
    for name, value in fields.items()
  ]
  count = int(count or 1)
  command = ['-m', 'experiments.study', '--config=configs/world.py:smoke', *flags]
  processes.finish(
    count,
    [*command, f'--workdir={workdir}'],
    devices=data * fsdp // count,
    JAX_ENABLE_X64='1',
    JAX_COMPILATION_CACHE_DIR=str(cache),
  )


def parameters(workdir):
  """The parameters that the stages of a study have left, by directory."""
  found = {}
  for name in ('params', 'theta'):
    for path in sorted(workdir.rglob(name)):
      found[str(path.relative_to(workdir))] = checkpoint.restore(
        path, checkpoint.shapes(path)
      )
  return found


def apart(one, other):
  """The largest difference of two trees, but for the biases of keys.

  Their gradient is zero but for rounding, of which Adam makes steps as of any other.
  """
  leaves = zip(jax.tree.leaves_with_path(one), jax.tree.leaves(other), strict=True)
  return max(
    float(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0))
    for (path, a), b in leaves
    if not jax.tree_util.keystr(path, simple=True, separator='/').endswith(
      'k_proj/bias'
    )
  )


def compare(first, second):
  """How far two work directories are apart: by directory, and what differs."""
  wanted, found = parameters(first), parameters(second)
  assert wanted.keys() == found.keys()
  far = {name: apart(tree, found[name]) for name, tree in wanted.items()}
  answers = [path.relative_to(first) for path in first.rglob('predictions.jsonl')]
  other = [
    str(path)
    for path in answers
    if files.read_jsonl(first / path) != files.read_jsonl(second / path)
  ]
  for key in ('em', 'f1', 'masked_words'):
    rows = [[row[key] for row in results(path)] for path in (first, second)]
    if not np.allclose(*rows, rtol=1e-5):
      other.append(key)
  return far, other


def main(shapes):
  """Runs the study on each mesh, and prints the largest differences."""
  with tempfile.TemporaryDirectory() as folder:
    folder, failed = pathlib.Path(folder), False
    run('1x1', folder / '1x1', folder / 'cache')
    for shape in shapes:
      run(shape, folder / shape, folder / 'cache')
      far, other = compare(folder / '1x1', folder / shape)
      for name, value in far.items():
        print(f'{shape:>7} {value:9.2e} {name}')
      said = ', '.join(other) or 'answers and numbers are the same'
      print(f'{shape:>7} {said}', flush=True)
      failed |= bool(other) or max(far.values()) > 1e-5
  sys.exit(failed)


if __name__ == '__main__':
  main(sys.argv[1:] or ['8x1', '2x4', '1x8', '2x1@2', '2x2@4'])
