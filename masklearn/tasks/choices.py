"""Questions that offer answers to choose from; none of them is a better guess."""

import dataclasses
import random
import string

from masklearn.tasks.splits import SPLITS
from masklearn.types import InputError, Task

LETTERS = string.ascii_uppercase


def offer(task: Task, count: int) -> Task:
  """The same questions with the answer and others of its kind behind each of them.

  "On which river is the home of Ada? (A) Usk (B) Tyne", as `tasks.multiple_choice`
  writes choices; the target is still the text of the answer. The others are equally
  often any of the answers to questions with this label, and the order is random, so
  that guessing earns 1 / `count`.

  Args:
    task: open questions.
    count: choices of each, 0 for none.

  Raises:
    InputError: `count` is 1, or more than there are letters, or than a question has
      wrong answers and its own.
  """
  if not count:
    return task
  answers: dict[str, set[str]] = {}
  for example in task.examples:
    answers.setdefault(example.label, set()).add(example.targets[0])

  def wrong(example):
    return sorted(answers[example.label].difference(example.targets))

  fewest = min(task.examples, key=lambda example: len(wrong(example)))
  most = min(len(wrong(fewest)) + 1, len(LETTERS))
  if not 2 <= count <= most:
    raise InputError(
      f'choices must be 0, or lie in [2, {most}], as there are {len(LETTERS)} letters '
      f'and {len(wrong(fewest))} wrong answers to {fewest.source!r}; got {count}.'
    )

  def offered(example):
    rng = random.Random(f'choices/{example.id}')
    others = wrong(example)
    choices = [example.targets[0], *rng.sample(others, count - 1)]
    rng.shuffle(choices)
    listed = ' '.join(f'({x}) {one}' for x, one in zip(LETTERS, choices, strict=False))
    return dataclasses.replace(example, source=f'{example.source} {listed}')

  splits = {split: tuple(map(offered, task.split(split))) for split in SPLITS}
  return dataclasses.replace(task, **splits)
