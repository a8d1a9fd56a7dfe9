"""Groups -> train, validation and test, and the task that comes of it."""

import logging
import random
from collections.abc import Iterable, Mapping, Sequence

from masklearn.io.records import Problems
from masklearn.types import Example, InputError, Task

SPLITS = ('train', 'validation', 'test')
SHOWN = 5  # problems of a file that are logged
# What a task can be scored by; `evaluation.metrics` has the functions.
METRICS = (
  'em', 'f1', 'accuracy', 'match', 'rougeL', 'trivia_em', 'trivia_f1',
  'summary_rouge1', 'summary_rouge2', 'summary_rougeL', 'summary_rougeLsum',
)  # fmt: skip


def split_groups(
  groups: Iterable[str], seed: int, train_share: float, validation_share: float
) -> dict[str, str]:
  """The split of every group; the test is the same for all seeds.

  >>> split_groups(['Chad', 'Peru', 'Chad', 'Togo', 'Oman'], 0, 0.5, 0.25)
  {'Chad': 'train', 'Togo': 'train', 'Oman': 'validation', 'Peru': 'test'}

  Args:
    groups: what the questions are about; duplicates count once.
    seed: of the shuffle of what is not tested.
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
  random.Random('test').shuffle(groups)
  first, second = round(train_share * len(groups)), round(both * len(groups))
  # What is chosen by validation, in any seed, has never seen the test.
  rest, test = groups[:second], groups[second:]
  random.Random(f'split/{seed}').shuffle(rest)
  parts = rest[:first], rest[first:], test
  named = zip(SPLITS, parts, strict=True)
  return {group: split for split, part in named for group in part}


def cut(
  examples: dict[str, list[Example]],
  keys: Sequence[str],
  seed: int,
  train_share: float,
  validation_share: float,
) -> None:
  """Moves training questions to the splits that have none, in place.

  Args:
    examples: the questions of each split; what no other split needs stays in training.
    keys: of the training questions; those with the same one stay together.
    seed: of the shuffle.
    train_share: of the keys.
    validation_share: of the keys; the rest is the test split.
  """
  to_validation = 0 if examples['validation'] else validation_share
  to_test = 0 if examples['test'] else 1 - train_share - validation_share
  pool, examples['train'] = examples['train'], []
  split_of = split_groups(keys, seed, 1 - to_validation - to_test, to_validation)
  for key, example in zip(keys, pool, strict=True):
    examples[split_of[key]].append(example)


def check_disjoint(examples: Mapping[str, Sequence[Example]]) -> None:
  """Raises `InputError` if two splits have questions about the same group."""
  owner: dict[str, str] = {}
  for split, rows in examples.items():
    for group in {example.group for example in rows} - {''}:
      if owner.setdefault(group, split) != split:
        raise InputError(
          f'Splits share no group, but {group!r} is in {owner[group]} and {split}.'
        )


def report(problems: Problems, name: str) -> None:
  """Logs the first problems of a file or data set, and how many there are.

  Also what was left out or changed in the records that are used.
  """
  for said in (*problems[:SHOWN], *problems.notes[:SHOWN]):
    logging.warning(said)
  if problems:
    logging.warning('%s: skipped %d records in all.', name, problems.count)
  if problems.noted:
    what = 'values of other records left out or changed'
    logging.warning('%s: %d %s in all.', name, problems.noted, what)


def make_task(
  name: str, examples: Mapping[str, Sequence[Example]], metric: str = 'em'
) -> Task:
  """The task; raises `InputError` if one of its splits has no question."""
  for split in SPLITS:
    if not examples[split]:
      raise InputError(
        f'Task {name!r} has no {split} questions: give it a file of them, or other '
        'shares of the groups.'
      )
  return Task(name, **{s: tuple(examples[s]) for s in SPLITS}, metric=metric)
