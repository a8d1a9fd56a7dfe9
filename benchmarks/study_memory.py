"""The memory that the stages of a study take on each device of a mesh."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import memory_use, model_sizes
from masklearn import models
from masklearn.models import pretrained
from masklearn.study import config as study_config
from masklearn.study import settings
from masklearn.study.programs import Programs
from masklearn.training import mesh
from masklearn.types import InputError


def stages(config, devices: Sequence[Any]) -> Iterator[dict[str, Any]]:
  """Yields a line for each stage: bytes on a device, and seconds of compiling.

  Args:
    config: of a study. Without `model.checkpoint`, the model has the vocabulary of
      `corpus.vocabulary`, or of the published models.
    devices: that the study would have.

  Raises:
    InputError: a config that `study.config.check` refuses.
  """
  study_config.check(config)
  layout = mesh.make_layout(**settings.mesh(config, len(devices)), devices=devices)
  if config.model.checkpoint:
    model, tokenizer = pretrained.load_shape(config.model.checkpoint)
    if tokenizer is None:
      raise InputError(f'{config.model.checkpoint} has no tokenizer.')
    ids = tokenizer.specials
  else:
    options = settings.model(config)
    options.pop('checkpoint')
    family = options['name']
    size = config.corpus.vocabulary or model_sizes.PUBLISHED[family]
    ids = model_sizes.IDS[family]
    model = models.make_model(vocab_size=size, ids=ids, **options)
  for name, make in Programs(config, model, ids, layout).names().items():
    program = make()
    found = memory_use.measure(program.function, *program.arguments)
    yield {'stage': name, 'mesh': list(layout.mesh.devices.shape), **found}
