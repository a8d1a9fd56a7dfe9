"""Documents one by one: where they end, where reading goes on, what is wrong."""

import gzip
import json

import pytest

from masklearn.data import stream
from masklearn.types import InputError

TEXT = 'First line,\nand on.\n\n \nSecond: Zürich\r\nagain\r\n\n\nThird'
LINES = [
  b'\xef\xbb\xbf{"text": "One.", "id": 7}\n',
  b'\n',
  b'{"text": "Two", "spans": [[0, 3, "number"]]}\n',
  b'not json\n',
  b'{"text": "\xff"}\n',
  b'{"text": " "}\n',
  b'["text"]\n',
  b'{"text": "Three", "spans": [[0, 9]]}\n',
  b'{"text": "caf\xc3\xa9"}',  # no end of a line
]


def write(path, data):
  """A file, packed if its name says so."""
  path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == '.gz' else data)
  return path


@pytest.mark.parametrize('name', ['a.txt', 'a.txt.gz'])
def test_empty_lines_end_documents_of_plain_text(tmp_path, name):
  """Ends of lines inside stay; an id is the line that the document begins on."""
  path = write(tmp_path / name, TEXT.encode())
  with stream.Documents(path) as documents:
    found = [item.passage for item in documents]
    assert documents.position == documents.size
  assert [(p.id, p.text) for p in found] == [
    ('a-1', 'First line,\nand on.'),
    ('a-5', 'Second: Zürich\nagain'),
    ('a-9', 'Third'),
  ]


@pytest.mark.parametrize('name', ['b.jsonl', 'b.jsonl.gz'])
def test_bad_lines_are_problems_with_their_number(tmp_path, name):
  """All others are read, the last without an end of its line, too."""
  path = write(tmp_path / name, b''.join(LINES))
  with stream.Documents(path) as documents:
    found = list(documents)
  assert [(i.passage.id, i.passage.text) for i in found if i.passage] == [
    ('7', 'One.'),
    ('b-3', 'Two'),
    ('b-9', 'café'),
  ]
  problems = [item.problem for item in found if item.problem]
  assert [int(p.removeprefix(f'{path}:').split(':')[0]) for p in problems] == [
    4, 5, 6, 7, 8
  ]  # fmt: skip
  assert found[1].passage.spans[0].label == 'number'


@pytest.mark.parametrize('name', ['c.jsonl', 'c.jsonl.gz', 'c.txt', 'c.txt.gz'])
def test_reading_goes_on_from_any_place(tmp_path, name):
  """What is read in two parts is what is read in one, with the same lines and ids."""
  data = TEXT.encode() if '.txt' in name else b''.join(LINES)
  path = write(tmp_path / name, data)
  with stream.Documents(path) as documents:
    whole = list(documents)
  assert whole[-1].behind.offset == len(data)
  for k, item in enumerate(whole):
    with stream.Documents(path, item.behind) as documents:
      assert list(documents) == whole[k + 1 :]


def test_text_without_empty_lines_is_cut_at_the_end_of_a_line(tmp_path):
  """So that a document stays small whatever the file is."""
  lines = [f'This is line {i}.' for i in range(10_000)]
  path = write(tmp_path / 'd.txt', '\n'.join(lines).encode())
  with stream.Documents(path) as documents:
    found = [item.passage.text for item in documents]
  assert len(found) > 2
  assert max(map(len, found)) < stream.LONGEST + 20
  assert '\n'.join(found).split('\n') == lines


def test_invalid_text_is_a_problem_of_its_document(tmp_path):
  """Named by the line on which the document begins."""
  path = write(tmp_path / 'e.txt', b'good\n\nbad\n\xff\xfe\n\ngood again')
  with stream.Documents(path) as documents:
    found = list(documents)
  assert [i.passage.text for i in found if i.passage] == ['good', 'good again']
  assert found[1].problem == f'{path}:3: not UTF-8 at byte 4.'


def test_a_file_that_ends_too_early_is_named(tmp_path):
  """A truncated gzip gives what is whole, and then file and line."""
  lines = b''.join(
    json.dumps({'text': f'{i * 7919}'}).encode() + b'\n' for i in range(9999)
  )
  path = tmp_path / 'f.jsonl.gz'
  path.write_bytes(gzip.compress(lines)[:-2000])
  read = []
  with (
    stream.Documents(path) as documents,
    pytest.raises(InputError, match=r'f\.jsonl\.gz:'),
  ):
    read.extend(item.passage for item in documents)
  (tmp_path / 'g.jsonl.gz').write_bytes(b'no gzip')
  with (
    stream.Documents(tmp_path / 'g.jsonl.gz') as documents,
    pytest.raises(InputError, match='gz:1: '),
  ):
    list(documents)
  with pytest.raises(InputError, match='No such file'):
    stream.Documents(tmp_path / 'h.jsonl')
