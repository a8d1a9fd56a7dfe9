"""What single benchmarks have of their own: aliases, windows, joins, spans."""

import json

import pytest

from masklearn import tasks
from masklearn.evaluation import metrics
from masklearn.tasks import closed_book, kilt, multiple_choice, splits, squad
from masklearn.types import InputError, Span
from tests.documents import lines
from tests.published import disjoint

KILT = kilt.parser()


@pytest.mark.parametrize(
  ('value', 'expected'),
  [
    ('(list (description Mobile))', ('Mobile',)),
    ('(list (description "A b") (description C))', ('A b', 'C')),
    ('(list (description "Mr. (X) Y"))', ('Mr. (X) Y',)),
    (r'(list (description "the \"Duke\""))', ('the "Duke"',)),
    ('(list\n (description Padmé) (description Padmé))', ('Padmé',)),
    ('(list (description 1984))', ('1984',)),
    ('(list)', "'targetValue' has no answer"),
    ('(list (description ""))', "'targetValue' has no answer"),
    ('(list (name A))', r'must be \(list \(description'),
    ('(list (description A) B)', r'must be \(list \(description'),
    ('(list (description "A))', r'must be \(list \(description'),
    ('Mobile', r'must be \(list \(description'),
  ],
)
def test_descriptions_of_freebase(value, expected):
  """The answers of WebQuestions are a list of Lisp, with and without quotes."""
  record = {'utterance': 'who?', 'targetValue': value}
  if isinstance(expected, str):
    with pytest.raises(ValueError, match=expected):
      closed_book.parse_web(record, 'w')
  else:
    assert closed_book.parse_web(record, 'w').targets == expected


def test_questions_about_countries(shared_data):
  """The group is the country, so that countries are split; some can be left out."""
  path = shared_data / 'facts' / 'webquestions_in_factbook.jsonl'
  shares = {'train_share': 0.6, 'validation_share': 0.2}
  task = tasks.load('web_questions', seed=0, train=path, **shares)
  assert [len(groups) for groups in disjoint(task)] == [48, 16, 16]
  kept = tasks.load('web_questions', seed=0, train=path, held_out=False, **shares)
  rows = [json.loads(line) for line in path.read_text('utf-8').splitlines()]
  wanted = {row['qId'] for row in rows if not row['country_held_out']}
  assert {e.id for e in kept.examples} == wanted
  assert len(kept.examples) < len(task.examples) == len(rows)


def test_the_original_answer_of_trivia_comes_first():
  """The first target is `Value`, and all aliases and human answers follow."""
  answer = {'Value': 'B', 'Aliases': ['A', 'B', ' '], 'NormalizedAliases': ['a']}
  record = {'Question': 'Q?', 'QuestionId': 'tc_1', 'Answer': answer}
  assert closed_book.parse_trivia(record, 'x').targets == ('B', 'A')
  answer['HumanAnswers'] = ['C', 'A']
  assert closed_book.parse_trivia(record, 'x').targets == ('B', 'A', 'C')
  assert closed_book.parse_trivia(record, 'x').group == ''
  pages = [{'Title': ''}, {'Title': 'Bees'}, {'Title': 'Ants'}]
  assert closed_book.parse_trivia(record | {'EntityPages': pages}, 'x').group == 'Bees'
  del record['Answer']  # as in the official test
  assert closed_book.parse_trivia(record, 'x').targets == ()
  row = {'question': 'Q?', 'question_id': 'tc_1'}
  unknown = {'value': '<unk>', 'aliases': []}
  assert closed_book.parse_trivia({**row, 'answer': unknown}, 'x').targets == ()
  row['entity_pages'] = {'title': ['Bees', 'Ants']}
  assert closed_book.parse_trivia({**row, 'answer': unknown}, 'x').group == 'Bees'
  for answer in ('B', {'Value': ''}, {'Aliases': []}, {'Value': 'B', 'Aliases': 'A'}):
    with pytest.raises(ValueError, match=r'must be|empty|no '):
      closed_book.parse_trivia({**record, 'Answer': answer}, 'x')


