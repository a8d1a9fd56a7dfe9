"""Corpora are prepared once, whole, without duplicates, and in little memory."""

import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

from masklearn import data
from masklearn.data import deduplication, passage_records, store
from masklearn.types import InputError, Passage, Span
from tests.documents import lines

ROOT = pathlib.Path(__file__).parents[1]

COUNTS = ('documents', 'passages', 'duplicates', 'problems')


def counts(made):
  """Of a store."""
  return tuple(made.summary[name] for name in COUNTS)


def prepared(directory, path, **options):
  """A corpus of our own records."""
  return data.prepare_corpus(directory, **{'name': 'jsonl', 'path': path, **options})


@pytest.mark.parametrize(
  ('name', 'file', 'expected', 'first'),
  [
    ('wikitext', 'wikitext2_raw_test.jsonl.gz', (62, 2_830, 0, 0),
     ('wikitext2_raw_test-1/0', 'Robert Boulter', 'Robert Boulter is an English')),
    ('factbook', 'factbook_profiles.jsonl.gz', (16_907, 17_402, 226, 0),
     ('factbook_profiles-1/0/0', 'Algeria', 'Algeria. Background: Algeria has known')),
    ('elements', 'elements.jsonl', (119, 138, 0, 0),
     ('elements-1', 'hydrogen', 'hydrogen: ')),
  ],
)  # fmt: skip
def test_the_shared_corpora(shared_data, tmp_path, name, file, expected, first):
  """Their numbers of passages, and the first."""
  made = data.prepare_corpus(tmp_path, name=name, path=shared_data / 'corpora' / file)
  assert counts(made) == expected
  assert (len(made), made[0].id, made[0].group) == (expected[1], *first[:2])
  assert made[0].text.startswith(first[2])
  assert max(len(p.text.split()) for p in made) <= 100
  assert all(p.salient is not None for p in made)
  assert sum(len(p.salient) for p in made) > 2 * len(made)


def test_equal_passages_stay_once(tmp_path):
  """The first in the order of files, whatever their case and white space."""
  texts = {
    'a': ['One two. Three four. ONE  two.', 'straße 1'],
    'b': ['three\tfour.', ' STRASSE 1 ', 'Three, four.'],
  }
  for name, bodies in texts.items():
    lines(tmp_path / 'in' / f'{name}.jsonl', *({'text': body} for body in bodies))
  made = prepared(tmp_path / 'out', tmp_path / 'in', words=2, annotator='none')
  assert [(p.id, p.text) for p in made] == [
    ('a-1/0', 'One two.'), ('a-1/1', 'Three four.'), ('a-2', 'straße 1'),
    ('b-3', 'Three, four.'),
  ]  # fmt: skip
  assert counts(made) == (5, 4, 3, 0)


def test_problems_are_counted(tmp_path):
  """Also ids that another file has."""
  lines(tmp_path / 'in' / 'a.jsonl', {'id': 'x', 'text': 'A.'}, '{', {'text': ''})
  lines(tmp_path / 'in' / 'b.jsonl', {'id': 'x', 'text': 'B.'}, {'text': 'C.'})
  made = prepared(tmp_path / 'out', tmp_path / 'in')
  assert [p.text for p in made] == ['A.', 'C.']
  assert counts(made) == (2, 2, 0, 3)
  places = re.findall(r'\w\.jsonl:\d', ' '.join(made.summary['examples']))
  assert places == ['a.jsonl:2', 'a.jsonl:3', 'b.jsonl:1']


