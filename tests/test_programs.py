"""The programs of a study can be compiled for what is not there."""

import functools

import jax
import pytest
from jax import export

from configs import world
from masklearn import models
from masklearn.study.programs import Programs
from masklearn.training import mesh
from tests.small import IDS

PLATFORMS = 'cpu', 'cuda', 'rocm', 'tpu'
NAMES = (
  'corruption', 'pre-training', 'fine-tuning', 'loss of questions', 'answers',
  'warm-up', 'probe', 'policy', 'supervision',
)  # fmt: skip


@functools.cache
def programs(layout):
  """Those of a small study that uses what saves memory."""
  c = world.get_config('smoke')
  c.corpus.longest = 12
  c.finetune.update(source_length=9, answer_length=4, batch_size=8)
  c.pretrain.batch_size = 8
  c.learn.update(episodes=4, fine_tune_steps=1)
  c.learn.warmup.batch_size = 4
  c.supervised.batch_size = 4
  c.saving.update(packing=20, chunk=6, gradient_accumulation=2)
  sizes = {'encoder_layers': 1, 'decoder_layers': 1, 'width': 8, 'max_positions': 64}
  heads = dict.fromkeys(('encoder_heads', 'decoder_heads'), 2)
  model = models.make_model('bart', 'tiny', 40, IDS, **sizes, **heads)
  return Programs(c, model, IDS, layout)


def test_every_stage_has_its_program():
  """And nothing else has one."""
  assert tuple(programs(mesh.one_device()).names()) == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_a_stage_can_be_exported_for_every_kind_of_device(name):
  """In one piece, with nothing that only one of them has."""
  program = programs(mesh.one_device()).names()[name]()
  made = export.export(program.function, platforms=PLATFORMS)(*program.arguments)
  assert made.platforms == PLATFORMS
  assert len(made.in_avals) == len(jax.tree.leaves(program.arguments))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['pre-training'])
def test_a_stage_is_compiled_for_a_mesh(name):
  """Each device has its share of the rows, of the parameters and of the moments."""
  alone, shared = (
    programs(mesh.make_layout(d, f)).names()[name] for d, f in ((1, 1), (2, 2))
  )
  sizes = [p().lower().compile().memory_analysis() for p in (alone, shared)]
  one, four = (size.argument_size_in_bytes for size in sizes)
  assert 0.25 * one < four < 0.8 * one