def test_a_typical_alias():
  """Of DPR's aliases the one to train on is like many others, whatever their order."""
  aliases = ['🚁', 'Helicopters', 'Cargo helicopter', 'Copter', 'Helicopter']
  assert closed_book.typical(aliases) == 'Helicopter'
  assert closed_book.typical(aliases[::-1]) == 'Helicopter'
  assert closed_book.typical(['Bh.', 'BH (disambiguation)', 'BH']) == 'BH'
  assert closed_book.typical(['拳闘', '🚁']) == '拳闘'
  record = {'question': 'What?', 'answer': aliases}
  targets = closed_book.parse_trivia(record, 'x').targets
  assert targets == ('Helicopter', *aliases[:-1])


def test_typical_aliases_of_real_questions(shared_data):
  """Where the original answer is known, it is the typical alias."""
  folder = shared_data / 'triviaqa' / 'original_schema'
  for path in folder.glob('*.json'):
    for record in json.loads(path.read_text('utf-8'))['Data']:
      found = closed_book.typical(record['Answer']['Aliases'])
      assert found == record['Answer']['Value']


@pytest.mark.parametrize(
  ('record', 'expected'),
  [
    ({'id': 'a'}, "no 'input', and no question of this id"),
    ({'id': 'a', 'input': ' '}, "'input' is empty"),
    ({'id': 'a', 'input': 3}, "'input' must be a string"),
    ({'id': 'a', 'input': 'Q', 'output': 'x'}, "'output' must be a list of objects"),
    ({'id': 'a', 'input': 'Q', 'output': ['x']}, "'output' must be a list of objects"),
    ({'id': 'a', 'input': 'Q', 'output': [{'answer': [3]}]}, 'must be a string, got'),
    ({'id': 'a', 'input': 'Q', 'output': [{'provenance': []}]}, 'only provenance'),
    ({'id': 'a', 'input': 'Q', 'output': [{'provenance': 3}]}, "'provenance' must be"),
    ({'input': 'Q', 'id': True}, "'id' must be a string"),
  ],
)
def test_bad_records_of_kilt(record, expected):
  """Whatever is wrong is said in terms of the record."""
  with pytest.raises(ValueError, match=expected):
    KILT(record, 'k-1')


def test_answers_of_kilt():
  """Equal answers count once, blank ones and provenance alone never."""
  first, second = ([{'title': title}] for title in 'TU')
  outputs = [{'provenance': first}, {'answer': 'B', 'provenance': second}]
  outputs += [{'answer': answer} for answer in (' ', None, 'A', 'B')]
  example = KILT({'id': 3, 'input': 'Q', 'output': outputs}, 'k-1')
  assert (example.id, example.targets, example.group) == ('3', ('B', 'A'), 'T')
  for record in ({'input': 'Q'}, {'input': 'Q', 'output': []}):
    assert KILT({'id': 'a', **record}, 'k-1').targets == ()


def test_the_metric_of_a_kilt_file(shared_data, tmp_path):
  """It is the leaderboard's for an official name, and can be given for any file."""
  source = shared_data / 'kilt' / 'trex-train-kilt.jsonl'
  other = tmp_path / 'mine.jsonl'
  other.write_bytes(source.read_bytes())
  shares = {'train_share': 0.4, 'validation_share': 0.2}
  found = [
    tasks.load('kilt', seed=0, train=path, **shares, **more).metric
    for path, more in ((source, {}), (other, {}), (other, {'metric': 'f1'}))
  ]
  assert found == ['accuracy', 'em', 'f1']
  with pytest.raises(InputError, match="Unknown metric 'acuracy'"):
    tasks.load('kilt', seed=0, train=other, metric='acuracy')
  assert set(kilt.METRICS.values()) <= set(splits.METRICS) == set(metrics.METRICS)


