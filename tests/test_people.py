"""Invented biographies of any size."""

import collections
import re

import pytest

import configs.people
from masklearn import tasks, text
from masklearn.evaluation import baselines
from masklearn.study import config
from masklearn.tasks import giveaways, people, profiles, rivers
from masklearn.text import matching
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
  """No name is made twice, or is a word for anything else, or begins with a river."""
  assert len(set(people._NAMES)) == people.CAPACITY > 30_000
  tables = [*people._VALUES.values(), *people._CLASSES]
  others = {word for line in tables for word in line.casefold().split()}
  others |= {word for told in giveaways.HINTS.values() for word in told.values()}
  assert others.isdisjoint(name.casefold() for name in people._NAMES)
  assert not any(name.startswith(tuple(rivers.NAMES)) for name in people._NAMES)


@pytest.mark.parametrize(('told', 'each'), [(2, 3), (3, 5), (9, 12)])
def test_biographies_can_tell_some_facts_in_turn(told, each):
  """About equally often, or all of them where there are not so many."""
  said = people.passages(0, size=4, copies=12, told=told)
  assert {len(p.spans) for p in said} == {min(told, len(people.TEMPLATES))}
  counts = collections.Counter((p.group, s.label) for p in said for s in p.spans)
  assert set(counts.values()) <= {each - 1, each, each + 1}
  with pytest.raises(InputError, match='told must be at least 0, got -1'):
    people.passages(0, size=4, told=-1)


def test_what_is_not_given_away_is_told_first():
  """One fact that is not, and one of the others, each as often."""
  kinds = ','.join(giveaways.HINTS)
  said = people.passages(0, size=3, copies=12, hints=2 / 3, kinds=kinds, told=2)
  counts = collections.Counter()
  for passage in said:
    first, second = sorted((s.label for s in passage.spans), key=lambda x: ' ' in x)
    assert first in giveaways.HINTS
    assert second.startswith(profiles.GIVEN_AWAY)
    counts[first, second.split()[-1]] += 1
  assert len(counts) == 6
  assert set(counts.values()) == {2 * 3}


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


def test_the_seed_words_and_size_extends():
  """All seeds have the same people, and a larger size has more of them."""
  small, large = people.passages(2, size=6), people.passages(2, size=11)
  assert large[: len(small)] == small
  other = people.passages(3, size=6)
  assert other != small
  assert {p.group for p in other} == {p.group for p in small}


def test_a_corpus_is_about_the_people_of_every_seed():
  """Also of those of another seed than its own."""
  known = {p.group for p in people.passages(0, size=9)}
  for seed in range(3):
    assert {e.group for e in tasks.load('habits', seed=seed, size=9).examples} == known


def test_another_range_has_other_people():
  """Of one list: those of the first ten and of the ten after them are twenty."""
  groups = [
    {p.group for p in people.passages(0, 10, 1, first=first)} for first in (0, 10)
  ]
  assert set.union(*groups) == {p.group for p in people.passages(0, 20, 1)}
  task = tasks.load('habits', seed=0, size=10, first=10)
  assert {e.group for e in task.examples} == groups[1]
  with pytest.raises(InputError, match='from the 9th on; got'):
    people.passages(0, people.CAPACITY, first=9)


ALL = ','.join((*people.TEMPLATES, *people.CLASSES))


def test_a_class_follows_from_the_attribute_beside_it():
  """Its answer stands in the passage, and adds nothing to what else stands there."""
  classes = {}
  for passage in people.passages(0, size=300, copies=1, kinds=ALL):
    said = {s.label: passage.text[s.start : s.end].casefold() for s in passage.spans}
    assert said.keys() == people.TEMPLATES.keys() | people.CLASSES.keys()
    for kind, attribute in people.CLASSES.items():
      classes.setdefault((kind, said[attribute]), set()).add(said[kind])
  assert all(len(found) == 1 for found in classes.values())
  task = tasks.load('classes', seed=0, size=300)
  assert task.asked == set(people.CLASSES.values())
  assert {e.label for e in task.examples} == set(people.CLASSES)
  for kind in people.CLASSES:
    answers = collections.Counter(e.targets[0] for e in task.test if e.label == kind)
    assert answers.most_common(1)[0][1] < 0.55 * answers.total()


