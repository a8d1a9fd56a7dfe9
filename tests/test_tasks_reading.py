"""Records out of lines, documents and Parquet, and where the bad ones are."""

import dataclasses
import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from masklearn.io import json_documents, record_files, records
from masklearn.io.records import text_field
from masklearn.types import InputError


@dataclasses.dataclass
class Item:
  """The least that a record can become."""

  id: str
  text: str


def parse(record, default_id):
  """Takes records with a text."""
  return Item(text_field(record, 'id', default_id), text_field(record, 'text'))


def write(path, data):
  """Writes bytes, or any value as JSON; .gz if the name says so."""
  data = data if isinstance(data, bytes) else json.dumps(data).encode()
  path.write_bytes(gzip.compress(data) if path.suffix == '.gz' else data)
  return path


ROWS = [{'text': 'Grüße'}, {'id': 'b', 'text': '日本 🚁'}]
ITEMS = [Item('f-1', 'Grüße'), Item('b', '日本 🚁')]


@pytest.mark.parametrize(
  'data',
  [
    '\n'.join(map(json.dumps, ROWS)),
    '\r\n'.join(json.dumps(row, ensure_ascii=False) for row in ROWS),
    json.dumps(ROWS),
    json.dumps(ROWS, indent=2, ensure_ascii=False),
    json.dumps({'version': 1, 'Data': ROWS}),
    json.dumps({'Data': ROWS, 'version': 1}, indent=1),
    json.dumps({'data': [{'paragraphs': [{'qas': ROWS[:1]}, {'qas': ROWS[1:]}]}]}),
  ],
)
@pytest.mark.parametrize('start', [b'', b'\xef\xbb\xbf', b'\n \n'])
@pytest.mark.parametrize('name', ['f.json', 'f.json.gz'])
def test_lines_and_documents(tmp_path, name, start, data):
  """Both are told apart by what is in the file, in every way of writing them."""
  path = write(tmp_path / name, start + data.encode())
  items, problems = record_files.read_records(path, parse)
  assert not problems
  assert [item.text for item in items] == [item.text for item in ITEMS]
  if start != b'\n \n':  # lines are counted from the first
    assert items == ITEMS


def test_one_record_in_one_line(tmp_path):
  """A file of one line is one record, and not a document of none."""
  for name in ('f.json', 'f.jsonl'):
    path = write(tmp_path / name, ROWS[0])
    assert record_files.read_records(path, parse) == (ITEMS[:1], [])


def test_a_line_of_ten_megabytes(tmp_path):
  """A long line is a line."""
  row = {'text': 'wörd ' * 2_000_000}
  data = json.dumps(row, ensure_ascii=False).encode() + b'\n{"text": "short"}\n'
  assert data.index(b'\n') > 10 * 2**20
  for name in ('f.jsonl', 'f.json'):
    path = write(tmp_path / name, data)
    (long, short), problems = record_files.read_records(path, parse)
    assert not problems
    assert (long.text, short.text) == (row['text'], 'short')


def test_outer_fields_are_in_every_record(tmp_path):
  """A title or a passage belongs to all below it, wherever in the object it stands."""
  rows = [
    {'paragraphs': [{'qas': [{'q': 1}, {'q': 2}], 'context': 'c'}], 'title': 't'},
    {'title': 'u', 'paragraphs': [{'context': 'd', 'qas': [{'q': 3, 'title': 'v'}]}]},
  ]
  document = json.dumps({'data': rows, 'version': '1.1'}).encode()
  found = json_documents.Document('f', document).records()
  assert [record.value for record in found] == [
    {'version': '1.1', 'title': 't', 'context': 'c', 'q': 1},
    {'version': '1.1', 'title': 't', 'context': 'c', 'q': 2},
    {'version': '1.1', 'title': 'v', 'context': 'd', 'q': 3},
  ]