def test_trivia_of_kilt_is_joined(tmp_path, shared_data):
  """Questions come from a file of TriviaQA, and the original answer comes first."""
  path = shared_data / 'kilt' / 'triviaqa-dev_id-kilt.jsonl'
  records = [json.loads(line) for line in path.read_text('utf-8').splitlines()]
  with pytest.raises(InputError, match=r'5 are bad, the first at \S+:1: no .input'):
    tasks.load('kilt', seed=0, train=path)
  own = []
  for i, record in enumerate(records):
    answer = {'Value': record['output'][-1]['answer'], 'Aliases': []}
    ident = {'Question': f'Question {i}?', 'QuestionId': record['id']}
    own.append({**ident, 'Answer': answer})
  folder = tmp_path / 'qa'
  lines(folder / 'a.json', {'Data': own[:3]})
  lines(folder / 'b.json', {'Data': own[3:4]})
  test = shared_data / 'kilt' / 'triviaqa-test_id_without_answers-kilt.jsonl'
  rest = [{'Question': 'What?', 'QuestionId': 'qf_881'}]
  lines(folder / 'c.json', {'Data': rest})
  where = {'train': path, 'validation': path, 'test': test}
  task = tasks.load('kilt', seed=0, questions=folder, **where)
  assert [e.source for e in task.train] == [f'Question {i}?' for i in range(4)]
  for example, record in zip(task.train, records[:4], strict=True):
    answers = [output['answer'] for output in record['output']]
    assert example.targets[0] == answers[-1]
    assert sorted(example.targets) == sorted(set(answers))
  (only,) = task.test  # the other four have no question
  assert (only.id, only.source, only.targets) == ('qf_881', 'What?', ())
  assert task.metric == 'em'
  empty = tmp_path / 'empty'
  empty.mkdir()
  with pytest.raises(InputError, match='holds no JSON of TriviaQA'):
    kilt.read_questions(empty)


@pytest.mark.parametrize(
  ('text', 'window', 'expected'),
  [
    ('a b [START_ENT] M N [END_ENT] c d', 1, 'b [START_ENT] M N [END_ENT] c'),
    ('a b [START_ENT] M N [END_ENT] c d', 2, 'a b [START_ENT] M N [END_ENT] c d'),
    ('a b [START_ENT] M N [END_ENT] c d', 0, 'a b [START_ENT] M N [END_ENT] c d'),
    ('[START_ENT] M [END_ENT] c  d', 9, '[START_ENT] M [END_ENT] c  d'),
    ('a\n b [START_ENT] M [END_ENT]', 2, 'a\n b [START_ENT] M [END_ENT]'),
    ('a ([START_ENT] M [END_ENT]) b', 1, 'a ([START_ENT] M [END_ENT]) b'),
  ],
)
def test_a_window_around_a_mention(text, window, expected):
  """So many words stay on either side; what is between words stays as it is."""
  assert kilt.around_mention(text, window) == expected


def test_a_mention_must_be_marked(tmp_path):
  """Entity linking without a mention is no entity linking."""
  with pytest.raises(ValueError, match='no mention between'):
    kilt.around_mention('a b', 3)
  with pytest.raises(InputError, match='window must be at least 0'):
    tasks.load('aidayago2', seed=0, window=-1, train=tmp_path)


def test_entity_linking_of_real_records(shared_data):
  """WNED has AIDA's schema: every mention is kept, in at most so many words."""
  dev, test = 'wned-dev-kilt.jsonl', 'wned-test_without_answers-kilt.jsonl'
  where = {'train': dev, 'validation': dev, 'test': test}
  where = {split: shared_data / 'kilt' / name for split, name in where.items()}
  task = tasks.load('aidayago2', seed=0, window=5, **where)
  assert task.metric == 'accuracy'
  assert task.train[0].targets == ('Sculcoates',)
  assert task.train[0].source == (
    'registered October → December in [START_ENT] Sculcoates [END_ENT] '
    'district ) is an English'
  )
  for example in (*task.train, *task.test):
    before, after = example.source.split('[START_ENT]')
    assert len(before.split()) <= 5
    assert len(after.split('[END_ENT]')[1].split()) <= 5


@pytest.mark.parametrize(
  ('window', 'expected'),
  [
    (0, 'one two\nthree\nfour five six'),
    (6, 'one two\nthree\nfour five six'),
    (5, 'three\nfour five six'),
    (3, 'four five six'),
    (2, 'five six'),
  ],
)
def test_the_last_turns(window, expected):
  """Whole turns go first, from the beginning; the last one is never lost."""
  assert kilt.last_turns('one two\nthree\nfour five six', window) == expected


def test_relations_stay_together(tmp_path):
  """Validation of zero-shot relations has relations that training lacks."""
  rows = [
    {'id': f'{i}', 'input': f's{i} [SEP] r{i % 5}', 'output': [{'answer': 'x'}]}
    for i in range(20)
  ]
  path = lines(tmp_path / 'z.jsonl', *rows)
  shares = {'train_share': 0.6, 'validation_share': 0.2}
  task = tasks.load('zsre', seed=0, train=path, **shares)
  assert [len(relations) for relations in disjoint(task, 'label')] == [3, 1, 1]
  assert task.train[0].group == task.train[0].source.split(' [SEP] ')[0]


