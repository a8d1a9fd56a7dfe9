"""Raw records -> questions with their answers, in three splits that share no group."""

import dataclasses
import functools
import inspect
import random
from collections.abc import Mapping
from typing import Any

from masklearn.io.lookup import check_name, lookup
from masklearn.tasks import (
  benchmark,
  closed_book,
  facts,
  jsonl,
  kilt,
  multiple_choice,
  people,
  squad,
  summarization,
  wikidyk,
  world,
)
from masklearn.types import InputError, Task

TASKS = {
  'civics': functools.partial(world.task, 'civics'),
  'geography': functools.partial(world.task, 'geography'),
  'habits': functools.partial(people.task, 'habits'),
  'origins': functools.partial(people.task, 'origins'),
  'classes': functools.partial(people.task, 'classes'),
  'rivers': functools.partial(people.task, 'rivers'),
  'homes': functools.partial(people.task, 'homes'),
  'facts': functools.partial(facts.task, 'facts'),
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
  'wikidyk': wikidyk.wikidyk,
}


def load(name: str, seed: int, **kwargs) -> Task:
  """The task of this name in `TASKS`; `kwargs` are its own arguments."""
  make = lookup(TASKS, name, 'task')
  for key in kwargs:
    check_name(options(name), key, f'option of task {name!r}')
  return make(seed=seed, **kwargs)


def for_study(name: str, seed: int, fields: Mapping[str, Any]) -> Task:
  """A task that can be scored, by the fields of a study's config.

  Args:
    name: a key of `TASKS`.
    seed: of the split.
    fields: of all tasks; each takes those that it knows, and '{task}' in a path becomes
      its name. `options` has further fields of single tasks, by name.

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
  """The names of the arguments that a task has besides `seed`.

  >>> options('habits')
  ('size', 'train_share', 'validation_share', 'first', 'choices', 'towns')
  """
  found = inspect.signature(lookup(TASKS, name, 'task')).parameters
  own = [key for key, p in found.items() if p.kind is not p.VAR_KEYWORD]
  where = benchmark.Where.__annotations__ if len(own) < len(found) else ()
  return tuple(key for key in (*own, *where) if key != 'seed')


def shuffled(task: Task, seed: int) -> Task:
  """The same questions with answers exchanged, in training and in validation.

  A control: nothing can be learned from them about where answers stand. Among questions
  of a kind, so that each has an answer that could be its own.
  """
  mixed = {}
  for split in ('train', 'validation'):
    rng = random.Random(f'answers/{seed}')
    others = {}  # of each kind, in the order in which they are given away
    for example in task.split(split):
      others.setdefault(example.label, []).append(example.targets)
    for targets in others.values():
      rng.shuffle(targets)
    mixed[split] = tuple(
      dataclasses.replace(example, targets=others[example.label].pop())
      for example in task.split(split)
    )
  return dataclasses.replace(task, **mixed)
