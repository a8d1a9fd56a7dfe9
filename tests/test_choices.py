"""Answers that questions offer to choose from."""

import collections
import re

import pytest

from masklearn import tasks
from masklearn.tasks import choices
from masklearn.types import InputError


def _offered(source):
  return re.findall(r'\([A-Z]\) (.+?)(?= \([A-Z]\) |$)', source)


@pytest.mark.parametrize('name', ['rivers', 'civics'])
def test_each_question_offers_its_answer_and_others_of_its_kind(name):
  """Once each, and what was asked openly stands in front of them."""
  plain, offering = (tasks.load(name, seed=1, choices=n) for n in (0, 3))
  answers = collections.defaultdict(set)
  for example in plain.examples:
    answers[example.label].add(example.targets[0])
  for before, after in zip(plain.examples, offering.examples, strict=True):
    offered = _offered(after.source)
    assert after.source.startswith(before.source)
    assert len(set(offered)) == 3
    assert set(offered) <= answers[after.label]
    assert len(set(offered) & set(after.targets)) == 1
    assert after.targets == before.targets


def test_no_place_and_no_answer_is_a_better_guess():
  """An answer stands in each place equally often; the others are any of its kind."""
  task = choices.offer(tasks.load('rivers', seed=0, size=600), 2)
  places, right = collections.Counter(), collections.Counter()
  met = collections.Counter()
  for example in task.test:
    offered = _offered(example.source)
    places[offered.index(example.targets[0])] += 1
    met.update(offered)
    right[example.targets[0]] += 1
  assert abs(places[0] / places.total() - 0.5) < 0.06
  share = [right[one] / met[one] for one in met]
  assert sum(share) / len(share) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
  ('name', 'most'),
  # Letters; attributes; governments, of which a country has two that count as right.
  [('rivers', 26), ('classes', 4), ('civics', 21)],
)
def test_too_many_choices(name, most):
  """And a single one is none: the error says how many there can be."""
  for count in (1, most + 1):
    with pytest.raises(InputError, match=rf'\[2, {most}\], as .*; got {count}\.'):
      tasks.load(name, seed=0, choices=count)
  assert '(A) ' in tasks.load(name, seed=0, choices=most).test[0].source
