"""The embedded facts, the prose around them, and the questions about them."""

import collections
import hashlib
import importlib.util
import itertools
import json
import pathlib
import re
import tomllib
import unicodedata

import pytest

from masklearn import tasks
from masklearn.evaluation import baselines
from masklearn.tasks import people, world
from masklearn.types import InputError
from tests.published import disjoint

ROOT = pathlib.Path(__file__).parents[1]
TABLE = ROOT / 'masklearn' / 'tasks' / 'world.jsonl'


@pytest.fixture(scope='module')
def table():
  """The shipped facts by country."""
  rows = map(json.loads, TABLE.read_text('utf-8').splitlines())
  return {row['country']: row['facts'] for row in rows}


def folded(name):
  """Letters of a name without accents, case, punctuation and the word Saint."""
  plain = unicodedata.normalize('NFKD', re.sub(r'\b(Saint|St\.?) ', '', name))
  return ''.join(letter for letter in plain if letter.isalpha()).casefold()


def test_the_table_is_clean(table):
  """Every answer is short, and nothing is left of how the source wrote it."""
  answers = [a for facts in table.values() for found in facts.values() for a in found]
  for answer in answers:
    assert re.fullmatch(r"[\w\-',. ]+", answer), answer  # no brackets, quotes, slashes
    assert answer == ' '.join(answer.split())
    assert len(answer.split()) <= 4, answer
    assert answer == 'K2' or not re.search(r'\d', answer), answer
    assert not re.search(r'\b[A-Z]{4,}\b', answer), answer
    assert not re.search(r'\b(unnamed|almost|note|other|official)\b', answer), answer


def test_the_table_is_complete(table):
  """Each country has its capital and seven other facts, each fact some answer."""
  assert TABLE.read_bytes().count(b'\n') == len(table) == 199
  for facts in table.values():
    assert 'capital' in facts
    assert len(facts) >= 8
    assert set(facts) <= set(world.TEMPLATES)
    for answers in facts.values():
      assert answers
      assert len(answers) == len(set(answers))
  counts = collections.Counter(kind for facts in table.values() for kind in facts)
  assert min(counts.values()) >= 135  # an island has no neighbour


def test_some_facts_that_anyone_can_check(table):
  """Spellings, units and second names came through the cleaning."""
  assert table['Chad']['largest_city'] == ["N'Djamena"]
  assert table['Haiti']['largest_city'] == ['Port-au-Prince']
  assert table['Costa Rica']['largest_city'] == ['San José']
  assert table['Switzerland']['largest_city'] == ['Zurich']
  assert table['Senegal']['currency'] == table['Niger']['currency']
  assert table['Chad']['currency'] == table['Gabon']['currency']
  assert table['Tanzania']['language'][:2] == ['Kiswahili', 'Swahili']
  assert table['Iceland']['religion'][0] == 'Lutheran'
  assert table['South Africa']['capital'] == ['Pretoria', 'Cape Town', 'Bloemfontein']
  assert table['Nepal']['highest_point'] == ['Mount Everest']
  assert 'highest_point' not in table['Senegal']  # 'unnamed elevation'
  assert 'highest_point' not in table['Maldives']  # '8th tee, golf course'
  assert 'export_partner' not in table['Jersey']  # 'almost entirely United Kingdom'
  assert 'anthem' not in table['Canada']  # the source has only the crown's


def test_another_source_agrees(table, shared_data):
  """Capitals and currencies are those of an independent table, but for a few."""
  others = {}
  source = shared_data / 'facts' / 'countries.jsonl'
  for line in source.read_text('utf-8').splitlines():
    other = json.loads(line)
    for name in (*other['altSpellings'], other['official'], other['name']):
      others[folded(name)] = other
  matched = [(facts, others.get(folded(name))) for name, facts in table.items()]
  matched = [(facts, other) for facts, other in matched if other]
  assert len(matched) >= 0.95 * len(table)
  same_capital = same_currency = 0
  for facts, other in matched:
    capitals = {folded(c) for c in other['capital']}
    same_capital += any(folded(c) in capitals for c in facts['capital'])
    # Words are in another number here: dinars, dinar; kroner, krone.
    stems = [folded(c['name'].split()[-1])[:4] for c in other['currencies'].values()]
    same_currency += any(stem in folded(facts['currency'][0]) for stem in stems)
  assert same_capital >= 0.95 * len(matched)
  assert same_currency >= 0.95 * len(matched)


