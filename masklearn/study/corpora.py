"""What the stages of a study train on: passages, prepared, encoded and divided."""

import pathlib
from collections.abc import Mapping

from masklearn.data import array_files
from masklearn.io.progress import Progress
from masklearn.policies import POLICIES
from masklearn.study import settings, setup
from masklearn.study.parts import Parts
from masklearn.study.setup import Setup
from masklearn.types import Batch, Task

SHOWN = 5  # unusable records that are printed; all are in the work directory


class Corpora:
  """The encoded passages of a study, by the stage that trains on them."""

  def __init__(self, own: Mapping[str, Batch], parts: Parts | None = None):
    """Takes them for each task, [P, L].

    Args:
      own: task -> all passages, which differ in what the task asks about.
      parts: which of them the base model sees; None for all.
    """
    self.own, self._parts = own, parts

  def base(self, task: str) -> Batch:
    """What the base model is trained on: all, or what no task asks about."""
    return self._parts.take(self.own[task], False) if self._parts else self.own[task]

  def pretraining(self, task: str) -> Batch:
    """What intermediate pre-training is on: all, or what tasks ask about."""
    return self._parts.take(self.own[task], True) if self._parts else self.own[task]


def prepare(config, directory: pathlib.Path, progress: Progress) -> Setup:
  """Makes the corpus of a study, its tokenizer and its model, or reads them.

  Args:
    config: of the study.
    directory: of the corpus.
    progress: takes what is to be said, such as which records cannot be used.
  """
  c = config
  made = setup.prepare(
    directory,
    seed=c.seed,
    name=c.corpus.name,
    longest=c.corpus.longest,
    tokenizer=c.corpus.tokenizer,
    vocabulary=c.corpus.vocabulary,
    model=settings.model(c),
    say=progress.say,
    stopped=progress.stop.is_set,
    **settings.corpus(c),
  )
  for problem in made.problems[:SHOWN]:
    progress.say(f'skipped {problem}')
  if made.skipped:
    progress.say(f'{made.skipped} records of the corpus were skipped')
  return made


def encode(
  config,
  made: Setup,
  tasks: Mapping[tuple[str, int], Task],
  directory: pathlib.Path,
  progress: Progress,
) -> Corpora:
  """Encodes the corpus of a study for its model, on disk.

  Args:
    config: of the study.
    made: the corpus.
    tasks: by name and seed.
    directory: of the corpus.
    progress: may end it.
  """
  c, units = config, None
  used = settings.names(c.policy.names)
  if any('collocations' in POLICIES[name].needs for name in used):
    units = setup.units(directory, made.passages)
  # The asked spans are those of a task's labels, which are the same in all seeds.
  asked = {name: tasks[name, c.seed].asked for name in settings.names(c.task.names)}
  own = array_files.load_or_encode(
    directory / 'encoded',
    directory / setup.TOKENS,
    made.passages,
    made.tokenizer,
    c.corpus.annotator,
    asked,
    c.corpus.longest,
    units,
    progress.check,
  )
  return Corpora(own, Parts(made.passages, tasks.values()) if c.base.apart else None)
