"""The memory that the stages of a study take on each device of a mesh."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import memory_use, model_sizes
from masklearn import models
from masklearn.io.lookup import lookup
from masklearn.models import pretrained
from masklearn.study import config as study_config
from masklearn.study import settings, setup
from masklearn.study.programs import Programs
from masklearn.training import mesh


def stages(
  config, devices: Sequence[Any], names: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
  """Yields a line for each stage: bytes on a device, and seconds of compiling.

  Args:
    config: of a study. One that is to begin with a published model may leave out its
      `model.checkpoint` and `corpus.path`: what counts is the size.
    devices: that the study would have.
    names: of the stages; all if there are none.

  Raises:
    InputError: a stage that the study does not have, a config that
      `study.config.check` refuses, or a checkpoint that cannot be trained.
  """
  if not (config.base.updates or config.model.checkpoint):
    config = _without_files(config)
  study_config.check(config)
  layout = mesh.make_layout(**settings.mesh(config, len(devices)), devices=devices)
  options = settings.model(config)
  checkpoint = options.pop('checkpoint')
  if checkpoint:
    model, _ = setup.published_model(checkpoint, config.corpus.tokenizer, **options)
    _, tokenizer = pretrained.load_shape(checkpoint)
    ids = tokenizer.specials
  else:
    family = options['name']
    ids = model_sizes.IDS[family]
    model = models.make_model(vocab_size=config.corpus.vocabulary, ids=ids, **options)
  makes = Programs(config, model, ids, layout).names()
  for name in names or makes:
    lookup(makes, name, 'stage')
  for name in names or makes:
    program = makes[name]()
    found = memory_use.measure(program.function, *program.arguments)
    yield {'stage': name, 'mesh': list(layout.mesh.devices.shape), **found}


def _without_files(config):
  """The same study of a random model, which has the size of the published one."""
  config = config.copy_and_resolve_references()
  config.base.updates = 1
  config.corpus.vocabulary = model_sizes.PUBLISHED[config.model.name]
  config.corpus.path = config.corpus.path or 'not read'
  return config
