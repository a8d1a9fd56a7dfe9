"""A study on several meshes, compared with the same study on one device.

python -m tests.meshes 8x1 2x4 1x8

Packed, in chunks and with gradient accumulation; what devices share has no smallest
size, so that small models are split as large ones are. Prints how far parameters are
apart, and whether the answers are the same.
"""

import os
import pathlib
import sys
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('XLA_FLAGS', '--xla_force_host_platform_device_count=8')

import jax
import numpy as np

from configs import world
from masklearn import study
from masklearn.io import checkpoint, files
from tests.kills import results

FLAGS = {
  'corpus': {'name': 'people', 'size': 12, 'vocabulary': 300, 'longest': 120},
  'task': {'names': 'habits', 'size': 12},
  'policy': {'names': 'none,original,learned,supervised'},
  'base': {'batch_size': 32, 'updates': 3},
  'learn': {'episodes': 8, 'candidates': 4},
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


def config_of(data, fsdp):
  """The config of the study on a mesh."""
  config = world.get_config('smoke')
  for name, changes in FLAGS.items():
    config[name].update(changes)
  config.learn.warmup.batch_size = 8
  config.mesh.update(data=data, fsdp=fsdp, smallest=0)
  return config


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
    study.run_study(config_of(1, 1), folder / '1x1')
    for shape in shapes:
      data, fsdp = map(int, shape.split('x'))
      study.run_study(config_of(data, fsdp), folder / shape)
      far, other = compare(folder / '1x1', folder / shape)
      for name, value in far.items():
        print(f'{shape:>5} {value:9.2e} {name}')
      print(f'{shape:>5} {", ".join(other) or "answers and numbers are the same"}')
      failed |= bool(other) or max(far.values()) > 1e-5
  sys.exit(failed)


if __name__ == '__main__':
  main(sys.argv[1:] or ['8x1', '2x4', '1x8'])
