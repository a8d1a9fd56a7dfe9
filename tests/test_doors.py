"""Corpora and questions in the forms that people have them in."""

import json
import lzma

import pyarrow
import pytest
from pyarrow import parquet

from masklearn import data
from masklearn.data import wiki
from masklearn.io import lines as io_lines
from masklearn.io import paths, record_files, records
from masklearn.tasks import closed_book, joining, jsonl, squad
from masklearn.types import Example, InputError, Passage, Task
from tests.documents import lines


def load(name, path):
  """Documents of a corpus without a problem."""
  found, problems = data.load_documents(name, seed=0, path=path)
  assert not problems, problems
  return [(d.id, d.text, d.group) for d in found]


ROWS = [{'id': '1', 'title': 'Oslo', 'text': 'Oslo lies in Norway.'},
        {'id': '2', 'title': 'Bern', 'text': 'Bern & its bears.'}]  # fmt: skip
FOUND = [(r['id'], r['text'], r['title']) for r in ROWS]
JSON = ''.join(json.dumps(row) + '\n' for row in ROWS).encode()


@pytest.mark.parametrize(
  ('name', 'content'),
  [
    ('a.jsonl', JSON),
    ('a.jsonl.xz', lzma.compress(JSON)),
    ('a.jsonl.zst', pyarrow.compress(JSON, codec='zstd', asbytes=True)),
    ('of-another-name', pyarrow.compress(JSON, codec='zstd', asbytes=True)),
    ('a.json', json.dumps(ROWS, indent=1).encode()),
    ('a.tsv', b'id\ttext\ttitle\n1\tOslo lies in Norway.\tOslo\n'
              b'2\tBern & its bears.\tBern'),
    ('a.tsv', b'id\ttitle\ttext\r\n1\tOslo\tOslo lies in Norway.\r\n'
              b'2\tBern\t"Bern & its bears."'),
    ('a.tsv', b'pid\ttext\ttitle\n1\tOslo lies\tin Norway.\tOslo\n'
              b'2\tBern & its bears.\tBern'),
  ],
)  # fmt: skip
def test_one_corpus_in_many_files(tmp_path, name, content):
  """By how the file begins, or by the names of its columns."""
  (tmp_path / name).write_bytes(content)
  assert load('wikipedia', tmp_path / name) == FOUND


@pytest.mark.parametrize('name', ['a.parquet', 'of-another-name'])
def test_parquet_corpora(tmp_path, name):
  """Of every format; wikitext of the hub has a line in each row."""
  path = tmp_path / name
  parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
  assert load('wikipedia', path) == FOUND
  assert load('jsonl', path) == [(i, text, '') for i, text, _ in FOUND]
  found = [{'text': x} for x in ('', ' = Oslo = \n', '', ' It lies north . \n')]
  parquet.write_table(pyarrow.Table.from_pylist(found), path)
  (only,) = load('wikitext', path)
  assert only[1:] == ('It lies north .', 'Oslo')


@pytest.mark.parametrize(
  'heading',
  ['1\tOslo lies in Norway.\tOslo', 'id\ttext', 'id\ttext\ttitle\turl', '\xff'],
)
def test_columns_are_never_guessed(tmp_path, heading):
  """A table without a heading, or with another, is refused by its line."""
  path = lines(tmp_path / 'a.tsv', heading.encode('latin1'), '1\tOslo\tx')
  with pytest.raises(InputError, match=r'a\.tsv:1: (expected .*, got|not UTF-8)'):
    data.load_documents('wikipedia', seed=0, path=path)


def test_wikiextractor_three_escapes_and_others_do_not(tmp_path):
  """A text is unescaped once, and only where nothing in the file is bare."""
  head = '<doc id="{}" revid="7" url="u" title="{}">'
  third = (
    'Barnes &amp; Noble',
    'Barnes &amp; Noble',
    '',
    'AT&amp;T &lt; "x" &amp;amp;',
  )
  rows = [head.format(1, third[0]), *third[1:], '</doc>']
  path = lines(tmp_path / 'third', *rows)
  assert load('wikipedia', path) == [('1', 'AT&T < "x" &amp;', 'Barnes & Noble')]
  body = '\n'.join(third[1:])
  record = {'id': '1', 'revid': '7', 'url': 'u', 'title': third[0], 'text': body}
  path = lines(tmp_path / 'third.json', record)
  assert load('wikipedia', path) == [('1', 'AT&T < "x" &amp;', 'Barnes & Noble')]
  # Versions 1 and 2: one article of the file has a bare one.
  rows = [head.format(1, 'HTML'), 'Write &amp;', '</doc>']
  rows += [head.format(2, 'A &amp; B'), 'A & B', 'a < b', '</doc>']
  expected = [('1', 'Write &amp;', 'HTML'), ('2', 'a < b', 'A & B')]
  assert load('wikipedia', lines(tmp_path / 'second', *rows)) == expected


