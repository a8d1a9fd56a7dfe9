"""Passages and questions from files, good and bad."""

import functools
import gzip
import logging
import re

import pytest

from masklearn import data, tasks
from masklearn.data import passage_records
from masklearn.io.record_files import read_records
from masklearn.tasks import jsonl, splits
from masklearn.types import Example, InputError, Passage, Span
from tests.documents import lines

read_passages = functools.partial(read_records, parse=passage_records.parse_passage)

GOOD = {'id': 'a', 'text': 'Ada plays.', 'spans': [[0, 3, 'who']], 'group': 'Ada'}


def test_good_records(tmp_path):
  """Every field is optional but the text; spans are put in order."""
  path = lines(
    tmp_path / 'docs.jsonl',
    GOOD,
    {'text': 'One. Two.', 'spans': [[5, 8], [0, 3, 'x']], 'sentences': [[0, 4]]},
    b'',
    {'id': 7, 'text': 'Grüße', 'group': None, 'spans': None},
  )
  passages, problems = data.load_documents('jsonl', seed=0, path=path)
  assert not problems
  assert passages == [
    Passage('a', 'Ada plays.', 'Ada', (Span(0, 3, 'who'),)),
    Passage('docs-2', 'One. Two.', '', (Span(0, 3, 'x'), Span(5, 8)), ((0, 4),)),
    Passage('7', 'Grüße'),
  ]


@pytest.mark.parametrize(
  ('row', 'problem'),
  [
    ({'id': 'b'}, "no 'text'"),
    ({'text': '  '}, "'text' is empty"),
    ({'text': 5}, "'text' must be a string, got 5"),
    ({'text': 'ab', 'id': 'a'}, "id 'a' occurs before"),
    ({'text': 'ab', 'id': True}, "'id' must be a string"),
    ({'text': 'ab', 'group': ['x']}, "'group' must be a string"),
    ({'text': 'ab', 'spans': [[0, 3]]}, 'within the 2 characters of the text, got'),
    ({'text': 'ab', 'spans': [[-1, 1]]}, 'within the 2 characters'),
    ({'text': 'ab', 'spans': [[1, 1]]}, 'within the 2 characters'),
    ({'text': 'abc', 'spans': [[1, 3], [0, 2]]}, "'spans' overlap at character 1"),
    ({'text': 'ab', 'spans': [[0, 1.0]]}, 'start and end at whole numbers'),
    ({'text': 'ab', 'spans': [[0, True]]}, 'start and end at whole numbers'),
    ({'text': 'ab', 'spans': [[0, 1, 2]]}, 'a label must be a string'),
    ({'text': 'ab', 'spans': [[0]]}, r"'spans' must hold \[start, end, label\]"),
    ({'text': 'ab', 'spans': 'ab'}, "'spans' must be a list"),
    ({'text': 'ab', 'sentences': [[0, 9]]}, "'sentences' must lie within"),
    ({'text': 'ab', 'sentences': [[0, 1, 'x']]}, r'must hold \[start, end\]'),
    ([1, 2], 'expected a JSON object'),
    (b'{"text": "ab"', 'not JSON'),
    (b'plain text', 'not JSON'),
    (b'[' * 100_000, 'not JSON'),
    (b'{"text": "\xff\xfe"}', 'not UTF-8 at byte 10'),
    (rb'{"text": "\ud800"}', 'half of a surrogate pair'),
  ],
)
def test_bad_records(tmp_path, row, problem):
  """A bad record is named by file and line and skipped; the others are kept."""
  path = lines(tmp_path / 'docs.jsonl', GOOD, b'', row, {'id': 'z', 'text': 'Last.'})
  passages, problems = read_passages(path)
  assert [p.id for p in passages] == ['a', 'z']
  (found,) = problems
  assert found.startswith(f'{path}:3: ')
  assert re.search(problem, found)
  with pytest.raises(InputError, match=problem):
    data.read_passages(path)


def test_nothing_usable(tmp_path):
  """A corpus without one usable record is an error with the count."""
  path = lines(tmp_path / 'bad.jsonl.gz', {'id': 1}, b'x', {'text': ''})
  with pytest.raises(
    InputError, match=r"bad.jsonl.gz has .* 3 are bad, .*:1: no 'text'"
  ):
    read_passages(path)
  (tmp_path / 'empty.jsonl').write_text('\n')
  with pytest.raises(InputError, match=r'empty.jsonl has no usable record; 0 are bad'):
    read_passages(tmp_path / 'empty.jsonl')


