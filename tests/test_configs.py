"""Every config file: its variants, and whether what it names exists."""

import importlib
import pathlib

import pytest

from masklearn import tasks
from masklearn.study import settings

ROOT = pathlib.Path(__file__).parents[1]
ALL = sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))
STUDIES = [name for name in ALL if name != 'recall']
PUBLISHED = ('bart_base', 'bart_large', 't5_base')


def config(name, *variant):
  """The config of a file in configs/."""
  return importlib.import_module(f'configs.{name}').get_config(*variant).lock()


@pytest.mark.parametrize('name', STUDIES)
def test_a_study_names_what_exists(name):
  """Policies, tasks, a corpus and options, in every variant of its own."""
  module = importlib.import_module(f'configs.{name}')
  for variant in getattr(module, 'VARIANTS', tasks.TASKS):
    c = config(name, variant)
    if name in PUBLISHED:
      c.model.checkpoint = 'somewhere'
    settings.check(c)
    for task in settings.names(c.task.names):
      assert task in tasks.TASKS
    assert c.name.startswith(name)
    assert len(settings.names(c.study.targets)) == len(c.study.target_seeds)


@pytest.mark.parametrize('name', [n for n in ALL if n not in PUBLISHED])
def test_a_variant_that_does_not_exist_is_refused(name):
  """But for published models, whose variants are all tasks."""
  with pytest.raises(ValueError, match='variant'):
    config(name, 'fulll')


def test_every_published_config_needs_its_checkpoint():
  """Without one there is no base to train on."""
  for name in PUBLISHED:
    with pytest.raises(ValueError, match=r'config\.model\.checkpoint'):
      settings.check(config(name))
