"""The same words, and whole graphemes, whatever the tokenizer and the script."""

import functools
import unicodedata

import jax
import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from masklearn import data, text
from masklearn.data import answer_spans
from masklearn.masking import infill
from masklearn.types import Passage
from tests import tokenizer_families
from tests.small import make_policy

CAPITAL = 'Lisbon is the capital of Portugal. São Tomé (pop. 3,450.5) isn’t near it!'
TEXTS = {
  'English': CAPITAL,
  'NFD': unicodedata.normalize('NFD', 'José Núñez lives in São Tomé, he said.'),
  'Hindi': 'नई दिल्ली भारत की राजधानी है। क्षत्रिय हिन्दी में।',
  'Arabic': 'القاهرة هي عاصمة مِصْر، وهي كبيرة؟ نعم.',
  'Persian': 'تهران پایتخت ایران است و می\u200cخواهم خانه\u200cها را ببینم.',
  'Hebrew': 'יְרוּשָׁלַיִם הִיא עִיר הַבִּירָה.',
  'Thai': 'กรุงเทพฯ เป็นเมืองหลวง น้ำ 12 ที่',
  'Chinese': '北京是中国的首都。它有2000万人,很大!',
  'Japanese': '東京は日本の首都です。ｶﾞﾗｽ と ガラス。',
  'Korean': '서울은 한국의 수도이다. 각각',
  'emoji': 'We saw 👩‍🚀 and 👨‍👩‍👧‍👦🎉 in Oslo ❤️, 1️⃣ 👍🏽!',
  'flags': 'From 🇳🇴🇵🇪 to 🇵🇹, and 🏴󠁧󠁢󠁥󠁮󠁧󠁿.',
  'special tokens': '<s>10</s> 9 <pad> <mask> kr<unk>er [MASK] [SEP]<extra_id_0><0x41>',
  'soft hyphens': 'Donau\u00addampf\u00adschiff \u200fRTL\u200f a\u2060b',
  'spaces': '  Oslo\tis\u00a0in  the\u3000north \n of Norway.  ',
  'lengths': 'ﬁnd ﷺ ½ cup of Ⅷ ﬀ ǆ İstanbul straße x\u0301\u0323',
}
# A piece may have two of their words: two letters, or two marks such as `</`.
CLOSE = 'Thai', 'Chinese', 'Japanese', 'special tokens'
TRAINING = [*TEXTS.values()] * 4
SCRIPTS = st.text(
  st.one_of(
    st.sampled_from("ab9 .,'-’\t\u00a0\n_<>\u0301\u0323\u0303é"),
    st.sampled_from('की्षत\u200c\u200d\u00ad\u200f👩🚀🇳🇴\ufe0f\u20e3้ำก字かガ\u0600가ᄀ'),
    st.characters(exclude_categories=['Cs']),
  ),
  max_size=60,
)


@functools.cache
def tokenizer(family):
  """One of a family, of all texts."""
  return text.Tokenizer(tokenizer_families.FAMILIES[family](TRAINING))


def uncut(body, spans):
  """Whether no span ends within a grapheme; white space is a character of its own."""
  inner = {
    at
    for found in regex.finditer(r'\s|\X', body)
    for at in range(found.start() + 1, found.end())
  }
  return not any({start, end} & inner for start, end in spans)


def expected_words(body, offsets):
  """The number of each token's word, token by token; joined where a token has two."""
  bounds = text.words(body)
  touched = []
  for start, end in offsets:
    inside = [i for i, (a, b) in enumerate(bounds) if a < end and start < b]
    ahead = [i for i, (_, b) in enumerate(bounds) if start < b]
    touched.append(inside or ahead[:1] or [len(bounds) - 1])
  joined = {i for found in touched for i in found[1:]}
  numbers = [
    max(i for i in range(found[0] + 1) if i not in joined) for found in touched
  ]
  present = sorted(set(numbers))
  return [present.index(i) for i in numbers]


