"""Questions that offer answers to choose from; none of them is a better guess."""

import dataclasses
import random

from masklearn.tasks.splits import SPLITS
from masklearn.types import InputError, Task


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
    InputError: `count` is 1, or more than a kind of question has answers.
  """
  if not count:
    return task
  answers: dict[str, list[str]] = {}
  for example in task.examples:
    answers.setdefault(example.label, []).append(example.targets[0])
  known = {label: sorted(set(of_kind)) for label, of_kind in answers.items()}
  label, fewest = min(known.items(), key=lambda item: len(item[1]))
  if not 2 <= count <= len(fewest):
    raise InputError(
      f'choices must be 0, or lie in [2, {len(fewest)}], as many answers as questions '
      f'of {task.name!r} about {label!r} have; got {count}.'
    )

  def offered(example):
    rng = random.Random(f'choices/{example.id}')
    others = [one for one in known[example.label] if one not in example.targets]
    choices = [example.targets[0], *rng.sample(others, count - 1)]
    rng.shuffle(choices)
    listed = ' '.join(f'({chr(65 + i)}) {one}' for i, one in enumerate(choices))
    return dataclasses.replace(example, source=f'{example.source} {listed}')

  splits = {split: tuple(map(offered, task.split(split))) for split in SPLITS}
  return dataclasses.replace(task, **splits)