def test_the_script_makes_the_shipped_table(shared_data, tmp_path):
  """The table is what third_party/world/build.py makes of the source, byte for byte."""
  path = ROOT / 'third_party' / 'world' / 'build.py'
  spec = importlib.util.spec_from_file_location('build_world', path)
  build = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(build)
  source = shared_data / 'corpora' / 'factbook_profiles.jsonl.gz'
  build.main(str(source), str(tmp_path / 'world.jsonl'))
  assert (tmp_path / 'world.jsonl').read_bytes() == TABLE.read_bytes()


def test_the_manifest_names_the_shipped_table():
  """third_party/datasets.toml has the digest of the table that ships."""
  manifest = tomllib.loads((ROOT / 'third_party' / 'datasets.toml').read_text('utf-8'))
  (entry,) = manifest['dataset']
  assert ROOT / entry['file'] == TABLE
  assert entry['sha256'] == hashlib.sha256(TABLE.read_bytes()).hexdigest()


TEMPLATES = people.TEMPLATES | world.TEMPLATES


@pytest.mark.parametrize('kind', TEMPLATES)
def test_values_come_first_between_and_last(kind):
  """The place in a sentence does not tell a value of any kind."""
  templates = TEMPLATES[kind]
  assert len(set(templates)) == len(templates) >= 4
  places = set()
  for template in templates:
    before, after = template.split('{value}')
    assert '{subject}' in before + after
    places.add(
      'first' if before in ('', '{a} ') else 'last' if after == '.' else 'between'
    )
  assert places == {'first', 'between', 'last'}


def test_every_fact_has_one_sentence(table):
  """A profile has a sentence for each fact, and its spans hold the first answers."""
  passages = world.passages(seed=3, copies=2)
  assert len(passages) == 2 * len(table)
  assert len({p.id for p in passages}) == len(passages)
  for passage in passages:
    values = {s.label: passage.text[s.start : s.end] for s in passage.spans}
    expected = {kind: answers[0] for kind, answers in table[passage.group].items()}
    assert values.keys() == expected.keys()
    for kind, value in values.items():
      # The first word of a sentence is capitalised.
      assert value in (expected[kind], expected[kind][0].upper() + expected[kind][1:])
    for (start, end), span in zip(passage.sentences, passage.spans, strict=True):
      assert start <= span.start < span.end < end
      assert passage.group in passage.text[start:end]
      assert passage.text[start].isupper()
      assert passage.text[end - 1] == '.'


def test_sentences_tile_the_text():
  """Sentences follow each other with one space between them, to the end."""
  for passage in world.passages(seed=0, copies=1):
    assert passage.sentences[0][0] == 0
    assert passage.sentences[-1][1] == len(passage.text)
    for (_, end), (start, _) in itertools.pairwise(passage.sentences):
      assert passage.text[end:start] == ' '


def test_profiles_are_short():
  """The mean profile has about 70 words, and few have more than 95."""
  lengths = [len(p.text.split()) for p in world.passages(seed=0)]
  assert sum(lengths) / len(lengths) < 75
  assert sum(n > 95 for n in lengths) < 0.03 * len(lengths)


def test_articles_stand_where_prose_wants_them():
  """Articles precede some names, are no part of values, and suit the vowel."""
  passages = {p.id: p for p in world.passages(seed=0, copies=5)}
  for copy in range(5):
    passage = passages[f'bahamas-{copy}']
    assert len(re.findall('[Tt]he Bahamas', passage.text)) == len(passage.sentences)
    values = {s.label: passage.text[s.start : s.end] for s in passage.spans}
    assert values['region'] == 'Caribbean'
    assert values['export_partner'] == 'United States'
    assert ' an absolute' in passages[f'oman-{copy}'].text.replace('An ', ' an ')
    assert ' a unitary' in passages[f'iceland-{copy}'].text.replace('A ', ' a ')