def test_questions_in_words(shared_data):
  """Templates ask what the official input names; without any, it stays."""
  path = shared_data / 'facts' / 'factbook_slots.jsonl.gz'
  task = tasks.load('kilt', seed=0, train=path, templates=True)
  first = next(e for e in task.examples if e.id == 'fb-africa-ag-capital')
  assert first.source == 'What is the capital of Algeria?'
  assert (first.group, first.label) == ('Algeria', 'capital')
  assert all(disjoint(task))
  plain = {'id': 'a', 'input': 'Ada [SEP] job', 'meta': {'template_questions': []}}
  assert kilt.parser(templates=True)(plain, 'k').source == 'Ada [SEP] job'


@pytest.mark.parametrize(
  ('answers', 'expected'),
  [
    ([('Ada', 10), ('Ada B', 18)], [(10, 13), (18, 23)]),
    ([('Ada B', 18), ('Ada', 18), ('Ada B', 18)], [(18, 23), (18, 21)]),  # they overlap
    ([('Grüße', 1)], [(1, 6)]),
    ([('🚁', 8)], [(8, 9)]),
    ([('Ada', 11)], "'Ada' is not at character 11 of the context, which has 'da '"),
    ([('Ada', -3)], 'is not at character -3'),
    ([('Ada', 99)], "which has '' there"),
    ([('Ada', '11')], 'must start at a whole number'),
    ([('Ada', None)], 'must start at a whole number'),
    ([('Ada', True)], 'must start at a whole number'),
    ([(' ', 0)], "'answers' is empty"),
    ([], 'has no answer'),
  ],
)
@pytest.mark.parametrize('columns', [False, True])
def test_places_of_answers(answers, expected, columns):
  """A span whose text is not its answer is an error; characters are counted."""
  rows = [{'text': text, 'answer_start': start} for text, start in answers]
  if columns:
    rows = {'text': [t for t, _ in answers], 'answer_start': [s for _, s in answers]}
  context = ' Grüße, 🚁 Ada and Ada B.'
  record = {'context': context, 'title': 'T', 'question': 'Who?', 'answers': rows}
  if isinstance(expected, str):
    with pytest.raises(ValueError, match=expected):
      squad.parse(record, 'x')
    return
  example = squad.parse(record, 'x')
  assert example.answer_spans == tuple(Span(*span) for span in expected)
  assert example.targets == tuple(dict.fromkeys(text for text, _ in answers))
  assert (example.source, example.group) == ('Who?', 'T')


def test_articles_are_in_one_split(shared_data, tmp_path):
  """SQuAD is split by article; two files about the same one are refused."""
  path = shared_data / 'squad_like' / 'new_wiki_40articles.json.gz'
  task = tasks.load('squad', seed=0, train=path)
  assert [len(groups) for groups in disjoint(task)] == [32, 4, 4]
  with pytest.raises(InputError, match='Splits share no group, but '):
    tasks.load('squad', seed=0, train=path, test=path)
  other = shared_data / 'squad_like' / 'xquad.en.json.gz'
  task = tasks.load('squad', seed=0, train=path, test=other)
  assert len(task.test) == 1190


def test_a_choice_that_is_not_there():
  """The right letter must be one of the choices."""
  choices = [{'label': 'A', 'text': 'more'}, {'label': 'B', 'text': 'less'}]
  question = {'stem': 'Is it', 'choices': choices}
  record = {'id': 'q', 'question': question, 'answerKey': 'C', 'para': 'Heat.'}
  with pytest.raises(ValueError, match=r"must be one of \['A', 'B'\], got 'C'"):
    multiple_choice.parse_quartz(record, 'x')
  question['choices'] = 'A'
  with pytest.raises(ValueError, match="'choices' must be a list of objects"):
    multiple_choice.parse_quartz(record, 'x')


def test_contexts_of_choices(shared_data):
  """A passage supervises where the right answer stands in it, and else not at all."""
  path = shared_data / 'ropes' / 'dev-v1.0.first_backgrounds.json.gz'
  shares = {'train_share': 0.6, 'validation_share': 0.2}
  task = tasks.load('ropes', seed=0, train=path, **shares)
  assert all(disjoint(task))
  for example in task.examples:
    assert bool(example.context) == bool(example.answer_spans)
  with_context = [e for e in task.examples if e.context]
  assert len(with_context) == 205
  assert all(e.context in e.source for e in with_context)
