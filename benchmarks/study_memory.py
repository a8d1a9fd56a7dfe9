"""The memory that the stages of a study take on each device of a mesh."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import memory_use, model_sizes
from masklearn import models
from masklearn.models import pretrained
from masklearn.study import config as study_config
from masklearn.study import settings, setup
from masklearn.study.programs import Programs
from masklearn.training import mesh


def stages(config, devices: Sequence[Any]) -> Iterator[dict[str, Any]]:
  """Yields a line for each stage: bytes on a device, and seconds of compiling.

  Args:
    config: of a study. Without `model.checkpoint`, the model has the vocabulary of
      `corpus.vocabulary`, or of the published models.
    devices: that the study would have.

  Raises:
    InputError: a config that `study.config.check` refuses, or a checkpoint that cannot
      be trained.
  """
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
    size = config.corpus.vocabulary or model_sizes.PUBLISHED[family]
    ids = model_sizes.IDS[family]
    model = models.make_model(vocab_size=size, ids=ids, **options)
  for name, make in Programs(config, model, ids, layout).names().items():
    program = make()
    found = memory_use.measure(program.function, *program.arguments)
    yield {'stage': name, 'mesh': list(layout.mesh.devices.shape), **found}