def test_places_in_a_document(tmp_path):
  """Every bad record is named by line and path, also past braces inside of strings."""
  document = {
    'version': '} ] \\" [',
    'data': [
      {'title': 'a', 'paragraphs': [{'qas': [{'text': 'x'}, {'text': ' '}]}]},
      {'title': 'no paragraphs'},
      {'title': 'b', 'paragraphs': [{'qas': 'none'}, {'qas': ['x', {'id': 3}]}]},
    ],
  }
  text = json.dumps(document, indent=2)
  path = write(tmp_path / 'f.json', text.encode())
  (item,), problems = record_files.read_records(path, parse)
  assert item == Item('f-1', 'x')
  lines = [line.strip() for line in text.split('\n')]
  expected = [  # the brace of an object is a line above its first field
    (lines.index('"text": " "'), 'data[0].paragraphs[0].qas[1]', 'empty.'),
    (lines.index('"title": "no paragraphs"'), 'data[1]', "no list 'paragraphs'."),
    (lines.index('"qas": "none"'), 'data[2].paragraphs[0]', "no list 'qas'."),
    (lines.index('"x",') + 1, 'data[2].paragraphs[1].qas[0]', 'got "x".'),
    (lines.index('"id": 3'), 'data[2].paragraphs[1].qas[1]', "no 'text'."),
  ]
  for problem, (line, place, what) in zip(problems, expected, strict=True):
    assert problem.startswith(f'{path}:{line}: {place}: ')
    assert problem.endswith(what)


def test_places_of_many_problems_take_linear_time(tmp_path):
  """A file of nothing but bad records is read through once to say where they are."""
  count = 20_000
  path = write(tmp_path / 'f.json', json.dumps([{}] * count + ROWS, indent=0).encode())
  _, problems = record_files.read_records(path, parse)
  assert problems[0] == f"{path}:2: [0]: no 'text'."
  assert (len(problems), problems.count) == (records.EXAMPLES, count)
  assert problems[-1] == f"{path}:1001: [999]: no 'text'."


@pytest.mark.parametrize(
  ('data', 'expected'),
  [
    (b'[\n{"text": "a"},\n{"text": "b"\n', r'f.json:\d: not JSON: Expecting .* column'),
    (b'{\n"data": [\n', r'f.json:[23]: not JSON'),
    (b'[\n{"text": "a"},\n{"text": "\xff"}]', 'f.json:3: not UTF-8 at byte 11'),
    (b'[' * 100_000, 'f.json:1: not JSON: brackets within brackets, too deep'),
    (b'[]', 'f.json has no usable record; 0 are bad'),
    (b'{"data": [1, {"paragraphs": 3}]}', r'2 are bad, the first at \S+:1: data\[0\]'),
    (b'[{"text": "\\ud800"}]', r'\[0\]: a text has half of a surrogate pair'),
    (b'', 'f.json has no usable record; 0 are bad'),
    (b'text', 'f.json has no usable record; 1 are bad, .*f.json:1: not JSON'),
    (b'3', 'f.json:1: expected a JSON object, got 3'),
  ],
)
def test_damaged_documents(tmp_path, data, expected):
  """Damage is one error with the file and its line."""
  with pytest.raises(InputError, match=expected):
    record_files.read_records(write(tmp_path / 'f.json', data), parse)


def test_the_same_id_twice(tmp_path):
  """Of two records with an id the first stays, in documents as in lines."""
  rows = [{'id': 7, 'text': 'first'}, {'id': '7', 'text': 'second'}]
  path = write(tmp_path / 'f.json', rows)
  (item,), (problem,) = record_files.read_records(path, parse)
  assert item == Item('7', 'first')
  assert problem.endswith("f.json:1: [1]: id '7' occurs before.")


def test_parquet(tmp_path):
  """Rows are records; a damaged file is an error with its name."""
  path = tmp_path / 'f.parquet'
  rows = [{'text': f'row {i}', 'more': {'a': [i]}} for i in range(1100)]
  rows[1] = {'text': None, 'more': None}
  parquet.write_table(pyarrow.Table.from_pylist(rows), path)
  items, (problem,) = record_files.read_records(path, parse)
  assert len(items) == 1099
  assert items[1] == Item('f-3', 'row 2')
  assert problem == f"{path}: row 2: no 'text'."
  path.write_bytes(path.read_bytes()[:500])
  with pytest.raises(InputError, match=r'f\.parquet cannot be read: '):
    record_files.read_records(path, parse)
  with pytest.raises(InputError, match=r'g\.parquet cannot be read: '):
    record_files.read_records(tmp_path / 'g.parquet', parse)


def test_a_record_that_is_left_out(tmp_path):
  """What a parser returns None for is no problem and no item."""
  path = write(tmp_path / 'f.json', ROWS)

  def own_id(record, default_id):
    return parse(record, default_id) if 'id' in record else None

  assert record_files.read_records(path, own_id) == (ITEMS[1:], [])
