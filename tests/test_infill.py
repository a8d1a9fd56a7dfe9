"""Pairs of texts: what the objective writes, restored to the character."""

import itertools
import random

import numpy as np
import pytest

from masklearn import data, text
from masklearn.masking import infill
from masklearn.types import InputError, MaskDraw, Passage
from tests.small import corrupt

BODY = 'Paris  is the capital of France.'
HIDDEN = [(0, 5), (14, 24)]


@pytest.mark.parametrize(
  ('form', 'source', 'target'),
  [
    ('bart', '<mask>  is the <mask> France.', '<mask> Paris <mask> capital of'),
    (
      't5',
      '<extra_id_0>  is the <extra_id_1> France.',
      '<extra_id_0> Paris <extra_id_1> capital of',
    ),
  ],
)
def test_a_pair_is_as_documented(form, source, target):
  """A marker for each span; a target that is full is the text."""
  assert infill.pair(BODY, HIDDEN, form, 'spans') == (source, target)
  assert infill.pair(BODY, HIDDEN, form, 'full') == (source, BODY)
  assert infill.restore(source, target, form) == BODY


@pytest.mark.parametrize('form', infill.FORMATS)
def test_any_spans_can_be_restored(form):
  """At both ends, touching, all or nothing, in scripts with and without spaces."""
  rng = random.Random(0)
  pieces = ['a', 'Zürich', '東京', ' ', '  ', '\n', '.', '👩‍🚀', '\\1', '<', '\u0301']
  for _ in range(300):
    body = ''.join(rng.choices(pieces, k=rng.randrange(1, 15))).strip() or 'x'
    cuts = sorted(rng.sample(range(len(body) + 1), rng.randrange(2, len(body) + 2)))
    inner = [(a, b) for a, b in itertools.pairwise(cuts) if rng.random() < 0.6]
    spans = [(a, b) for a, b in inner if body[a:b] == body[a:b].strip()]
    source, target = infill.pair(body, spans, form, 'spans')
    assert infill.restore(source, target, form) == body
    assert len(infill._MARKERS[form].findall(source)) == len(spans)


def test_tokens_become_characters_without_spaces_at_the_edges():
  """Touching spans stay two; a space that is a token hides nothing."""
  offsets = [(0, 2), (2, 3), (3, 5), (5, 6), (6, 8)]
  body = 'ab cd ef'

  def found(mask, start):
    return infill.spans(body, offsets, np.array(mask), np.array(start))

  assert found([1, 1, 1, 0, 0], [1, 0, 0, 0, 0]) == [(0, 5, 0, 3)]
  assert found([1, 1, 1, 0, 0], [1, 0, 1, 0, 0]) == [(0, 2, 0, 2), (3, 5, 2, 3)]
  assert found([0, 1, 0, 1, 1], [0, 1, 0, 1, 0]) == [(6, 8, 3, 5)]
  # Without a start, what follows something shown begins a span; padding is not read.
  assert found([0, 0, 0, 0, 1, 1], [0] * 6) == [(6, 8, 4, 5)]


def test_a_character_of_several_tokens_is_hidden_once():
  """Bytes of one character, hidden apart from each other."""
  body, offsets = 'é!', [(0, 1), (0, 1), (1, 2)]
  mask = np.array([1, 1, 1])
  assert infill.spans(body, offsets, mask, mask) == [(0, 1, 0, 1), (1, 2, 2, 3)]
  assert infill.spans(body, offsets, np.array([0, 1, 0]), mask) == [(0, 1, 1, 2)]


@pytest.mark.parametrize('form', infill.FORMATS)
def test_the_source_is_that_of_the_objective(form):
  """The same markers and words as the tokens of the objective decode to."""
  body = 'Paris is the capital of France, as is Lima of Peru.'
  tokenizer = text.train_tokenizer([body], 400, form)
  batch = data.encode_passages([Passage('1', body)], tokenizer)
  rng = np.random.default_rng(0)
  for _ in range(20):
    chosen = rng.random(batch.word.max() + 1) < 0.4
    mask = chosen[batch.word] & batch.valid
    begins = np.diff(batch.word, axis=1, prepend=-1) > 0
    draw = MaskDraw(mask.astype(np.float32), (mask & begins).astype(np.float32), None)
    made = corrupt(batch, draw, tokenizer.specials, 'spans')
    offsets = tokenizer.encode(body).offsets
    hidden = infill.spans(body, offsets, mask[0], draw.start[0])
    pair = infill.pair(body, [s[:2] for s in hidden], form, 'spans')
    for ids, ours in zip((made.source[0], made.target[0]), pair, strict=True):
      theirs = tokenizer._backend.decode(ids.tolist(), skip_special_tokens=False)
      for mark in ('<s>', '</s>', '<pad>'):
        theirs = theirs.replace(mark, '')
      assert theirs.replace(' ', '') == ours.replace(' ', '')


def test_what_cannot_be_restored_is_refused():
  """Other markers, and a text that has markers of its own."""
  with pytest.raises(InputError, match='same markers'):
    infill.restore('<mask> is', '', 'bart')
  assert infill.marker_in('a <mask> b', 'bart') == '<mask>'
  assert infill.marker_in('a <mask> b', 't5') is None
  assert infill.marker_in('see <extra_id_12>', 't5') == '<extra_id_12>'
  with pytest.raises(InputError, match='bart, t5'):
    infill.check('bert', 'spans')
  with pytest.raises(InputError, match='spans, full'):
    infill.check('t5', 'ful')
