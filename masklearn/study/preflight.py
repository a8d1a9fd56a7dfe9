"""What can be known to fail is refused before anything is trained."""

import pathlib
from collections.abc import Container, Iterable, Sequence

from masklearn.study import settings
from masklearn.study.learn import halves
from masklearn.study.supervise import SOURCES
from masklearn.tasks import joining, squad
from masklearn.types import Example, InputError, Passage, Task


def check_files(config) -> None:
  """Refuses paths of a config that hold nothing, or not what they should.

  The corpus and the questions of the tasks are read at once, and checked there.

  Raises:
    InputError: names the field and the path.
  """
  folders = {'model.checkpoint': config.model, 'policy.checkpoint': config.policy}
  for key, owner in folders.items():
    if owner.checkpoint and not pathlib.Path(owner.checkpoint).is_dir():
      raise InputError(
        f'config.{key}: must be a directory, and there is none at {owner.checkpoint!r}.'
      )
  supervised = [n for n in settings.names(config.supervised.pairs) if n not in SOURCES]
  fields = {
    'supervised.pairs': supervised,
    'recall.path': settings.names(config.recall.path),
  }
  for key, paths in fields.items():
    for path in paths:
      try:
        squad.read(path)
      except InputError as error:
        raise InputError(f'config.{key}: {error}') from error


def check_joined(task: Task, passages: Sequence[Passage], seed: int) -> None:
  """Refuses a task from whose questions no policy can be learned with this corpus.

  Args:
    task: its training questions teach, its validation questions say when to stop.
    passages: of the corpus.
    seed: of the split into warm-up and episodes.

  Raises:
    InputError: says how many questions share a group with a passage.
  """
  groups = {passage.group for passage in passages} - {''}
  warm, taught = halves(task, seed)
  parts = {
    'training questions for the warm-up': _count(task.train, warm),
    'training questions for episodes': _count(_meeting(task.train, groups), taught),
    'validation questions': len(_meeting(task.validation, groups)),
  }
  for name, count in parts.items():
    if not count:
      raise InputError(
        'A policy is learned from passages and questions of the same group, or with a '
        f'context, and task {task.name!r} has no {name}: '
        f'{joining.join(task, passages)}. Give both the '
        "same `group`, or train a policy that needs none, such as 'supervised' with "
        'config.supervised.pairs=match.'
      )


def _meeting(examples: Iterable[Example], groups: Container[str]) -> list[Example]:
  """Questions that have a passage: one of their group, or their context."""
  return [e for e in examples if e.context.strip() or e.group in groups]


def _count(examples: Iterable[Example], abouts: Container[str]) -> int:
  return sum(example.about in abouts for example in examples)
