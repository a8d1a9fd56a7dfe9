"""Documents one by one: where they end, and where reading goes on."""

import bz2
import gzip
import json

import pytest

from masklearn.data import formats, load_documents, stream
from masklearn.types import InputError

TEXT = 'First line,\nand on.\n\n \nZürich\r\nagain\r\n\n\n'.encode()
FILES = {
  '.txt': TEXT + b'bad\n\xff\xfe\n\nThird',  # no end of a line
  '.jsonl': b'\n'.join([
    b'\xef\xbb\xbf{"text": "One.", "id": 7}',
    b'',
    b'{"text": "Two", "spans": [[0, 3, "number"]]}',
    b'not json',
    b'{"text": "caf\xc3\xa9"}',
  ]),
}  # fmt: skip
# The id and text of each document, and the lines of what is wrong.
EXPECTED = {
  '.txt': (
    {'a-1': 'First line, and on.', 'a-5': 'Zürich again', 'a-12': 'Third'},
    [10],
  ),
  '.jsonl': ({'7': 'One.', 'a-3': 'Two', 'a-5': 'café'}, [4]),
}


@pytest.fixture(params=['a.txt', 'a.txt.gz', 'a.txt.bz2', 'a.jsonl', 'a.jsonl.gz'])
def path(request, tmp_path):
  """A file with good and bad documents, packed if its name says so."""
  found = tmp_path / request.param
  pack = {'.gz': gzip.compress, '.bz2': bz2.compress}.get(found.suffix, bytes)
  found.write_bytes(pack(FILES[found.suffixes[0]]))
  return found


def test_a_corpus_is_read_in_the_same_way(path):
  """The same ids, texts and problems, by number of line, whoever reads the file."""
  with stream.Documents(path) as documents:
    found = list(documents)
    assert documents.position == documents.size
  good = [record.value for record in found if record.value]
  bad = [record for record in found if record.problem]
  kind = path.suffixes[0]
  assert ({d.id: d.text for d in good}, [r.place.number for r in bad]) == EXPECTED[kind]
  name = {'.txt': 'text', '.jsonl': 'jsonl'}[kind]
  of_corpus = load_documents(name, seed=0, path=path)
  assert of_corpus == (good, [record.message for record in bad])


def test_reading_goes_on_from_any_place(path):
  """What is read in two parts is what is read in one, with the same lines and ids."""
  with stream.Documents(path) as documents:
    whole = [(record, documents.offset) for record in documents]
  assert whole[-1][1].bytes == len(FILES[path.suffixes[0]])
  for k, (_, offset) in enumerate(whole):
    with stream.Documents(path, offset) as documents:
      assert list(documents) == [record for record, _ in whole[k + 1 :]]


def test_text_without_empty_lines_is_cut_at_the_end_of_a_line(tmp_path, monkeypatch):
  """So that a document stays small whatever the file is."""
  monkeypatch.setattr(formats, 'LONGEST', 1 << 16)
  lines = [f'This is line {i}.' for i in range(10_000)]
  path = tmp_path / 'd.txt'
  path.write_text('\n'.join(lines))
  with stream.Documents(path) as documents:
    found = [record.value.text for record in documents]
  assert len(found) > 2
  assert max(map(len, found)) < formats.LONGEST + 20
  assert ' '.join(found) == ' '.join(lines)


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
    pytest.raises(InputError, match=r'gz .*, in line 1'),
    stream.Documents(tmp_path / 'g.jsonl.gz') as documents,
  ):
    list(documents)
  with pytest.raises(InputError, match='No such file'):
    stream.Documents(tmp_path / 'h.jsonl')