@pytest.mark.parametrize(
  'attributes',
  ['id="12" revid="3" url="u" title="The "A" team"',
   'title="The "A" team" url="u" revid="3" id="12"'],
)  # fmt: skip
def test_attributes_in_any_order(tmp_path, attributes):
  """Also with quotes in a title."""
  path = lines(tmp_path / 'a', f'<doc {attributes}>', 'Text.', '</doc>')
  assert load('wikipedia', path) == [('12', 'Text.', 'The "A" team')]


def test_dumps_of_search_indexes_and_collections(tmp_path):
  """Cirrus's pairs of lines, KILT's knowledge source, and pyserini's contents."""
  path = lines(
    tmp_path / 'cirrus.json',
    {'index': {'_type': '_doc', '_id': '12'}}, {'title': 'Oslo', 'text': 'It lies.'},
    {'index': {'_id': '13'}}, {'title': 'Bern', 'text': 'Bears.', 'namespace': 0},
  )  # fmt: skip
  found = [('12', 'It lies.', 'Oslo'), ('13', 'Bears.', 'Bern')]
  assert load('wikipedia', path) == found
  article = {
    '_id': '12', 'wikipedia_id': '12', 'wikipedia_title': 'Oslo',
    'text': ['Oslo\n', 'It lies.\n', 'Section::::Sights.\n', 'BULLET::::- A fort\n'],
  }  # fmt: skip
  path = lines(tmp_path / 'kilt.json', article)
  assert load('wikipedia', path) == [('12', 'It lies. A fort', 'Oslo')]
  path = lines(tmp_path / 'p.jsonl', {'id': 7, 'contents': '"Oslo"\nIt lies.'})
  assert load('wikipedia', path) == [('7', 'It lies.', 'Oslo')]
  assert load('jsonl', path) == [('7', '"Oslo"\nIt lies.', '')]


CONTEXTS = [{'title': 'Oslo', 'text': 'It lies.'}, {'title': 'Bern', 'text': 'x'}]
QUESTIONS = {
  'DPR': ({'question': 'Q?', 'answers': ['A', 'B'], 'positive_ctxs': CONTEXTS}, 'Oslo'),
  'FiD': ({'question': 'Q?', 'target': 'A', 'answers': ['B', 'A'], 'ctxs': CONTEXTS},
          ''),
  'plain': ({'question': 'Q?', 'answers': ['A', 'B']}, ''),
}  # fmt: skip


@pytest.mark.parametrize('kind', QUESTIONS)
@pytest.mark.parametrize('parse', [closed_book.parse_nq, jsonl.parse])
def test_questions_with_passages(tmp_path, kind, parse):
  """As lines and as a document; the group is the title of DPR's first passage."""
  record, group = QUESTIONS[kind]
  for rows in ([record], [[record, record]]):
    examples, _ = record_files.read_records(lines(tmp_path / 'q.json', *rows), parse)
    assert [(e.source, e.targets, e.group) for e in examples] == [
      ('Q?', ('A', 'B'), group)
    ] * len(examples)


def test_tables_of_questions(tmp_path):
  """DPR's, with a list in Python's writing; others by the names of their columns."""
  rows = 'who?\t["A", "B"]', '"say ""x"""\t[\'C\']', 'why?', 'what?\t[]'
  path = lines(tmp_path / 'nq-test.qa.csv', *rows)
  examples, problems = record_files.read_records(path, closed_book.parse_nq)
  assert [(e.id, e.source, e.targets) for e in examples] == [
    ('nq-test.qa-1', 'who?', ('A', 'B')), ('nq-test.qa-2', 'say "x"', ('C',))
  ]  # fmt: skip
  assert problems == [
    f'{path}:3: 2 columns are expected, got 1.', f"{path}:4: 'answers' has no answer."
  ]  # fmt: skip
  path = lines(tmp_path / 'q.csv', 'target,source', 'A,"Q,', 'or?"', b'\xff,x', 'B,R')
  examples, problems = record_files.read_records(path, jsonl.parse)
  assert [(e.source, e.targets) for e in examples] == [
    ('Q,\nor?', ('A',)),
    ('R', ('B',)),
  ]
  assert problems == [f'{path}:4: not UTF-8 at byte 0.']


