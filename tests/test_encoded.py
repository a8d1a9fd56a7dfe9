"""The encoded corpus on disk."""

import numpy as np
import pytest

from masklearn import data, text
from masklearn.data import encoded
from masklearn.types import Batch, InputError, Passage, Span

PASSAGES = [
  Passage('a', 'Oslo is in Norway. They pay kroner.', 'Norway', (Span(0, 4, 'city'),)),
  Passage('b', 'Lima.', 'Peru', (Span(0, 4, 'city'),)),
  Passage('c', 'Quito lies high.', 'Ecuador', (Span(0, 5, 'city'),)),
]
TOKENIZER = text.train_tokenizer([p.text for p in PASSAGES], 270)


def kept(directory, units=None, max_length=40):
  """The passages, encoded two at a time at most."""
  asked = frozenset({'city'})
  return encoded.kept(directory, PASSAGES, TOKENIZER, 'rules', asked, max_length, units)


def words(passage):
  """Every word a collocation."""
  return text.words(passage.text)


@pytest.mark.parametrize('units', [None, words])
def test_the_files_hold_what_the_arrays_would(tmp_path, monkeypatch, units):
  """In several parts, each as wide as the whole; read-only, and no copy in memory."""
  monkeypatch.setattr(encoded, 'AT_ONCE', 2)
  got = kept(tmp_path / 'e', units)
  asked = frozenset({'city'})
  want = data.encode_passages(PASSAGES, TOKENIZER, 'rules', asked, 40, units)
  for name, one, other in zip(Batch._fields, got, want, strict=True):
    if other is None:
      assert one is None, name
      continue
    assert isinstance(one, np.memmap), name
    assert not one.flags.writeable, name
    assert one.dtype == other.dtype, name
    np.testing.assert_array_equal(one, other, name)
  some = data.take(got, np.array([2, 0]))
  np.testing.assert_array_equal(some.tokens, want.tokens[[2, 0]])


def test_what_is_there_is_read_and_what_was_not_finished_is_made_anew(
  tmp_path, monkeypatch
):
  """The last file says that all is there."""
  first = kept(tmp_path)
  (tmp_path / 'encoded.json').unlink()
  (tmp_path / 'word.npy').write_bytes(b'half')
  np.testing.assert_array_equal(kept(tmp_path).word, first.word)
  monkeypatch.setattr(data, 'encode_passages', None)
  np.testing.assert_array_equal(kept(tmp_path).asked, first.asked)


def test_a_passage_that_is_too_long_leaves_nothing_that_looks_finished(tmp_path):
  """It is named."""
  with pytest.raises(InputError, match=r"'a' has .* reads at most 8"):
    kept(tmp_path, max_length=8)
  assert not (tmp_path / 'encoded.json').exists()
