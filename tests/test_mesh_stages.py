"""A stage on a mesh takes the steps that it takes on one device."""

import functools

import chex
import jax
import numpy as np
import pytest

from masklearn import data, models, policies
from masklearn.policies.capacity import word_capacity
from masklearn.study import stage, supervise
from masklearn.study.pretrain import Denoising, Objective, make_work
from masklearn.training import mesh, steps
from masklearn.types import Answers
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


def make_passages():
  """32 passages of other lengths, with tokens that the model has."""
  passages = make_batch([[1] * size for size in (9, 12, 7, 11, 10, 8, 12, 9)] * 4)
  return passages._replace(tokens=passages.tokens % 100 + 10)


def trained(layout, saving, count=2):
  """The parameters after some steps of pre-training, and what was logged."""
  passages = make_passages()
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


def supervised(layout, count=3):
  """The parameters of a policy after some steps in which it is shown answers."""
  policy = policies.POLICIES['supervised'](
    0.3, 120, longest=3, width=8, embedding=16, kernel_size=3, learn_words=True
  )
  theta = noise_like(jax.eval_shape(policy.init, jax.random.key(0)), 0.3, 0)
  theta = jax.tree.map(lambda x: x.astype('float64'), theta)
  tx, step, _ = supervise.compiled(policy, 1e-2, count, 0.01, layout)
  state = layout.place(steps.init_state(theta, tx))
  rng = np.random.default_rng(0)
  start, length = (rng.integers(*bounds, (32, 2)) for bounds in ((0, 5), (1, 3)))
  weight = np.tile([0.75, 0.25], (32, 1))
  answers = Answers(
    make_passages(), start.astype(np.int32), length.astype(np.int32), weight
  )
  batch = layout.batch(lambda own: data.take(answers, np.arange(32)[own]), 32)
  for _ in range(count):
    state, _ = step(state, jax.random.key(0), batch)
  return jax.device_get(state.params)


@pytest.mark.parametrize(
  ('data_axis', 'fsdp'), [(2, 4), slow_case(8, 1), slow_case(1, 8)]
)
def test_supervision_on_a_mesh_is_that_on_one_device(data_axis, fsdp):
  """A policy whose network computes in float64, too."""
  found = supervised(mesh.make_layout(data_axis, fsdp))
  chex.assert_trees_all_close(found, supervised(mesh.one_device()), atol=1e-9)