ROWS = gzip.compress(b'{"text": "a"}\n' * 9, mtime=0)


@pytest.mark.parametrize(
  ('name', 'content', 'reason'),
  [
    ('missing.jsonl', None, 'cannot be read: No such file or directory.'),
    ('', None, 'must be a file, got a folder.'),
    ('torn.jsonl.gz', ROWS[:-9], r'cannot be read: .*, in line \d'),
    ('plain.jsonl.gz', b'{}', 'cannot be read: Not a gzipped file .*, in line 1'),
    ('plain.jsonl.bz2', b'{}', 'cannot be read: Invalid data stream, in line 1'),
  ],
  ids=('missing', 'folder', 'torn', 'plain_gz', 'plain_bz2'),
)
def test_unreadable_files(tmp_path, name, content, reason):
  """A file that is missing, a folder, or broken is an error with its name."""
  if content:
    (tmp_path / name).write_bytes(content)
  with pytest.raises(InputError, match=f'{name} {reason}'):
    read_passages(tmp_path / name)


@pytest.mark.parametrize('name', ['world', 'people'])
def test_round_trip(tmp_path, name):
  """What is written is read back the same, and says nothing twice."""
  passages, problems = data.load_documents(name, seed=0, copies=1)
  assert not problems
  path = tmp_path / 'corpus' / 'passages.jsonl'
  data.write_passages(path, passages)
  assert data.read_passages(path) == passages
  assert [p.name for p in path.parent.iterdir()] == ['passages.jsonl']


def test_an_unknown_corpus_names_the_nearest():
  """A wrong name is answered with right ones."""
  with pytest.raises(InputError, match=r"Unknown corpus 'word'; did you mean 'world'"):
    data.load_documents('word', seed=0)
  with pytest.raises(InputError, match='needs path=FILE'):
    data.load_documents('jsonl', seed=0)


def count(text):
  """Words of a text, for a tokenizer's tokens."""
  return len(text.split())


@pytest.mark.parametrize(
  ('body', 'sentences', 'expected'),
  [
    ('One two. Three four five. Six.', ((0, 8), (9, 25), (26, 30)),
     {'One two.': ((0, 8),), 'Three four five. Six.': ((0, 16), (17, 21))}),
    # Where none are given, sentences are found.
    ('One two. Three four five.', (), {'One two.': (), 'Three four five.': ()}),
    # What sentences leave out goes with the one before it.
    ('One two. Lost words Three four.', ((0, 8), (20, 31)),
     {'One two. Lost words': ((0, 8),), 'Three four.': ((0, 11),)}),
    # A sentence that is too long is cut between words.
    ('a b c d e f g.', ((0, 14),), {'a b c d': ((0, 7),), 'e f g.': ((0, 6),)}),
  ],
)  # fmt: skip
def test_split_cuts_between_sentences(body, sentences, expected):
  """Pieces fit, and carry their sentences and the spans that are whole."""
  end = len(body)
  spans = (Span(0, 1, 'a'), Span(2, end - 1, 'cut'), Span(end - 1, end, 'b'))
  passage = Passage('p', body, 'g', spans, sentences)
  found = data.split_passages([passage], count, longest=4)
  assert {p.text: p.sentences for p in found} == expected
  assert [p.id for p in found] == ['p/0', 'p/1']
  last = len(found[1].text)
  assert [p.spans for p in found] == [spans[:1], (Span(last - 1, last, 'b'),)]
  whole = data.split_passages([passage], count, longest=9)
  assert len(whole) == 1
  assert whole[0] is passage


def question(i, **more):
  """A record of a question."""
  return {'id': f'q{i}', 'source': f'Question {i}?', 'target': f'answer {i}', **more}


def test_jsonl_task_splits_by_group(tmp_path):
  """One file becomes three splits that share no group."""
  rows = [question(i, group=f'g{i // 2}') for i in range(20)]
  path = lines(tmp_path / 'q.jsonl', *rows)
  task = tasks.load('jsonl', seed=0, train=path)
  assert [len(task.split(s)) for s in splits.SPLITS] == [10, 4, 6]
  groups = [{e.group for e in task.split(s)} for s in splits.SPLITS]
  assert [len(g) for g in groups] == [5, 2, 3]
  assert tasks.load('jsonl', seed=0, train=path) == task
  assert tasks.load('jsonl', seed=1, train=path) != task


