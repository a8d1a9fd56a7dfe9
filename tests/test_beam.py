"""Corpora prepared on Apache Beam are those of one process."""

import sys

import pytest

from masklearn import data
from masklearn.types import InputError
from tests.documents import lines

COUNTS = ('documents', 'passages', 'duplicates', 'problems', 'examples', 'bytes')


@pytest.fixture(scope='module')
def pipeline():
  """The module, whose import may warn about clouds that nobody uses here."""
  pytest.importorskip('apache_beam', reason='needs the extra `beam`')
  from masklearn.data import beam

  return beam


def test_beam_gives_the_same_passages(tmp_path, pipeline, monkeypatch):
  """In the same order, with the same duplicates, problems and ids, of many files."""
  monkeypatch.setattr(pipeline, 'BLOCK', 4)
  for i in range(3):
    texts = [
      f'Ada lives in Town {i * k % 7}. She is {k}. Bo is here.' for k in range(11)
    ]
    rows = [{'text': body} for body in texts]
    rows[4] |= {'id': f'twice-{i % 2}', 'spans': [[0, 3, 'who']], 'group': 'Ada'}
    lines(tmp_path / 'in' / f'{i}.jsonl.gz', *rows, '{', rows[0])
  options = {'name': 'jsonl', 'path': tmp_path / 'in', 'words': 5}
  one = data.prepare_corpus(tmp_path / 'one', **options)
  other = data.prepare_corpus(tmp_path / 'beam', runner='DirectRunner', **options)
  assert list(other) == list(one)
  for name in COUNTS:
    assert other.summary[name] == one.summary[name], name
  assert one.summary['duplicates'] > 0
  assert one.summary['problems'] == 4
  assert len(other.summary['shards']) > 3
  assert list(data.prepare_corpus(tmp_path / 'beam', **options)) == list(one)


def test_beam_gives_the_same_of_real_articles(tmp_path, pipeline, shared_data):
  """Of the shared data."""
  options = {'name': 'elements', 'path': shared_data / 'corpora' / 'elements.jsonl'}
  one = data.prepare_corpus(tmp_path / 'one', **options)
  other = data.prepare_corpus(tmp_path / 'beam', runner='DirectRunner', **options)
  assert list(other) == list(one)


def test_beam_says_what_is_wrong(tmp_path, pipeline):
  """A file that cannot be read, no usable record, and a runner that is none."""
  (tmp_path / 'a.gz').write_bytes(b'no gzip')
  lines(tmp_path / 'b.txt', b'\xff')
  for file, runner, message in (
    ('a.gz', 'DirectRunner', r'a\.gz cannot be read: Not a gzipped file'),
    ('b.txt', 'DirectRunner', r'b\.txt has no usable record; 1 are bad'),
    ('b.txt', 'DirctRunner', r"one of Beam, .* got 'DirctRunner'"),
  ):
    options = {'name': 'text', 'path': tmp_path / file, 'runner': runner}
    with pytest.raises(InputError, match=message):
      data.prepare_corpus(tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ('--direct_num_worker=2', "'--direct_num_worker'; did you mean '--direct_num_work"),
    ('--temp_location="x', 'Options of Beam cannot be read: No closing quotation'),
    ('--direct_num_workers=two', 'Options of Beam cannot be read'),
  ],
)
def test_beam_options_that_it_does_not_have(tmp_path, pipeline, options, message):
  """Beam itself goes on without them."""
  path = lines(tmp_path / 'a.txt', 'One.')
  options = {'path': path, 'runner': 'DirectRunner', 'beam': options}
  with pytest.raises(InputError, match=message):
    data.prepare_corpus(tmp_path / 'out', name='text', **options)
  assert not (tmp_path / 'out').exists()


def test_beam_that_is_not_there(tmp_path, monkeypatch):
  """The error names the extra."""
  path = lines(tmp_path / 'a.txt', 'One.')
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  monkeypatch.delitem(sys.modules, 'masklearn.data.beam', False)
  monkeypatch.delattr(data, 'beam', raising=False)
  with pytest.raises(InputError, match=r"pip install 'masklearn\[beam\]'"):
    data.prepare_corpus(tmp_path / 'out', name='text', path=path, runner='DirectRunner')
