"""A stage on a mesh takes the steps that it takes on one device."""

import functools

import chex
import jax
import numpy as np
import pytest

from masklearn import data, models, policies
from masklearn.policies.capacity import word_capacity
from masklearn.study import stage
from masklearn.study.pretrain import Denoising, Objective, make_work
from masklearn.training import mesh, steps
from tests.small import IDS, make_batch, noise_like, slow_case

# In float32, Adam makes steps of what is zero but for rounding, as the gradient of the
# biases of keys is, and those are others on every mesh.
pytestmark = pytest.mark.usefixtures('float64')

PACKED = stage.Saving(packing=40, chunk=5, gradient_accumulation=2, row_multiple=16)
SIZES = {
  'width': 16, 'encoder_layers': 1, 'decoder_layers': 1, 'encoder_heads': 2,
  'decoder_heads': 2, 'encoder_ffn': 24, 'decoder_ffn': 24, 'max_positions': 64,
  'dropout': 0.1, 'dtype': 'float64',
}  # fmt: skip


@functools.cache
def make_model():
  """A model whose matrices eight devices can share."""
  return models.make_model('bart', 'tiny', 120, IDS, **SIZES)


def trained(layout, saving, count=2):
  """The parameters after some steps of pre-training, and what was logged."""
  passages = make_batch([[1] * size for size in (9, 12, 7, 11, 10, 8, 12, 9)] * 4)
  passages = passages._replace(tokens=passages.tokens % 100 + 10)
  policy = policies.POLICIES['random'](0.3)
  objective = Objective(policy, {}, 'spans', word_capacity(passages, 0.3, IDS))
  training = Denoising(count, 32, 1e-2, 0.01)
  model = make_model()
  work = make_work(model, IDS, passages, objective, training, saving, 0, layout)
  params = noise_like(models.param_shapes(model), 0.3, 0)
  state = layout.place(steps.init_state(params, work.tx))
  logged = []
  for i in range(count):
    index = work.order[i]
    texts = layout.batch(lambda own: data.take(passages, index[own]), len(index))  # noqa: B023
    used = layout.split(index >= 0, layout.rows)
    made = work.corrupted({}, jax.random.fold_in(jax.random.key(1), i), texts)
    state, metrics = work.step(state, jax.random.key(2), work.together(used, *made))
    logged.append(jax.device_get(metrics))
  assert mesh.count() == 8
  return jax.device_get(state.params), logged


@pytest.mark.parametrize(
  ('data_axis', 'fsdp', 'saving'),
  [
    (2, 4, stage.Saving()),
    slow_case(2, 4, PACKED),
    slow_case(8, 1, PACKED),
    slow_case(1, 8, PACKED),
  ],
)
def test_pretraining_on_a_mesh_is_that_on_one_device(data_axis, fsdp, saving):
  """Plain; and packed, in chunks and in parts: the same draws, dropout and steps."""
  layout = mesh.make_layout(data_axis, fsdp)
  params, logged = trained(layout, saving)
  expected, wanted = trained(mesh.one_device(), saving)
  chex.assert_trees_all_close(params, expected, atol=1e-9)
  for one, other in zip(logged, wanted, strict=True):
    for name, value in one.items():
      np.testing.assert_allclose(value, other[name], rtol=1e-6, err_msg=name)
