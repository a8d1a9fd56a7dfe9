"""Documents one by one: where they end, where reading goes on, what is wrong."""

import bz2
import gzip
import json

import pytest

from masklearn.data import formats, load_documents, stream
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
  pack = {'.gz': gzip.compress, '.bz2': bz2.compress}.get(path.suffix, bytes)
  path.write_bytes(pack(data))
  return path


@pytest.mark.parametrize('name', ['a.txt', 'a.txt.gz'])
def test_empty_lines_end_documents_of_plain_text(tmp_path, name):
  """White space is one space; an id is the line that the document begins on."""
  path = write(tmp_path / name, TEXT.encode())
  with stream.Documents(path) as documents:
    found = [record.value for record in documents]
    assert documents.position == documents.size
  assert [(p.id, p.text) for p in found] == [
    ('a-1', 'First line, and on.'),
    ('a-5', 'Second: Zürich again'),
    ('a-9', 'Third'),
  ]


@pytest.mark.parametrize('name', ['a.txt', 'a.txt.bz2', 'a.jsonl', 'a.jsonl.gz'])
def test_a_corpus_is_read_in_the_same_way(tmp_path, name):
  """The same ids, texts and problems, whoever reads the file."""
  data = b'Norway.\nIt lies' + TEXT.encode() if '.txt' in name else b''.join(LINES)
  path = write(tmp_path / name, data)
  with stream.Documents(path) as documents:
    found = list(documents)
  of_corpus, problems = load_documents(
    'text' if '.txt' in name else 'jsonl', seed=0, path=path
  )
  assert [record.value for record in found if record.value] == of_corpus
  assert [record.message for record in found if record.problem] == problems


@pytest.mark.parametrize('name', ['b.jsonl', 'b.jsonl.gz'])
def test_bad_lines_are_problems_with_their_number(tmp_path, name):
  """All others are read, the last without an end of its line, too."""
  path = write(tmp_path / name, b''.join(LINES))
  with stream.Documents(path) as documents:
    found = list(documents)
  assert [(r.value.id, r.value.text) for r in found if r.value] == [
    ('7', 'One.'),
    ('b-3', 'Two'),
    ('b-9', 'café'),
  ]
  problems = [record.message for record in found if record.problem]
  assert [int(p.removeprefix(f'{path}:').split(':')[0]) for p in problems] == [
    4, 5, 6, 7, 8
  ]  # fmt: skip
  assert found[1].value.spans[0].label == 'number'


@pytest.mark.parametrize('name', ['c.jsonl', 'c.jsonl.gz', 'c.txt', 'c.txt.gz'])
def test_reading_goes_on_from_any_place(tmp_path, name):
  """What is read in two parts is what is read in one, with the same lines and ids."""
  data = TEXT.encode() if '.txt' in name else b''.join(LINES)
  path = write(tmp_path / name, data)
  with stream.Documents(path) as documents:
    whole = [(record, documents.offset) for record in documents]
  assert whole[-1][1].bytes == len(data)
  for k, (_, offset) in enumerate(whole):
    with stream.Documents(path, offset) as documents:
      assert list(documents) == [record for record, _ in whole[k + 1 :]]


def test_text_without_empty_lines_is_cut_at_the_end_of_a_line(tmp_path, monkeypatch):
  """So that a document stays small whatever the file is."""
  monkeypatch.setattr(formats, 'LONGEST', 1 << 16)
  lines = [f'This is line {i}.' for i in range(10_000)]
  path = write(tmp_path / 'd.txt', '\n'.join(lines).encode())
  with stream.Documents(path) as documents:
    found = [record.value.text for record in documents]
  assert len(found) > 2
  assert max(map(len, found)) < formats.LONGEST + 20
  assert ' '.join(found) == ' '.join(lines)


def test_invalid_text_is_a_problem_of_its_document(tmp_path):
  """Named by its line."""
  path = write(tmp_path / 'e.txt', b'good\n\nbad\n\xff\xfe\n\ngood again')
  with stream.Documents(path) as documents:
    found = list(documents)
  assert [r.value.text for r in found if r.value] == ['good', 'good again']
  assert found[1].message == f'{path}:4: not UTF-8 at byte 0.'


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
    pytest.raises(InputError, match=r'f\.jsonl\.gz .*, in line \d'),
  ):
    read.extend(record.value for record in documents)
  (tmp_path / 'g.jsonl.gz').write_bytes(b'no gzip')
  with (
    stream.Documents(tmp_path / 'g.jsonl.gz') as documents,
    pytest.raises(InputError, match=r'gz .*, in line 1'),
  ):
    list(documents)
  with pytest.raises(InputError, match='No such file'):
    stream.Documents(tmp_path / 'h.jsonl')