def test_biographies_can_be_short():
  """They tell some of the attributes, in the words in which long ones do."""
  long, short = (people.passages(0, 7, 2, kinds=k) for k in ('', 'pet,spouse'))
  for whole, part in zip(long, short, strict=True):
    assert part.group == whole.group
    assert {s.label for s in part.spans} == {'pet', 'spouse'}
  with pytest.raises(InputError, match=r"attribute of people.*'pets'.*pet"):
    people.passages(0, 7, kinds='pets')


def test_attributes_are_independent():
  """Values are spread: no answer is much more frequent than chance."""
  task = tasks.load('habits', seed=0)
  for kind in task.asked:
    answers = collections.Counter(e.targets[0] for e in task.test if e.label == kind)
    assert answers.most_common(1)[0][1] < 0.15 * answers.total()
  assert baselines.majority_baseline(task, 'test') < 0.1


@pytest.mark.parametrize('sort', ['repeats', 'hints'])
def test_some_biographies_give_a_value_away(sort):
  """There it stands twice, or beside its hint; what is asked is in the others."""
  task, said = tasks.load('habits', seed=0, size=30), collections.Counter()
  for passage in people.passages(0, size=30, copies=6, **{sort: 2 / 3}):
    asked = [s for s in passage.spans if s.label in task.asked]
    assert len(asked) == 1
    for (start, end), span in zip(passage.sentences, passage.spans, strict=True):
      away, kind = span.label.startswith(profiles.GIVEN_AWAY), span.label.split()[-1]
      value = passage.text[span.start : span.end]
      rest = passage.text[start : span.start] + passage.text[span.end : end]
      beside = giveaways.HINTS[kind][value] if away and sort == 'hints' else value
      assert bool(re.search(rf'\b{beside}\b', rest, re.I)) == away
      said[passage.group, kind, away] += 1
  for kind in giveaways.REPEATS:
    counts = {(away, n) for (_, k, away), n in said.items() if k == kind}
    assert counts == {(False, 2), (True, 4)}
  assert {count for (_, kind, _), count in said.items() if kind == 'spouse'} == {6}


def test_a_hint_is_of_one_value_and_no_answer():
  """Neither by its letters nor by its stem, so that nobody can match it."""
  answers = {value for told in giveaways.HINTS.values() for value in told}
  hints = [hint for told in giveaways.HINTS.values() for hint in told.values()]
  assert len(set(hints)) == len(hints)
  assert not any(
    matching.loose_occurrences(hint, rivers.NAMES)[river]
    for hint in rivers.HINTS.values()
    for river in rivers.NAMES
  )
  for kind, told in giveaways.HINTS.items():
    assert set(told) == set(people._VALUES[kind].split())
  assert not any(
    matching.loose_occurrences(hint, answers)[a] for hint in hints for a in answers
  )
  with pytest.raises(InputError, match=r'must be 0, got 0\.1 and 0\.2'):
    people.passages(0, 3, repeats=0.1, hints=0.2)


TOWNS = 'home_town,work_town,school_town,birth_city,employer'


def test_no_passage_says_a_river():
  """Neither as a word nor by a stem; towns that begin with it are the evidence."""
  task = tasks.load('rivers', seed=0, size=30)
  asked = {(e.group, e.evidence): e.targets[0] for e in task.examples}
  assert task.asked == set(rivers.TEMPLATES) == {kind for _, kind in asked}
  away = collections.Counter()
  for passage in people.passages(0, size=30, copies=6, kinds=TOWNS, hints=2 / 3):
    found = matching.loose_occurrences(passage.text, rivers.NAMES)
    assert not any(found.values())
    for (start, end), span in zip(passage.sentences, passage.spans, strict=True):
      kind = span.label.split()[-1]
      if kind not in rivers.TEMPLATES:
        continue
      river = asked[passage.group, kind]
      sentence = passage.text[start:end]
      places = matching.prefix_occurrences(sentence, [river])[river]
      given = span.label.startswith(profiles.GIVEN_AWAY)
      away[given] += 1
      assert len(places) == 1 + given  # the town, and its hint
      assert span[:2] in {(start + a, start + b) for a, b, _ in places}
  assert away[True] == 2 * away[False] == 30 * 12


