"""The passages that tasks ask about, and the others."""

from collections.abc import Iterable, Sequence

import numpy as np

from masklearn import data
from masklearn.types import Batch, InputError, Passage, Task


def asked_groups(tasks: Iterable[Task]) -> set[str]:
  """The groups that some tasks ask about, in any split."""
  return {example.group for task in tasks for example in task.examples} - {''}


class Parts:
  """A corpus in two parts, for a base model that is to know none of the facts."""

  def __init__(self, passages: Sequence[Passage], tasks: Iterable[Task]):
    """Takes the passages, in their order, and the tasks of all seeds.

    Raises:
      InputError: one of the parts is empty.
    """
    groups = asked_groups(tasks)
    self._asked = np.array([passage.group in groups for passage in passages])
    if self._asked.all() or not self._asked.any():
      raise InputError(
        'config.base.apart: needs passages that a task asks about and others, and '
        f'{self._asked.sum():,} of {len(self._asked):,} are asked about.'
      )

  def take(self, encoded: Batch, asked: bool) -> Batch:
    """The encoded passages [P, L] of one part."""
    return data.take(encoded, np.flatnonzero(self._asked == asked))
