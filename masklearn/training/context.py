"""Where a stage runs: what every stage is given beside its own arguments."""

import dataclasses
import pathlib

from masklearn.io.progress import Progress
from masklearn.training.mesh import Layout, one_device


@dataclasses.dataclass(frozen=True)
class StageContext:
  """A stage's directory, how it is shown, how often it is saved, and its seed.

  A stage inside another one has the same context but for what differs:
  `dataclasses.replace(context, directory=context.directory / 'warmup')`.
  """

  directory: pathlib.Path  # of the stage's files
  title: str  # shown with the progress, and in warnings
  progress: Progress  # where it is shown
  save_every: int  # steps between checkpoints
  seed: int  # of everything random in the stage
  dtype: str = 'float32'  # of the model's computation, named where numbers run over
  profile: bool = False  # whether some of its steps are traced, see `profile.Profile`
  layout: Layout = dataclasses.field(default_factory=one_device)  # of its arrays
