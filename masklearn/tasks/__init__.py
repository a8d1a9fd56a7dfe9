"""Raw records -> questions with their answers, in three splits that share no group."""

import collections
import dataclasses
import difflib
import functools
import inspect
import random
from collections.abc import Mapping
from typing import Any, TypeVar

from masklearn.evaluation import metrics
from masklearn.tasks import (
  benchmark,
  closed_book,
  jsonl,
  kilt,
  multiple_choice,
  people,
  squad,
  summarization,
  world,
)
from masklearn.types import InputError, Task

T = TypeVar('T')

TASKS = {
  'civics': functools.partial(world.task, 'civics'),
  'geography': functools.partial(world.task, 'geography'),
  'habits': functools.partial(people.task, 'habits'),
  'origins': functools.partial(people.task, 'origins'),
  'jsonl': functools.partial(jsonl.task, 'jsonl'),
  'nq_open': closed_book.nq_open,
  'web_questions': closed_book.web_questions,
  'trivia_qa': closed_book.trivia_qa,
  'aidayago2': kilt.aidayago2,
  'zsre': kilt.zsre,
  'wow': kilt.wow,
  'kilt': kilt.kilt,
  'wiqa': multiple_choice.wiqa,
  'quartz': multiple_choice.quartz,
  'ropes': multiple_choice.ropes,
  'cnn_dailymail': summarization.cnn_dailymail,
  'xsum': summarization.xsum,
  'scitldr': summarization.scitldr,
  'squad': squad.squad,
}


def load(name: str, seed: int, **kwargs) -> Task:
  """Returns the task that `TASKS` has under `name`; `kwargs` are its own arguments."""
  make = lookup(TASKS, name, 'task')
  for key in kwargs:
    lookup(dict.fromkeys(options(name)), key, f'option of task {name!r}')
  return make(seed=seed, **kwargs)


def for_study(name: str, seed: int, fields: Mapping[str, Any]) -> Task:
  """Returns a task that can be scored, by the fields of a study's config.

  Args:
    name: a key of `TASKS`.
    seed: of the split.
    fields: of all tasks, of which each takes those that it has a use for; in paths
      '{task}' becomes its name. `options` has what single tasks get, by their name.

  Raises:
    InputError: also if a test question has no answers: a study would score zeros.
  """
  own = {key: fields[key] for key in options(name) if key in fields}
  own |= dict(fields.get('options', {}).get(name, {}))
  for key, value in own.items():
    if isinstance(value, str):
      own[key] = value.replace('{task}', name)
  task = load(name, seed, **own)
  unknown = [example.id for example in task.test if not example.targets]
  if unknown:
    raise InputError(
      f'A study scores its test questions, but {len(unknown)} of {name} have no '
      f'answers, the first is {unknown[0]!r}. Give it test questions with answers.'
    )
  return task


def options(name: str) -> tuple[str, ...]:
  """Returns the names of the arguments that a task has besides `seed`."""
  found = inspect.signature(lookup(TASKS, name, 'task')).parameters
  own = [key for key, p in found.items() if p.kind is not p.VAR_KEYWORD]
  where = benchmark.Where.__annotations__ if len(own) < len(found) else ()
  return tuple(key for key in (*own, *where) if key != 'seed')


def lookup(table: Mapping[str, T], name: str, noun: str) -> T:
  """Returns `table[name]`, or raises an `InputError` with the nearest names."""
  if name not in table:
    near = difflib.get_close_matches(name, table, n=2, cutoff=0)
    raise InputError(
      f'Unknown {noun} {name!r}; the nearest are {" and ".join(near)}, all are '
      f'{", ".join(table)}.'
    )
  return table[name]


def majority_baseline(task: Task, split: str) -> float:
  """Returns the exact match in [0, 1] of one answer for all questions of a label.

  The answer is the most frequent one of the label's training questions; of equally
  frequent ones, the first.
  """
  answers = collections.defaultdict(collections.Counter)
  for example in task.train:
    answers[example.label][example.targets[0]] += 1
  guess = {label: count.most_common(1)[0][0] for label, count in answers.items()}
  examples = getattr(task, split)
  right = [metrics.exact_match(guess.get(e.label, ''), e.targets) for e in examples]
  return sum(right) / len(right)


def shuffled(task: Task, seed: int) -> Task:
  """The same questions with each other's answers, in training and validation.

  Nothing can be learned from them about where answers are: a control.
  """
  mixed = {}
  for split in ('train', 'validation'):
    examples = list(getattr(task, split))
    order = random.Random(f'answers/{seed}').sample(examples, len(examples))
    mixed[split] = tuple(
      dataclasses.replace(example, targets=other.targets)
      for example, other in zip(examples, order, strict=True)
    )
  return dataclasses.replace(task, **mixed)
