"""Documents out of files of every format, good and bad."""

import bz2
import csv
import re

import pytest

from masklearn import data
from masklearn.io import corpus_files
from masklearn.types import InputError, Passage
from tests.documents import articles, lines


def load(name, path):
  """Documents of a corpus without a problem."""
  found, problems = data.load_documents(name, seed=0, path=path)
  assert not problems
  return found


def test_text_has_a_document_in_every_paragraph(tmp_path):
  """Blank lines end it; lines are joined, and the id has the number of the first."""
  rows = b'\xef\xbb\xbfOne', 'two  \u00a0three', '', ' \t', ' Four\r'
  path = lines(tmp_path / 'a.txt', *rows)
  assert load('text', path) == [Passage('a-1', 'One two three'), Passage('a-5', 'Four')]


def test_text_without_blank_lines_does_not_become_one_document(tmp_path):
  """A paragraph ends with the line that makes it longer than a megabyte."""
  line = 'word ' * 60_000
  found = load('text', lines(tmp_path / 'a.txt', *[line] * 9))
  assert [d.id for d in found] == ['a-1', 'a-5', 'a-9']
  assert sum(len(d.text.split()) for d in found) == 9 * 60_000


@pytest.mark.parametrize('name', ['text', 'jsonl', 'wikipedia'])
def test_a_line_of_ten_megabytes(tmp_path, name):
  """It is a document like any other."""
  words = 'Wörd ' * 1_700_000
  row = words if name == 'text' else {'id': 'x', 'title': 'T', 'text': words}
  (found,) = load(name, lines(tmp_path / 'a.any', row))
  assert len(found.text.split()) == 1_700_000


def test_wikitext_of_the_shared_data(shared_data, tmp_path):
  """All articles; the raw file that they come from has the same."""
  path = shared_data / 'corpora' / 'wikitext2_raw_test.jsonl.gz'
  found = load('wikitext', path)
  first = found[0]
  assert (len(found), first.id) == (62, 'wikitext2_raw_test-1')
  assert first.group == 'Robert Boulter'
  assert first.text.startswith('Robert Boulter is an English film , television and')
  assert not any(' = = ' in d.text or '  ' in d.text for d in found)
  rows = [f' = {a["title"]} = \n \n{a["text"]}' for a in articles(shared_data)]
  raw = load('wikitext', lines(tmp_path / 'wiki.test.raw', b' ', *rows))
  assert [(d.group, d.text) for d in raw] == [(d.group, d.text) for d in found]
  assert raw[0].id == 'wiki.test-2'


def test_wikipedia_in_three_forms(shared_data, tmp_path):
  """WikiExtractor's JSON and <doc>, and DPR's rows, of the same articles."""
  rows = [
    {'id': str(i), 'title': a['title'], 'text': ' '.join(a['text'].split())}
    for i, a in enumerate(articles(shared_data))
  ]
  rows[1]['title'] = 'The "A" & <B>'
  with_title = [r | {'url': 'u', 'text': f'{r["title"]}\n\n{r["text"]}'} for r in rows]
  tags = '<doc id="{id}" url="https://x?curid=1" title="{title}">\n{text}\n\n</doc>\n'
  docs = [tags.format(**row) for row in with_title]
  table = tmp_path / 'psgs_w100.tsv'
  with open(table, 'w', encoding='utf-8', newline='') as file:
    writer = csv.DictWriter(file, ('id', 'text', 'title'), dialect='excel-tab')
    writer.writeheader()
    writer.writerows(rows)
  expected = [Passage(r['id'], r['text'], r['title']) for r in rows]
  for path in (
    lines(tmp_path / 'json' / 'AA' / 'wiki_00', *with_title),
    lines(tmp_path / 'doc' / 'wiki_00.gz', *docs),
    table,
  ):
    assert load('wikipedia', path) == expected


GOOD = {
  'text': 'Good one.',
  'jsonl': {'text': 'Good one.'},
  'wikipedia': {'id': '1', 'title': 'T', 'text': 'Good one.'},
  'wikitext': {'title': 'T', 'text': 'Good one.'},
  'factbook': {'name': 'T', 'fields': [['A > B > c', 'Good one.']]},
  'elements': {'name': 'T', 'text': 'Good one.'},
}


@pytest.mark.parametrize(
  ('name', 'row', 'problem'),
  [
    ('text', b'\xff', 'not UTF-8 at byte 0'),
    ('text', '\u00a0', "'text' is empty"),
    ('wikipedia', {'id': '2', 'title': 'T', 'text': ''}, "'text' is empty"),
    ('wikipedia', {'id': '2', 'title': 'T', 'text': 'T\n\n'}, "'text' is empty"),
    ('wikipedia', {'id': '2', 'text': 'x'}, "no 'title'"),
    ('wikipedia', '{"id": "2", "titl', 'not JSON'),
    ('wikipedia', GOOD['wikipedia'], "id '1' occurs before"),
    ('wikitext', b'{"title": "\xff"}', 'not UTF-8'),
    ('factbook', {'name': 'X'}, "'fields' must be a list"),
    ('factbook', {'name': 'X', 'fields': [['A']]}, r'must hold \[field, text\]'),
    ('factbook', {'fields': [['A > B', 'x']]}, "no 'name'"),
    ('elements', {'name': 'X'}, "no 'text'"),
  ],
)
def test_bad_records_are_skipped(tmp_path, name, row, problem):
  """By file and line, between others that are kept."""
  last = dict(GOOD['wikipedia'], id='9') if name == 'wikipedia' else GOOD[name]
  path = lines(tmp_path / 'docs.any', GOOD[name], '', row, '', last)
  found, problems = data.load_documents(name, seed=0, path=path)
  before = {'factbook': 'T. B, c: ', 'elements': 'T: '}.get(name, '')
  assert [document.text for document in found] == [f'{before}Good one.'] * 2
  (said,) = problems
  assert said.startswith(f'{path}:3: ')
  assert re.search(problem, said)


