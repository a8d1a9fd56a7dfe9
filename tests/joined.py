"""What processes of one job do in a test: they train, validate, save and hand over.

python -m tests.joined DIRECTORY
"""

import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn.io import hosts
from masklearn.io.progress import Progress
from masklearn.study import stage
from masklearn.training import loop, mesh, steps
from masklearn.training.context import StageContext
from masklearn.types import InputError

STEPS, ROWS = 12, 4


def train(directory):
  """A stage of twelve steps; weights are split, and so are rows."""
  layout = mesh.make_layout(1, jax.device_count())
  shapes = {'fc1': {'kernel': jax.ShapeDtypeStruct((8, 3), np.float32)}}
  tx = optax.adamw(0.1)

  def loss(params, key, batch):
    noise = jax.random.normal(key, (8, 3))
    out = batch @ (params['fc1']['kernel'] + 0.1 * noise)
    return (out**2).mean() - out.mean(), {'sum': batch.sum()}

  def first():
    return layout.init(lambda key: {'fc1': {'kernel': jax.random.normal(key, (8, 3))}},
                       jax.random.key(0))  # fmt: skip

  def batch_at(i):
    time.sleep(0.1)
    rows = np.random.default_rng(i).normal(size=(ROWS, 8)).astype(np.float32)
    return layout.batch(lambda own: rows[own], ROWS)

  measured = layout.jit_whole(lambda p: (jnp.sin(5 * p['fc1']['kernel'])).sum())
  progress = Progress()
  progress.together = True
  context = StageContext(
    directory, 'test', progress, save_every=4, seed=0, layout=layout
  )
  done = stage.finished(directory, 'params')
  if done:
    return done
  result = loop.run(
    layout.jit_step(steps.make_step(loss, tx)),
    steps.begin(steps.Start(shapes, first), tx),
    batch_at,
    jax.random.key(1),
    context,
    steps=STEPS,
    validate=lambda state: {'score': float(measured(state.params))},
    validate_every=3,
    log_every=3,
  )
  best = layout.place(result.state.params)
  done = {'seconds': result.seconds, 'score': result.score}
  return stage.finish(directory, done, 'params', best)


def main(directory):
  """Trains in a directory; the exit codes are those of a command."""
  directory.mkdir(exist_ok=True)
  hosts.start(0)
  try:
    with hosts.losses():
      order = hosts.in_turn(lambda: jax.process_index())
      assert order == jax.process_index()
      assert hosts.agree(f'{order} ü') == '0 ü'
      _refused_together()
      train(directory)
  except KeyboardInterrupt:
    sys.exit(130)


def _refused_together():
  """What the first cannot read is refused in all, in its words."""

  def fails():
    raise InputError(f'process {jax.process_index()} says no')

  with pytest.raises(InputError, match='process 0 says no'):
    hosts.told(fails)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
