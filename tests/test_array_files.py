"""The encoded corpus on disk, and what it costs."""

import collections

import numpy as np
import pytest

from masklearn import data, text
from masklearn.data import array_files
from masklearn.data.array_files import Widened
from masklearn.study import setup
from masklearn.types import Batch, InputError, Passage, Span

PASSAGES = [
  Passage('a', 'Oslo is in Norway. They pay kroner.', 'Norway', (Span(0, 4, 'city'),)),
  Passage('b', 'Lima.', 'Peru', (Span(0, 4, 'city'),)),
  Passage('c', 'Quito lies high.', 'Ecuador', (Span(0, 5, 'city'),)),
]
TOKENIZER = text.train_tokenizer([p.text for p in PASSAGES], 270)
ASKED = {'cities': frozenset({'city'}), 'nothing': frozenset()}


def encode(directory, units=None, max_length=40, asked=ASKED):
  """The encoded passages of both tasks."""
  return array_files.load_or_encode(
    directory, directory / 'tokens', PASSAGES, TOKENIZER, 'rules', asked, max_length,
    units,
  )  # fmt: skip


def words(passage):
  """Every word a collocation."""
  return text.words(passage.text)


@pytest.mark.parametrize('units', [None, words])
def test_the_files_hold_what_the_arrays_would(tmp_path, monkeypatch, units):
  """In several parts, each as wide as the whole; read-only, and no copy in memory."""
  monkeypatch.setattr(array_files, 'AT_ONCE', 2)
  for task, got in encode(tmp_path / 'e', units).items():
    want = data.encode_passages(PASSAGES, TOKENIZER, 'rules', ASKED[task], 40, units)
    for name, one, other in zip(Batch._fields, got, want, strict=True):
      if other is None:
        assert one is None, name
        continue
      file = one.file if isinstance(one, Widened) else one
      assert isinstance(file, np.memmap), name
      assert not file.flags.writeable, name
      assert (one.dtype, one.shape, len(one)) == (other.dtype, other.shape, 3), name
      for index in (slice(None), 1, [2, 0], np.array([[1], [0]])):
        np.testing.assert_array_equal(one[index], other[index], name, strict=True)
      np.testing.assert_array_equal(one, other, name)
      np.testing.assert_array_equal(list(one), other, name)
    some = data.take(got, np.array([2, 0]))
    np.testing.assert_array_equal(some.tokens, want.tokens[[2, 0]])


def test_what_is_there_is_read_and_the_rest_is_written_again(tmp_path, monkeypatch):
  """The last file says that all is there, and for which tasks."""
  first = encode(tmp_path)['cities']
  (tmp_path / 'fields.json').unlink()
  (tmp_path / 'word.npy').write_bytes(b'half')
  np.testing.assert_array_equal(encode(tmp_path)['cities'].word, first.word)
  other = encode(tmp_path, asked={'rivers': frozenset({'river'})})
  assert list(other) == ['rivers']
  assert not np.any(other['rivers'].asked)
  assert np.any(encode(tmp_path)['cities'].asked)
  monkeypatch.setattr(data.arrays, 'encode_passages', None)
  np.testing.assert_array_equal(encode(tmp_path)['cities'].asked, first.asked)


def test_a_passage_that_is_too_long_leaves_nothing_that_looks_finished(tmp_path):
  """It is named."""
  with pytest.raises(InputError, match=r"'a' has .* reads at most 8"):
    encode(tmp_path, max_length=8)
  assert not (tmp_path / 'fields.json').exists()


@pytest.mark.parametrize(
  ('largest', 'length', 'expected'),
  [(65_535, 256, 7), (65_535, 512, 9), (250_000, 256, 9), (250_000, 512, 11)],
)
def test_bytes_of_a_token(tmp_path, largest, length, expected):
  """At most eleven; collocations are one more."""
  rows = np.zeros((300, length), np.int32)
  values = dict.fromkeys(('tokens', 'word', 'sentence', 'salient', 'asked-t'), rows)
  values |= {'valid': rows > 0, 'asked': rows}
  for more, collocation in enumerate((None, rows)):
    folder = tmp_path / str(more)
    parts = [values | {'collocation': collocation}]
    array_files._write(folder, parts, len(rows), largest)
    overhead = (6 + more) * 128  # of the files of NumPy
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size == (expected + more) * rows.size + overhead


@pytest.mark.parametrize('stored', [False, True])
def test_a_passage_is_tokenized_once(tmp_path, monkeypatch, stored):
  """On its way from the corpus to arrays, whether it was cut to fit or not."""
  body = 'One two three four. Five six. Seven eight nine. Ten. Twelve or thirteen is.'
  (tmp_path / 'a.txt').write_text('\n\n'.join([body, 'Short.', 'Another one.']))
  source = {'name': 'text', 'path': tmp_path / 'a.txt', 'words': 0}
  generated = {'name': 'people', 'size': 3, 'copies': 1}
  counts, original = collections.Counter(), text.Tokenizer.encode

  def counted(self, body):
    counts[body] += 1
    return original(self, body)

  monkeypatch.setattr(text.Tokenizer, 'encode', counted)
  directory = tmp_path / 'corpus'
  made = setup.prepare(
    directory, seed=0, longest=24, tokenizer='', vocabulary=270,
    model={'name': 'bart', 'size': 'tiny'}, **(source if stored else generated),
  )  # fmt: skip
  assert (directory / setup.TOKENS).exists()
  array_files.load_or_encode(
    directory / 'encoded', directory / setup.TOKENS, made.passages, made.tokenizer,
    'rules', ASKED, 24,
  )  # fmt: skip
  assert not (directory / setup.TOKENS).exists()
  assert len(made.passages) > 4
  # A full stop is cut off in many.
  texts = [passage.text for passage in made.passages if passage.text != '.']
  assert {counts[one] for one in texts} == {1}