def test_copies_differ():
  """Four copies of a country word each fact in four ways."""
  copies = [p for p in world.passages(seed=0) if p.group == 'Peru']
  frames = collections.defaultdict(set)
  for passage in copies:
    for (start, end), span in zip(passage.sentences, passage.spans, strict=True):
      text = passage.text
      frames[span.label].add(text[start : span.start] + '_' + text[span.end : end])
  assert {len(f) for f in frames.values()} == {4}


def test_the_seed_decides():
  """The same seed gives the same prose and split, another one others."""
  assert world.passages(0) == world.passages(0)
  assert world.passages(0) != world.passages(1)
  assert tasks.load('civics', 0) == tasks.load('civics', 0)
  assert tasks.load('civics', 0) != tasks.load('civics', 1)


def test_profiles_can_tell_some_facts():
  """In turn, so that each is told of its country somewhere."""
  some, whole = (world.passages(seed=0, copies=9, told=told) for told in (2, 0))
  assert max(len(p.spans) for p in some) == 2

  def told(passages):
    return {(p.group, s.label) for p in passages for s in p.spans}

  assert told(some) == told(whole)


def test_tasks_share_a_split_by_country(table):
  """Splits share no country, cover all of them, and are the same for both tasks."""
  found, other = (disjoint(tasks.load(n, seed=5)) for n in ('civics', 'geography'))
  assert found == other
  assert [len(countries) for countries in found] == [100, 39, 60]
  assert set().union(*found) == set(table)
  assert set().union(*found) == {p.group for p in world.passages(5, copies=1)}


def test_the_test_is_the_same_for_all_seeds():
  """What is chosen on validation questions, of any seed, has never seen it."""
  found = [disjoint(tasks.load('civics', seed)) for seed in range(3)]
  assert len({frozenset(test) for _, _, test in found}) == 1
  assert len({frozenset(train) for train, _, _ in found}) == 3


@pytest.mark.parametrize('name', world.QUESTIONS)
def test_questions(table, name):
  """Training asks twice, the other splits once, and answers are the table's."""
  task = tasks.load(name, seed=0)
  assert task.asked == set(world.QUESTIONS[name])
  assert len({e.id for e in task.examples}) == len(task.examples)
  for split, times in (('train', 2), ('validation', 1), ('test', 1)):
    asked = collections.Counter((e.group, e.label) for e in task.split(split))
    assert set(asked.values()) == {times}
    for country, kind in asked:
      assert kind in table[country]
  for example in task.examples:
    assert example.targets == tuple(table[example.group][example.label])
    assert example.group in example.source
    assert example.source.endswith('?')


def test_shuffled_answers_are_of_the_same_kind():
  """Exchanged in training and validation, and as often as before; not in the test."""
  task = tasks.load('civics', seed=0)
  mixed = tasks.shuffled(task, seed=1)
  assert mixed.test == task.test
  for split in ('train', 'validation'):
    before, after = (
      collections.Counter((e.label, e.targets) for e in t.split(split))
      for t in (task, mixed)
    )
    assert before == after
    pairs = zip(task.split(split), mixed.split(split), strict=True)
    kept = [a.targets == b.targets for a, b in pairs]
    assert sum(kept) < 0.5 * len(kept)
  assert mixed == tasks.shuffled(task, seed=1) != tasks.shuffled(task, seed=2)


def test_majority_baseline():
  """It answers each label with its most frequent training answer."""
  task = tasks.load('civics', seed=0)
  best = {}
  for kind in task.asked:
    answers = [e.targets[0] for e in task.train if e.label == kind]
    best[kind] = max(answers, key=answers.count)
  right = [best[e.label] in e.targets for e in task.test]
  share = sum(right) / len(right)
  assert baselines.majority_baseline(task, 'test') == pytest.approx(share)


@pytest.mark.parametrize('shares', [(0, 0.2), (0.5, -0.1), (0.9, 0.2)])
def test_bad_shares(shares):
  """Shares that are none are refused."""
  with pytest.raises(InputError, match='train_share must be above 0'):
    tasks.load('civics', 0, train_share=shares[0], validation_share=shares[1])


def test_an_empty_split_is_refused():
  """A task needs questions for training, for every choice and for the test."""
  with pytest.raises(InputError, match="Task 'civics' has no test questions"):
    tasks.load('civics', 0, train_share=0.7, validation_share=0.3)
