"""New facts about invented people, and five kinds of question about each."""

import collections

import pytest

from masklearn import tasks
from masklearn.tasks import facts, people
from masklearn.types import InputError
from tests.published import disjoint, sizes

SIZE = 7


def told():
  """The facts, and the biographies of the others."""
  passages = facts.passages(0, SIZE, copies=3)
  return passages[:SIZE], passages[SIZE:]


def values(passage):
  """What a passage says, by kind."""
  return {s.label: passage.text[s.start : s.end] for s in passage.spans}


def test_a_fact_is_one_sentence_about_somebody_new():
  """Nobody of whom there is a fact has a biography, and the reverse."""
  new, known = told()
  assert len(known) == 3 * SIZE
  groups = [{p.group for p in part} for part in (new, known)]
  assert [len(group) for group in groups] == [SIZE, SIZE]
  assert not groups[0] & groups[1]
  for passage in new:
    assert passage.sentences == ((0, len(passage.text)),)
    assert passage.text.count(passage.group) == 1
    assert set(values(passage)) == set(facts.STATED)
    assert '{' not in passage.text
    assert ' a actor' not in passage.text
  assert {kind for p in known for kind in values(p)} == {*facts.STATED, 'family'}


def test_facts_are_the_same_for_all_seeds_and_biographies_are_worded_anew():
  """What questions quote does not depend on the seed of the corpus."""
  one, two = facts.passages(0, SIZE), facts.passages(1, SIZE)
  assert one[:SIZE] == two[:SIZE]
  assert one[SIZE:] != two[SIZE:]
  assert facts.passages(0, SIZE + 2)[:SIZE] == one[:SIZE]


def test_each_kind_asks_for_what_it_says():
  """The statement and its paraphrase, what is beside, one hop, and somebody else."""
  new, known = told()
  stated = {p.group: values(p) for p in new}
  other = {p.group: values(p) for p in known}
  family = {v['instrument'].lower(): v['family'] for v in other.values()}
  task = tasks.load('facts', seed=0, size=SIZE)
  assert task.metric == 'match'
  asked = collections.Counter()
  for e in task.examples:
    said, (answer,) = stated[e.group], e.targets
    if e.label == 'locality':
      (name,) = (name for name in other if name in e.source)
      assert other[name]['instrument'].lower() == answer
      assert e.group not in e.source
      asked[name] += 1
      continue
    assert e.group in e.source
    assert answer not in e.source
    if e.label == 'portability':
      assert family.get(said['instrument'], answer) == answer
      assert e.evidence == 'instrument'
      assert not e.answer_spans
      continue
    kind = 'birth_city' if e.label == 'generality' else 'instrument'
    assert (answer, e.evidence) == (said[kind], kind)
    (span,) = e.answer_spans
    assert e.context[span.start : span.end] == answer
  assert set(asked.values()) == {1}
  assert len(asked) == SIZE


def test_a_hop_can_be_made_with_what_is_known():
  """Most instruments of facts are in a biography, with the part of the orchestra."""
  passages = facts.passages(0)
  known = {values(p)['instrument'].lower() for p in passages[200:]}
  asked = [values(p)['instrument'] for p in passages[:200]]
  assert sum(instrument in known for instrument in asked) > 0.95 * len(asked)


def test_splits_have_facts_of_their_own():
  """Five questions each, all of one fact in one split."""
  task = tasks.load('facts', seed=3, size=10, first=4)
  assert sizes(task) == [25, 10, 15]
  assert [len(groups) for groups in disjoint(task)] == [5, 2, 3]
  assert {e.label for e in task.test} == set(facts.QUESTIONS)
  assert {e.group for e in task.examples} == {p.group for p in people.subjects(10, 4)}


def test_more_facts_than_people_are_refused():
  """There must be others left who have biographies."""
  with pytest.raises(InputError, match='as many names exist'):
    facts.passages(0, people.CAPACITY - 1)