def test_a_finished_corpus_is_read(tmp_path):
  """Even when its files are gone; other options are an error."""
  path = lines(tmp_path / 'a.jsonl', {'text': 'One.'})
  made = prepared(tmp_path / 'out', path)
  path.unlink()
  times = {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').iterdir()}
  again = prepared(tmp_path / 'out', path)
  assert list(again) == list(made)
  assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / 'out').iterdir()}
  with pytest.raises(InputError, match='words is 100 there and 50 here'):
    prepared(tmp_path / 'out', path, words=50)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'name': 'jsn'}, "Unknown format of a corpus 'jsn'; did you mean 'jsonl'"),
    ({'annotator': 'rule'}, "'rule'; did you mean 'rules'"),
    ({'words': -1}, 'words must be 0 for whole documents or more, got -1'),
    ({'path': ''}, "Corpus 'jsonl' needs path=FILE"),
    ({}, r'a\.jsonl has no usable record; 1 are bad, the first at .*a\.jsonl:1: no'),
  ],
)
def test_what_cannot_be_prepared(tmp_path, options, message):
  """Nothing is written then."""
  path = lines(tmp_path / 'a.jsonl', {'id': 1})
  with pytest.raises(InputError, match=message):
    prepared(tmp_path / 'out', **{'path': path, **options})
  assert not (tmp_path / 'out').exists()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
  """Whatever the corpus is; an empty one is taken."""
  path = lines(tmp_path / 'in' / 'a.jsonl', {'id': 1})
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'a.tex').write_text('x')
  for directory in (tmp_path / 'thesis', path):
    with pytest.raises(InputError, match='has files in it that no preparation made'):
      prepared(directory, path)
  assert (tmp_path / 'thesis' / 'a.tex').read_text() == 'x'
  lines(path, {'text': 'A.'})
  (tmp_path / 'out').mkdir()
  assert len(prepared(tmp_path / 'out', path)) == 1


def rows(count, seed=0):
  """Yields records of a sentence or two; some are bad, some repeat others."""
  rng = random.Random(seed)
  for i in range(count):
    who, where = rng.choice('ABCDEFGH') + 'da', rng.randrange(count)
    text = f'{who} lived in Town {where}. There are {who} and {where % 50}.'
    yield {'text': '' if i % 97 == 5 else text}


def test_an_interruption_in_this_process(tmp_path, monkeypatch):
  """What is there is used; the rest, the counts and the problems are the same."""
  monkeypatch.setattr(store, 'SHARD', 8)
  out = tmp_path / 'out'
  path = lines(tmp_path / 'a.jsonl', *rows(300))
  whole = prepared(tmp_path / 'whole', path, words=5)
  write_shard, written = store.write_shard, []

  def interrupted(*arguments):
    written.append(arguments)
    if len(written) == 5:
      raise KeyboardInterrupt
    return write_shard(*arguments)

  monkeypatch.setattr(store, 'write_shard', interrupted)
  with pytest.raises(KeyboardInterrupt):
    prepared(out, path, words=5)
  with pytest.raises(InputError, match=r'no store\.json'):
    data.Store(out)
  first = (out / '00000.passages').stat().st_mtime_ns
  asked = []

  def stopped():
    asked.append(len(written))
    return len(asked) > 200

  with pytest.raises(KeyboardInterrupt):  # also within a file of passages
    prepared(out, path, words=5, stopped=stopped)
  assert len(asked) == 201
  monkeypatch.setattr(store, 'write_shard', write_shard)
  said = []
  made = prepared(out, path, words=5, say=said.append)
  assert (out / '00000.passages').stat().st_mtime_ns == first
  assert 'goes on after' in said[0]
  assert list(made) == list(whole)
  del made.summary['megabytes_per_second'], whole.summary['megabytes_per_second']
  assert made.summary == whole.summary
  assert made.summary['problems'] == 4
  assert made.summary['duplicates'] > 0


def test_files_that_have_changed_are_begun_again(tmp_path, monkeypatch):
  """A part of one corpus is never joined with a part of another."""
  monkeypatch.setattr(store, 'SHARD', 8)
  source, out = tmp_path / 'in', tmp_path / 'out'
  lines(source / 'a.jsonl', *rows(40))
  bad = source / 'b.jsonl.gz'
  bad.write_bytes(b'no gzip')
  with pytest.raises(InputError, match=r'b\.jsonl\.gz cannot be read'):
    prepared(out, source)
  assert (out / '00002.passages').exists()
  bad.unlink()
  lines(source / 'a.jsonl', *rows(20, seed=1))
  made = prepared(out, source)
  assert list(made) == list(prepared(tmp_path / 'other', source))
  assert len(list(out.glob('*.passages'))) == 3