def test_jsonl_task_with_its_own_splits(tmp_path):
  """Files that are given are used whole; training keeps what no other split needs."""
  train = lines(tmp_path / 'train.jsonl', *(question(i) for i in range(10)))
  dev = lines(tmp_path / 'dev.jsonl', question(10))
  test = lines(tmp_path / 'test.jsonl', question(11))
  for files, sizes in (
    ({'validation': dev, 'test': test}, [10, 1, 1]),
    ({'test': test}, [8, 2, 1]),
    ({'validation': dev}, [7, 1, 3]),
  ):
    task = tasks.load('jsonl', seed=0, train=train, **files)
    assert [len(task.split(s)) for s in splits.SPLITS] == sizes


def test_jsonl_task_fields(tmp_path):
  """Both shapes of record are read, with all their answers."""
  output = [{'answer': 'A'}, {'provenance': []}, {'answer': 'B'}, {'answer': 'A'}]
  kilt = {'id': 'k', 'input': 'Who?', 'output': output}
  plain = {'source': 'What?', 'targets': ['x', 'y'], 'label': 'thing', 'group': 'g'}
  examples, problems = jsonl.read(lines(tmp_path / 'q.jsonl', kilt, plain))
  assert not problems
  assert examples == [
    Example('k', 'Who?', ('A', 'B')),
    Example('q-2', 'What?', ('x', 'y'), 'g', 'thing'),
  ]


@pytest.mark.parametrize(
  ('row', 'problem'),
  [
    ({'target': 'x'}, "no 'source', 'input' or 'question'"),
    ({'question': 'Who?'}, "no 'answer'"),
    ({'source': 'Who?'}, "no 'target', 'targets' or 'output' with an answer"),
    ({'source': 'Who?', 'targets': []}, "no 'target'"),
    ({'source': 'Who?', 'target': None}, "no 'target'"),
    ({'source': 'Who?', 'targets': 'x'}, "'targets' must be a list, got 'x'"),
    ({'source': 'Who?', 'targets': ['x', {}]}, 'targets[1] must be a string, got {}'),
    ({'source': 'Who?', 'targets': [True]}, 'targets[0] must be a string, got True'),
    (
      {'source': 'Who?', 'targets': [float('nan')]},
      'targets[0] must be text or a numb',
    ),
    ({'source': 'Who?', 'target': ' '}, "no 'target'"),
    ({'sorce': 'Who?', 'target': 'x'}, "no 'source', 'input' or 'question'"),
    ({'input': 'Who?'}, "'output' must be a list of objects"),
    ({'input': 'Who?', 'output': [{'meta': 1}]}, 'with an answer'),
    ({'source': 'Who?', 'target': 'x', 'label': 3}, "'label' must be a string"),
  ],
)
def test_bad_questions(tmp_path, caplog, row, problem):
  """A bad question is logged by file and line, counted and skipped."""
  path = lines(tmp_path / 'q.jsonl', question(0), row, *map(question, range(1, 10)))
  examples, problems = jsonl.read(path)
  assert len(examples) == 10
  (found,) = problems
  assert found.startswith(f'{path}:2: ')
  assert problem in found
  with caplog.at_level(logging.WARNING):
    tasks.load('jsonl', seed=0, train=path)
  assert caplog.messages == [found, f'{path}: skipped 1 records in all.']


def test_a_task_without_training_questions(tmp_path):
  """No file, or too few of them, is an error that says so."""
  with pytest.raises(InputError, match='needs train=FILE'):
    tasks.load('jsonl', seed=0)
  path = lines(tmp_path / 'q.jsonl', question(0))
  with pytest.raises(InputError, match="Task 'jsonl' has no train"):
    tasks.load('jsonl', seed=0, train=path)


def test_files_that_share_a_group(tmp_path):
  """A group in two files would be trained on and tested: an error names it."""
  train = lines(tmp_path / 'a.jsonl', *(question(i, group='Mali') for i in range(3)))
  test = lines(tmp_path / 'b.jsonl', question(3, group='Mali'))
  with pytest.raises(InputError, match="'Mali' is in train and test"):
    tasks.load('jsonl', seed=0, train=train, test=test)