@pytest.mark.parametrize(
  ('record', 'targets', 'notes'),
  [
    ({'source': 'Q', 'targets': ['Lake', '']}, ('Lake',), ['targets[1] is blank']),
    ({'source': 'Q', 'targets': [None, 'Lake']}, ('Lake',), ['targets[0] is null']),
    ({'source': 'Q', 'targets': [1969, 2.5]}, ('1969', '2.5'),
     ['targets[0] is the number 1969', 'targets[1] is the number 2.5']),
    ({'source': 'Q', 'target': 'a', 'targets': ['b']}, ('b',), ["'target' is left"]),
    ({'source': 'Q', 'target': 'a', 'Group': 'x'}, ('a',), ["did you mean 'group'?"]),
    ({'source': 'Q', 'target': 'a', 'lable': 'x'}, ('a',), ["did you mean 'label'?"]),
    ({'input': 'Q', 'id': 'a', 'output': [{'answer': ' '}, {'answer': 7}]}, ('7',),
     ['output[0].answer is blank', 'output[1].answer is the number 7']),
    ({'question': 'Q', 'answer': ['x', ' ']}, ('x',), ['answer[1] is blank']),
  ],
)  # fmt: skip
def test_one_bad_value_costs_no_record(tmp_path, caplog, record, targets, notes):
  """It is left out, or read as text, and which one is said and counted."""
  path = lines(tmp_path / 'q.jsonl', record)
  (example,), problems = jsonl.read(path)
  assert example.targets == targets
  assert (list(problems), problems.noted) == ([], len(notes))
  for said, expected in zip(problems.notes, notes, strict=True):
    assert said.startswith(f'{path}:1: ')
    assert expected in said


def test_one_bad_value_of_other_loaders():
  """TriviaQA's aliases, SQuAD's answers, and choices."""
  record = {'Question': 'Q', 'QuestionId': '1',
            'Answer': {'Value': 1969, 'Aliases': ['', '69']}}  # fmt: skip
  assert closed_book.parse_trivia(record, '').targets == ('1969', '69')
  answers = [{'text': '', 'answer_start': 0}, {'text': 'b', 'answer_start': 2}]
  record = {'context': 'a b', 'question': 'Q', 'answers': answers}
  assert squad.parse(record, 'x').targets == ('b',)


def test_a_flood_of_problems_is_counted(tmp_path):
  """The first thousand are remembered, in the order of the file."""
  path = lines(tmp_path / 'q.jsonl', *[b'{}'] * 5_000, {'source': 'Q', 'target': 'A'})
  examples, problems = jsonl.read(path)
  assert (len(examples), problems.count) == (1, 5_000)
  assert len(problems) == records.EXAMPLES
  assert problems[-1].startswith(f'{path}:1000: ')


def test_a_line_is_bounded(tmp_path, monkeypatch):
  """One that is as long as it may be is read; one byte more is refused by its place."""
  monkeypatch.setattr(io_lines, 'LINE', 100)
  path = tmp_path / 'a.jsonl'
  path.write_bytes(b'x' * 99 + b'\n' + b'y' * 100)
  assert [len(line) for _, line in io_lines.lines(path)] == [100, 100]
  path.write_bytes(b'x' * 99 + b'\n' + b'y' * 100 + b'\n')
  with pytest.raises(InputError, match=r'a\.jsonl:2: a line may have 0 MiB'):
    list(io_lines.lines(path))
  monkeypatch.setattr(io_lines, 'UNPACKED', 30)  # A line is read in such pieces.
  path.write_bytes(b'x' * 99 + b'\n' + b'y' * 70)
  assert [len(line) for _, line in io_lines.lines(path)] == [100, 70]


def test_a_document_is_bounded(tmp_path, monkeypatch):
  """As it is in memory as a whole."""
  path = tmp_path / 'a.json'
  path.write_bytes(b'[' + b'1,\n' * 99 + b'1]')
  monkeypatch.setattr(record_files, 'DOCUMENT', 100)
  with pytest.raises(InputError, match=r'a\.json:\d+: a JSON document may have 0 MiB'):
    list(record_files.read(path))


@pytest.mark.parametrize('path', ['gs://b', 's3:/b', 'a+b://c', 'x\0y', 'y' * 256])
def test_what_is_no_path(path):
  """URLs, also as `pathlib` writes them, null characters, and names too long."""
  with pytest.raises(InputError, match=r'^--workdir '):
    paths.check_local(path, '--workdir')


@pytest.mark.parametrize('path', ['', 'a:b', 'C:/data', '/a/b:/c', 'y' * 255, 'ä/é'])
def test_what_is_a_path(path):
  """Colons are allowed elsewhere."""
  paths.check_local(path)


def test_questions_and_passages_that_meet():
  """Counts by split, for those who are to train on them."""
  examples = [Example(str(i), 'Q', ('A',), group) for i, group in enumerate('aab')]
  task = Task('t', tuple(examples), (Example('x', 'Q', ('A',)),), ())
  found = joining.join(task, [Passage('p', 'text', 'a'), Passage('q', 'text')])
  assert found.met == {'train': 2, 'validation': 0, 'test': 0}
  assert found.grouped == {'train': 3, 'validation': 0, 'test': 0}
  assert found.groups == 1
  assert str(found).startswith('2 of 3 train questions, 0 of 1 validation questions, ')
  assert '1 questions name no group' in str(found)


def test_bare_marks_tell_versions():
  """An ampersand of an entity that escaping does not make is bare."""
  assert wiki.is_escaped(['a &amp; b', 'c'])
  assert not wiki.is_escaped(['a &amp; b', 'c &nbsp; d'])
  assert not wiki.is_escaped(['x < y'])
  assert wiki.unescape('&amp;lt; &gt;') == '&lt; >'
