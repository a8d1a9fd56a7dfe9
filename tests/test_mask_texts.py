"""Masks of texts in Python: markers, texts that are none, and how often one is read."""

import numpy as np
import pytest

from masklearn import text
from masklearn.masking import apply, texts
from masklearn.policies import POLICIES, Entry, heuristic
from masklearn.types import InputError, Passage
from tests import tokenizer_families


def test_spans_are_as_many_as_a_tokenizer_has_markers_for(tmp_path):
  """Of T5's, ten here; the rest stays shown, and is counted."""
  made = tokenizer_families.unigram(['a b c d e f g ' * 9], True)
  made.save(str(tmp_path / 'tokenizer.json'))
  chosen = apply.choose('random', tokenizer=str(tmp_path), rate=0.5)
  masker = apply.Masker(chosen, 0, 200)
  body = ' '.join('abcdefg'[i % 7] for i in range(80))
  pieces, problems, long = masker.cut(Passage('x', body))
  assert (problems, long) == ([], 0)
  (found,) = masker.start(pieces, np.zeros((1, 2), np.int32))()
  assert len(found.spans) == 10
  assert found.hidden_words == 10
  assert found.lost_spans == 30
  assert found.pair('t5', 'spans')[0].count('<extra_id_') == 10


@pytest.mark.parametrize('body', ['', ' \n ', '\u3000'])
@pytest.mark.parametrize('tokens', [False, True])
def test_white_space_is_no_text(tmp_path, body, tokens):
  """With words as tokens or with a tokenizer, to which a space is one."""
  if tokens:
    text.train_tokenizer(['a'], 261).save(tmp_path / 'tokenizer.json')
  with pytest.raises(InputError, match=r'texts\[0\]: the text has no tokens'):
    texts.mask_texts([body], 'random', tokenizer=str(tmp_path) if tokens else '')


def test_half_characters_are_refused():
  """By the place of the text."""
  with pytest.raises(InputError, match=r'texts\[1\]: .* no encoding'):
    texts.mask_texts(['Oslo', 'a\ud800'], 'random')


def test_one_line_of_many_sentences_is_read_a_few_times(tmp_path):
  """What is encoded grows as the text does, whichever way it is cut."""
  size = 0

  class Counting(apply.Words):
    def encode(self, body):
      nonlocal size
      size += len(body)
      return super().encode(body)

  chosen = apply.choose('random')._replace(tokenizer=Counting())
  masker = apply.Masker(chosen, 0, 254)
  for body in (
    ' '.join(f'This is sentence {i} of many.' for i in range(3_000)),
    'no end of it ' * 3_000,
    '字' * 30_000,
    'x' * 300_000,
  ):
    size = 0
    pieces, _, _ = masker.cut(Passage('x', body))
    assert sum(len(piece.text) for piece in pieces) > 0.99 * len(body) - 300
    assert size < 12 * len(body)


def test_a_policy_that_counts_tokens_needs_some(monkeypatch):
  """Where each word is one token, it would be uniform, and nobody would know."""
  entry = Entry(heuristic.whole_word, 'long words', needs=('tokens',))
  monkeypatch.setitem(POLICIES, 'long_words', entry)
  with pytest.raises(InputError, match='counts tokens; give it a tokenizer'):
    texts.mask_texts(['Oslo'], 'long_words')