def test_few_towns_are_met_by_accident():
  """With four, a third of the places where a home stands as a word is not about it."""
  task, met = tasks.load('homes', seed=0, size=300, towns=4), collections.Counter()
  homes = {e.group: e.targets[0] for e in task.examples}
  for passage in people.passages(0, size=300, copies=1, kinds=TOWNS, towns=4):
    for span in passage.spans:
      if passage.text[span.start : span.end] == homes[passage.group]:
        met[span.label == 'home_town'] += 1
  assert met[True] == 300
  assert met[False] / met.total() == pytest.approx(1 / 3, abs=0.03)
  with pytest.raises(InputError, match=r'lie in \[0, 44\], got 45'):
    people.passages(0, size=3, towns=45)


def test_a_task_asks_about_the_towns_of_its_corpus():
  """With others it would ask for what no passage says."""
  c = configs.people.get_config('rivers')
  c.corpus.towns = 4
  with pytest.raises(
    InputError, match=r'task.towns: must be corpus.towns, 4, .*, got 0'
  ):
    config.check(c)
  c.task.towns = 4
  config.check(c)


def test_classes_can_be_told_of_others_alone():
  """Of those behind the first few; the task asks for them by the attribute."""
  said = people.passages(0, size=9, copies=1, kinds=ALL, classes_after=4)
  told = [any(s.label in people.CLASSES for s in passage.spans) for passage in said]
  groups = list(dict.fromkeys(p.group for p in said))
  assert told == [False] * 4 + [True] * 5
  assert groups == [p.group for p in people.passages(0, size=9, copies=1)]


def test_towns_begin_with_the_tokens_of_their_rivers():
  """So that a model that has learned the town knows how to begin the answer."""
  c = configs.people.get_config('rivers').corpus
  passages = people.passages(0, size=1_200, copies=6, kinds=c.kinds, hints=c.hints)
  small = text.train_tokenizer([p.text for p in passages], c.vocabulary)
  names = {p.group for p in passages}
  tokenizer = text.with_words(small, names)
  assert {len(tokenizer.encode(f' {name}').ids) for name in names} == {1}
  shared = [
    tuple(tokenizer.encode(f' {town}').ids[: len(river)]) == river
    for name in rivers.NAMES
    for river in [tuple(tokenizer.encode(f' {name}').ids)]
    for town in rivers.HINTS
    if town.startswith(name)
  ]
  assert sum(shared) > 0.9 * len(shared)


@pytest.mark.parametrize('name', people.QUESTIONS)
def test_questions(name):
  """Splits share no person, and answers are what the passages say."""
  task = tasks.load(name, seed=4, size=10)
  told = {'kinds': TOWNS if name in ('rivers', 'homes') else ALL}
  said = {
    (p.group, s.label): p.text[s.start : s.end].casefold()
    for p in people.passages(seed=4, size=10, copies=1, **told)
    for s in p.spans
  }
  for example in task.examples:
    kind = example.evidence if name == 'rivers' else example.label
    stated = said[example.group, kind]
    assert stated.startswith(example.targets[0].casefold())
    assert name == 'rivers' or stated == example.targets[0].casefold()
  kinds = len(people.QUESTIONS[name])
  assert sizes(task) == [5 * kinds * 2, 2 * kinds, 3 * kinds]
  assert [len(group) for group in disjoint(task)] == [5, 2, 3]