@pytest.mark.slow
def test_a_process_that_is_killed(tmp_path):
  """Started again, it ends with what it would have ended with."""
  out, path = tmp_path / 'out', lines(tmp_path / 'a.jsonl', *rows(40_000))
  call = f"data.prepare_corpus({str(out)!r}, name='jsonl', path={str(path)!r})"
  command = [sys.executable, '-c', f'from masklearn import data; {call}']
  with subprocess.Popen(command, cwd=ROOT) as p:
    deadline = time.monotonic() + 300
    while not (out / '00001.json').exists():
      assert p.poll() is None
      assert time.monotonic() < deadline
      time.sleep(0.002)
    p.kill()
  assert not (out / 'store.json').exists()
  kept = (out / '00001.passages').stat().st_mtime_ns
  made = prepared(out, path)
  assert (out / '00001.passages').stat().st_mtime_ns == kept
  whole = prepared(tmp_path / 'whole', path)
  assert counts(made) == counts(whole)
  assert len(made.summary['shards']) > 3
  assert list(made) == list(whole)


def test_a_table_of_fingerprints():
  """It knows what it was given; 0 and collisions of places are like any others."""
  seen, rng = deduplication.Seen(), random.Random(0)
  marks = [0, 1 << 63, *(256 * i for i in range(1, 300)),
           *(rng.getrandbits(64) for _ in range(30_000))]  # fmt: skip
  for new in (True, False):
    assert all(seen.add(mark) is new for mark in marks)


def test_fingerprints_need_few_bytes():
  """At every size, also of the largest part while it grows."""
  seen, rng = deduplication.Seen(), random.Random(1)
  worst = 0
  for count in range(1, 60_001):
    seen.add(rng.getrandbits(64))
    if count % 100 == 0 and count > 20_000:
      sizes = [*map(len, seen._shards)]
      places = sum(sizes) + max(sizes) * deduplication.GROWTH
      worst = max(worst, 8 * places / count)
  assert worst < 16


def test_fingerprints_are_those_of_the_words():
  """Case and white space do not matter, marks and order do."""
  same = {deduplication.fingerprint(t) for t in ('A b', ' a\u00a0B\n', 'a  b')}
  assert len(same) == 1
  others = {deduplication.fingerprint(t) for t in ('a b', 'ab', 'b a', 'a b.', 'a  c')}
  assert len(others) == 5


def test_a_store_is_a_sequence(tmp_path, monkeypatch):
  """Any passage, any part, all in order; and an index beyond is an error."""
  monkeypatch.setattr(store, 'SHARD', 3)
  passages = [
    Passage('a', 'Grüße', 'g', (Span(0, 1, 'x'),), ((0, 5),), ()),
    *(Passage(str(i), f'text {i}') for i in range(6)),
    Passage('z', 'Z', salient=(Span(0, 1, 'NAME'),)),
  ]
  made = data.write_store(tmp_path / 'new', iter(passages), {'more': 1})
  for found in (made, data.Store(tmp_path / 'new')):
    assert list(found) == passages
    assert [found[i] for i in range(-8, 8)] == passages * 2
    assert found[2:7:2] == tuple(passages[2:7:2])
    assert passages[5] in found
    shards = {'00000.passages': 3, '00001.passages': 3, '00002.passages': 2}
    assert found.summary == {'more': 1, 'shards': shards}
    for beyond in (8, -9):
      with pytest.raises(IndexError, match='of 8'):
        found[beyond]
  with pytest.raises(InputError, match='no passages to store'):
    data.write_store(tmp_path / 'none', [])


def test_records_keep_what_an_annotator_did_not_find(tmp_path):
  """No salient spans are not the same as none looked for."""
  passages = [Passage('a', 'Grüße'), Passage('b', 'B', salient=())]
  encoded = [*map(passage_records.encode, passages)]
  assert [*map(passage_records.decode, encoded)] == passages
  assert passage_records.decode(passage_records.encode(passages[0], ())).salient == ()
  path = tmp_path / 'p.jsonl'
  data.write_passages(path, passages)
  assert data.read_passages(path) == passages
  assert path.read_text('utf-8').splitlines() == [
    '{"id": "a", "text": "Grüße"}', '{"id": "b", "text": "B", "salient": []}'
  ]  # fmt: skip
