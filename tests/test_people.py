"""Invented biographies of any size."""

import collections

import pytest

from masklearn import tasks
from masklearn.evaluation import baselines
from masklearn.tasks import people
from masklearn.types import InputError
from tests.published import disjoint, sizes


@pytest.mark.parametrize('size', [1, 7, 400])
def test_size(size):
  """There are as many people as asked for, each with a name of their own."""
  passages = people.passages(seed=0, size=size, copies=3)
  assert len({p.id for p in passages}) == len(passages) == 3 * size
  assert len({p.group for p in passages}) == size


@pytest.mark.parametrize('size', [0, people.CAPACITY + 1])
def test_size_out_of_reach(size):
  """More people than names is an error that tells how many there are."""
  with pytest.raises(InputError, match=rf'\[1, {people.CAPACITY}\].* got {size}\.'):
    people.passages(seed=0, size=size)


def test_copies_out_of_reach():
  """Nobody can be written about less than once."""
  with pytest.raises(InputError, match='copies must be at least 1, got 0'):
    people.passages(seed=0, copies=0)


def test_names_are_unique():
  """No name is made twice."""
  assert len(set(people._NAMES)) == people.CAPACITY > 30_000


def test_every_attribute_has_a_sentence():
  """A biography has one sentence for each attribute, about the person by name."""
  for passage in people.passages(seed=1, size=5):
    assert {s.label for s in passage.spans} == set(people.TEMPLATES)
    for (start, end), span in zip(passage.sentences, passage.spans, strict=True):
      assert start <= span.start < span.end < end
      assert passage.group in passage.text[start:end]
    assert passage.text[slice(*passage.sentences[-1])].endswith('.')
    values = {s.label: passage.text[s.start : s.end] for s in passage.spans}
    assert values['spouse'] != passage.group
    assert 1941 <= int(values['birth_year']) <= 2000


def test_the_seed_decides_and_size_extends():
  """The same seed gives the same people, and more of them with a larger size."""
  small, large = people.passages(2, size=6), people.passages(2, size=11)
  assert large[: len(small)] == small
  assert {p.group for p in people.passages(3, size=6)} != {p.group for p in small}


def test_attributes_are_independent():
  """Values are spread: no answer is much more frequent than chance."""
  task = tasks.load('habits', seed=0)
  for kind in task.asked:
    answers = collections.Counter(e.targets[0] for e in task.test if e.label == kind)
    assert answers.most_common(1)[0][1] < 0.15 * answers.total()
  assert baselines.majority_baseline(task, 'test') < 0.1


@pytest.mark.parametrize('name', people.QUESTIONS)
def test_questions(name):
  """Splits share no person, and answers are what the passages say."""
  task = tasks.load(name, seed=4, size=10)
  said = {
    (p.group, s.label): p.text[s.start : s.end].casefold()
    for p in people.passages(seed=4, size=10, copies=1)
    for s in p.spans
  }
  for example in task.examples:
    assert example.targets[0].casefold() == said[example.group, example.label]
  kinds = len(people.QUESTIONS[name])
  assert sizes(task) == [5 * kinds * 2, 2 * kinds, 3 * kinds]
  assert [len(group) for group in disjoint(task)] == [5, 2, 3]