@pytest.mark.parametrize(
  ('rows', 'problems'),
  [
    (['stray', '<doc id="2" url="" title="B">', 'Two.', '</doc>'],
     {'4': 'text outside of <doc>: stray'}),
    (['<doc id="2" title="B">', 'Two.', '<doc id="3" url="" title="C">', 'Three.',
      '</doc>'], {'4': '<doc ..> without </doc>'}),
    (['<doc title="B">', 'Two.', '</doc>'], {'4': 'expected <doc id='}),
    (['<doc id="2" url="" title="B">', b'\xff', '</doc>'], {'5': 'not UTF-8'}),
    (['<doc id="2" url="" title="B">', 'B', '', '</doc>'], {'4': "'text' is empty"}),
    (['<doc id="2" url="" title="B">', 'cut'], {'4': '<doc ..> without </doc>'}),
  ],
)  # fmt: skip
def test_bad_documents_between_tags(tmp_path, rows, problems):
  """The line of the tag, or of what is wrong."""
  first = '<doc id="1" url="" title="A">', 'One.', '</doc>'
  path = lines(tmp_path / 'wiki_00', *first, *rows)
  found, said = data.load_documents('wikipedia', seed=0, path=path)
  assert found[0] == Passage('1', 'One.', 'A')
  assert len(said) == len(problems)
  for problem, (line, what) in zip(said, problems.items(), strict=True):
    assert problem.startswith(f'{path}:{line}: {what}')


@pytest.mark.parametrize('row', ['2', '2\ttext', '2\ttext\t', '\ttext\ttitle', 'x y'])
def test_bad_rows_between_tabs(tmp_path, row):
  """Three columns, none of them empty; a tab more belongs to the text."""
  path = lines(tmp_path / 'p.tsv', 'id\ttext\ttitle', '1\ta "b"\tT', row, '3\ta\tb\tU')
  found, problems = data.load_documents('wikipedia', seed=0, path=path)
  assert found == [Passage('1', 'a "b"', 'T'), Passage('3', 'a b', 'U')]
  (problem,) = problems
  assert problem.startswith(f'{path}:3: expected id, text, title between tabs')


def test_wikitext_with_a_bad_article(tmp_path):
  """What cannot be read costs its own article; text before a heading has no title."""
  rows = 'before', ' = A = ', b'\xff', ' = B = ', ' = = b = = ', 'Two'
  path = lines(tmp_path / 'w.raw', *rows)
  found, problems = data.load_documents('wikitext', seed=0, path=path)
  assert found == [Passage('w-1', 'before'), Passage('w-4', 'Two', 'B')]
  assert problems == [f'{path}:3: not UTF-8 at byte 0.']


def test_files_folders_and_patterns(tmp_path):
  """In the order of paths, named after their place; hidden files are none."""
  for name in ('b/wiki_01', 'a/wiki_00', 'a/.hidden', '.cache/x'):
    lines(tmp_path / name, name)
  (tmp_path / 'a' / 'z.txt.bz2').write_bytes(bz2.compress(b'z'))
  lines(tmp_path / 'a' / 'y.txt.gz', 'y')
  expected = ['a/wiki_00-1', 'a/y-1', 'a/z-1', 'b/wiki_01-1']
  assert [d.id for d in load('text', tmp_path)] == expected
  ids = [d.id for d in load('text', f'{tmp_path}/*/wiki_0?')]
  assert ids == ['a/wiki_00-1', 'b/wiki_01-1']
  assert [d.id for d in load('text', f'{tmp_path}/**/*.gz')] == ['a/y-1']
  lines(tmp_path / 'a' / 'y.jsonl', 'y')  # whose name without its ending is taken
  assert 'a/y.txt.gz' in [source.name for source in corpus_files.find(tmp_path)]


@pytest.mark.parametrize(
  ('path', 'message'),
  [
    ('wiki', r'wiki is none; the nearest is .*/wiki_00'),
    ('empty', r'empty is none'),
    ('*.txt', r'\*\.txt is none'),
    ('no/such', r'no/such is none\.'),
  ],
)
def test_there_is_no_such_corpus(tmp_path, path, message):
  """The error has the nearest name of what is there."""
  lines(tmp_path / 'wiki_00', 'x')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(InputError, match=message):
    data.load_documents('text', seed=0, path=tmp_path / path)
