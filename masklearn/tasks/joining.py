"""Questions and passages that meet: those whose group is the same."""

from collections.abc import Iterable
from typing import NamedTuple

from masklearn.types import Passage, Task


class Joined(NamedTuple):
  """How many questions of each split have passages."""

  questions: dict[str, int]  # split -> all of them
  grouped: dict[str, int]  # split -> those that name a group
  met: dict[str, int]  # split -> those whose group a passage has
  groups: int  # different groups of passages, 0 if none is named

  def __str__(self):
    parts = [
      f'{self.met[split]:,} of {count:,} {split} questions'
      for split, count in self.questions.items()
    ]
    without = sum(self.questions.values()) - sum(self.grouped.values())
    return (
      f'{", ".join(parts)} share a group with a passage; {without:,} questions name no '
      f'group, and the passages name {self.groups:,}'
    )


def join(task: Task, passages: Iterable[Passage]) -> Joined:
  """Counts the questions that share a group with a passage.

  >>> from masklearn.types import Example
  >>> asked = Example('1', 'Where does the Nile end?', ('sea',), group='Nile')
  >>> task = Task('rivers', (asked,), (), ())
  >>> join(task, [Passage('a', 'The Nile ends in the sea.', 'Nile')]).met['train']
  1
  """
  groups = {passage.group for passage in passages} - {''}
  splits = {name: task.split(name) for name in ('train', 'validation', 'test')}

  def count(wanted):
    return {name: sum(map(wanted, rows)) for name, rows in splits.items()}

  return Joined(
    count(lambda example: True),
    count(lambda example: example.group != ''),
    count(lambda example: example.group in groups),
    len(groups),
  )
