"""Where the parameters of large models lie on a mesh of 16 x 16 devices.

python -m tests.shardings   writes tests/golden/shardings_*.txt, which a test compares
"""

import math
import pathlib

import jax
import optax
from jax.sharding import AbstractMesh, AxisType

from benchmarks import model_sizes
from masklearn import models
from masklearn.training import mesh, steps

GOLDEN = pathlib.Path(__file__).parent / 'golden'
MODELS = {'bart_large': ('bart', 'large'), 't5_xl': ('t5', 'xl')}


def table(family: str, size: str) -> str:
  """A line for each parameter of the first layers: name, shape, and axes that share it.

  The last line has the bytes of parameters, moments and step on each device.
  """
  axes = AbstractMesh((16, 16), mesh.AXES, axis_types=(AxisType.Auto,) * 2)
  layout = mesh.Layout(axes, 2**20)
  params = models.param_shapes(model_sizes.make_model(family, size))
  state = jax.eval_shape(lambda p: steps.init_state(p, optax.adamw(1e-3)), params)
  lines, held = [], 0
  placed = layout.shapes(state)
  for path, x in jax.tree.leaves_with_path(placed):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    held += math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize
    first = 'layers_' not in name or 'layers_0' in name
    if name.startswith('params/') and first:
      spec = ', '.join(axis or '-' for axis in x.sharding.spec) or 'everywhere'
      lines.append(f'{name.removeprefix("params/"):50} {x.shape!s:14} {spec}\n')
  return ''.join(lines) + f'{held / 2**20:.1f} MiB on each device\n'


def main():
  """Writes the tables."""
  for name, model in MODELS.items():
    (GOLDEN / f'shardings_{name}.txt').write_text(table(*model))


if __name__ == '__main__':
  main()