@pytest.mark.parametrize('family', tokenizer_families.FAMILIES)
def test_words_by_tokens_are_those_of_the_text(family, tmp_path):
  """No token is special; hidden words are whole, as many as the budget says.

  And source and target give back the text, to the character.
  """
  tokens = tokenizer(family)
  tokens.save(tmp_path / 'tokenizer.json')
  loaded = text.load_tokenizer(tmp_path)
  passages = [Passage(name, body) for name, body in TEXTS.items()]
  batch = data.encode_passages(passages, tokens, 'rules', max_length=512, at_least=256)
  assert batch.tokens.shape[1] == 256  # one program for all families
  policy, theta = make_policy('random')
  draw = policy.draw(theta, jax.random.key(0), batch)
  added = tokens._backend.get_added_tokens_decoder().values()
  special = {t.content for t in added if t.special} - {'<unk>', '[UNK]'}
  rng = np.random.default_rng(0)
  for row, (name, body) in enumerate(TEXTS.items()):
    ids, offsets = tokens.encode(body)
    assert loaded.encode(body) == (ids, offsets), name
    assert not special & {tokens._backend.id_to_token(i) for i in ids}, name
    assert offsets == sorted(offsets), name
    assert all(body[a:b] == body[a:b].strip() for a, b in offsets), name
    word = batch.word[row, : len(ids)].tolist()
    assert word == expected_words(body, offsets), name
    bounds = answer_spans.word_bounds(body, tokens, batch, row)
    if family in tokenizer_families.WHOLE and name not in CLOSE:
      assert bounds == text.words(body), name
    mask, start = np.array(draw.mask[row]), np.array(draw.start[row])
    hidden = {word[i] for i in np.flatnonzero(mask)}
    assert len(hidden) == max(1, round(0.4 * len(bounds))), name
    for chosen, starts in ((mask, start), (rng.random(256) < 0.3, np.ones(256))):
      spans = [s[:2] for s in infill.spans(body, offsets, chosen, starts)]
      assert uncut(body, spans), name
      pair = infill.pair(body, spans, 'bart', 'spans')
      if '<mask>' not in body:
        assert infill.restore(*pair, 'bart') == body, name


@pytest.mark.parametrize('family', [*tokenizer_families.WHOLE, 'Unigram and bytes'])
def test_what_is_encoded_is_decoded(family):
  """Special tokens in a text are text there and back; none of them is left out."""
  tokens = tokenizer(family)
  for name, body in TEXTS.items():
    back = tokens.decode(tokens.encode(body).ids)
    assert ''.join(back.split()) == ''.join(body.split()), name


def test_words_of_scripts():
  """Whole names, syllables and pictures; of scripts without spaces, letters."""
  words = {n: [b[s:e] for s, e in text.words(b)] for n, b in TEXTS.items()}
  assert [unicodedata.normalize('NFC', w) for w in words['NFD']] == [
    'José', 'Núñez', 'lives', 'in', 'São', 'Tomé', ',', 'he', 'said', '.'
  ]  # fmt: skip
  assert len(words['Hindi']) == 9 + 2  # and two full stops
  assert words['Persian'][5:7] == ['می\u200cخواهم', 'خانه\u200cها']
  assert len(words['Hebrew']) == 4 + 1
  assert words['Thai'][-3:] == ['น้ำ', '12', 'ที่']
  assert words['Chinese'][:3] + words['Chinese'][11:13] == [
    '北',
    '京',
    '是',
    '2000',
    '万',
  ]
  assert 'ガラス' in words['Japanese']
  assert words['Korean'] == ['서울은', '한국의', '수도이다', '.', '각각']
  assert '👨‍👩‍👧‍👦' in words['emoji']
  assert words['flags'] == ['From', '🇳🇴', '🇵🇪', 'to', '🇵🇹', ',', 'and', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '.']
  assert words['soft hyphens'][0] == 'Donau\u00addampf\u00adschiff'
  assert words['spaces'] == ['Oslo', 'is', 'in', 'the', 'north', 'of', 'Norway', '.']


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(SCRIPTS)
def test_words_of_any_text(body):
  """In order, all but white space, and no grapheme in two of them."""
  words = text.words(body)
  covered = [i for a, b in words for i in range(a, b)]
  assert covered == [i for i, c in enumerate(body) if not c.isspace()]
  assert uncut(body, words)
  assert [b for a, b in text.spaced(body) if uncut(body, [(a, b)])] == [
    b for _, b in text.spaced(body)
  ]
  parts = text.graphemes(body)
  assert [i for a, b in parts for i in range(a, b)] == list(range(len(body)))


@pytest.mark.parametrize('family', ['byte-level', 'Metaspace', 'Llama', 'WordPiece'])
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(body=SCRIPTS)
def test_tokens_of_any_text(family, body):
  """Offsets in order and without white space; each token is in its word."""
  tokens = tokenizer(family)
  ids, offsets = tokens.encode(body)
  assert len(ids) == len(offsets)
  assert all(a <= b and body[a:b] == body[a:b].strip() for a, b in offsets)
  assert offsets == sorted(offsets)
  if ids and text.words(body):
    batch = data.encode_passages([Passage('x', body)], tokens, '', max_length=999)
    assert batch.word[0, : len(ids)].tolist() == expected_words(body, offsets)
    spans = infill.spans(body, offsets, np.arange(len(ids)) % 3 > 1, np.ones(len(ids)))
    assert uncut(body, [s[:2] for s in spans])
