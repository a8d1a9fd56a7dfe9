"""Groups -> train, validation and test, and the task that comes of it."""

import random
from collections.abc import Iterable, Mapping, Sequence

from masklearn.types import Example, InputError, Task

SPLITS = ('train', 'validation', 'test')


def split_groups(
  groups: Iterable[str], seed: int, train_share: float, validation_share: float
) -> dict[str, str]:
  """Returns the split of every group, the same for the same groups and seed.

  Args:
    groups: what the questions are about; duplicates count once.
    seed: of the shuffle.
    train_share: of the groups; rounded to whole ones.
    validation_share: of the groups; the rest is the test split.
  """
  both = train_share + validation_share
  if train_share <= 0 or validation_share < 0 or both > 1 + 1e-9:
    raise InputError(
      'train_share must be above 0, validation_share at least 0 and their sum at most '
      f'1, got {train_share} and {validation_share}.'
    )
  groups = sorted(set(groups))
  random.Random(f'split/{seed}').shuffle(groups)
  first, second = round(train_share * len(groups)), round(both * len(groups))
  return {group: SPLITS[(i >= first) + (i >= second)] for i, group in enumerate(groups)}


def make_task(name: str, examples: Mapping[str, Sequence[Example]]) -> Task:
  """Returns the task; raises `InputError` if one of its splits has no question."""
  for split in SPLITS:
    if not examples[split]:
      raise InputError(
        f'Task {name!r} has no {split} questions: give it a file of them, or other '
        'shares of the groups.'
      )
  return Task(name, **{split: tuple(examples[split]) for split in SPLITS})
