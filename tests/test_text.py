"""Tokens know their characters; words, sentences and salient spans are found."""

import re

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from masklearn import text
from masklearn.text import segmentation
from masklearn.types import InputError, Specials

TEXTS = [
  "The capital of Côte d'Ivoire is Yamoussoukro. Euros are not paid there.",
  'St. John\'s is in Antigua and Barbuda. On 6 August 1825 it had 3,450.5 "km".',
]


@pytest.fixture(scope='module')
def tokenizer():
  """A byte-level BPE of the texts above."""
  return text.train_tokenizer(TEXTS * 5, 330)


def test_offsets_cover_the_text(tokenizer):
  """Every character but spaces belongs to a token, whose text decodes to it."""
  for body in TEXTS:
    encoding = tokenizer.encode(body)
    covered = {i for a, b in encoding.offsets for i in range(a, b)}
    assert covered == {i for i, c in enumerate(body) if c != ' '}
    assert tokenizer.decode(encoding.ids) == body


def test_a_word_is_the_same_token_wherever_it_stands(tokenizer):
  """An answer has the ids that its span has within a passage."""
  inside = tokenizer.encode(TEXTS[0])
  start, end = re.search('Yamoussoukro', TEXTS[0]).span()
  span = [i for i, (a, _) in zip(*inside, strict=True) if start <= a < end]
  assert span == tokenizer.encode('Yamoussoukro').ids


@pytest.mark.parametrize('family', ['bart', 't5'])
def test_words_can_be_tokens_of_their_own(family, tmp_path):
  """After all others, of which none changes; a text is still what it was."""
  small = text.train_tokenizer(TEXTS * 5, 400, family)
  names = ["Côte d'Ivoire", 'Barb', 'Barbuda 1825', 'Guinea-Bissau', 'Île']
  text.with_words(small, names).save(tmp_path / 'tokenizer.json')
  large = text.load_tokenizer(tmp_path)
  assert large.specials == small.specials
  ids = [large.encode(word).ids for word in ('Côte', 'Barbuda', 'Barb', '1825', 'Île')]
  assert {len(of_word) for of_word in ids} == {1}
  assert large.encode('Bissau').ids[1:]
  for body in (*TEXTS, 'Barbarians of Barbados, 1825', 'the Côtes-Bissau'):
    assert large.decode(large.encode(body).ids) == body
  assert large.encode('there it had 345 km') == small.encode('there it had 345 km')


@given(words=st.lists(st.text('abc', min_size=1), min_size=1, max_size=30))
def test_any_words_can_be_tokens(words):
  """Also where one begins with another, or its tokens can be joined in several ways."""
  small = text.train_tokenizer(['abba cab abc bac cabba', 'bab cacb'] * 3, 268)
  large = text.with_words(small, words)
  assert [len(large.encode(word).ids) for word in words] == [1] * len(words)
  for body in ('abcab bca', *words):
    assert large.decode(large.encode(body).ids) == body


def test_tokenizer_survives_its_file(tokenizer, tmp_path):
  """What is saved reads back with the same ids, from the file or its directory."""
  tokenizer.save(tmp_path / 'tokenizer.json')
  for path in (tmp_path, tmp_path / 'tokenizer.json'):
    loaded = text.load_tokenizer(path)
    assert loaded.encode(TEXTS[1]) == tokenizer.encode(TEXTS[1])
    assert loaded.specials == tokenizer.specials == Specials(0, 1, 2, 4)


def test_tokenizers_for_t5_have_its_sentinels(tmp_path):
  """A hundred, in their order; there is no <s>, and the decoder starts from <pad>."""
  tokenizer = text.train_tokenizer(TEXTS * 5, 400, 't5')
  tokenizer.save(tmp_path / 'tokenizer.json')
  for one in (tokenizer, text.load_tokenizer(tmp_path)):
    assert one.specials[:4] == (None, 0, 1, 3)
    assert one.specials.sentinels == tuple(range(3, 103))
    assert one.specials.decoder_start == 0
    assert one.decode([3, *one.encode(TEXTS[0]).ids, 4, 1]) == TEXTS[0]


def test_tokenizers_of_bert_have_its_tokens_and_cut_nothing(tmp_path):
  """[CLS], [PAD], [SEP] and [MASK]; what their file says of lengths does not hold."""
  names = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'euro', '##s', 'are', 'paid']
  tokens = {name: i for i, name in enumerate(names)}
  model = tokenizers.models.WordPiece(tokens, unk_token='[UNK]')
  backend = tokenizers.Tokenizer(model)
  backend.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
  backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  backend.decoder = tokenizers.decoders.WordPiece()
  backend.add_special_tokens(names[:5])
  backend.enable_truncation(3)
  backend.enable_padding(length=6)
  backend.save(str(tmp_path / 'tokenizer.json'))
  loaded = text.load_tokenizer(tmp_path)
  assert loaded.specials == Specials(2, 0, 3, 4)
  ids, offsets = loaded.encode('Euros are paid')
  assert ids == [5, 6, 7, 8]
  assert offsets == [(0, 4), (4, 5), (6, 9), (10, 14)]
  assert loaded.decode([2, *ids, 3]) == 'euros are paid'


@pytest.mark.parametrize(
  ('names', 'missing'),
  [
    (('<s>', '<pad>', '</s>'), '<mask>'),
    (('[CLS]', '[SEP]', '[MASK]'), r'\[PAD\]'),
    (('</s>', '<extra_id_0>'), '<pad>'),
  ],
)
def test_tokenizer_needs_the_special_tokens(names, missing):
  """One that lacks a token of the family that it is nearest to is refused by name."""
  tokens = {name: i for i, name in enumerate(names)}
  model = tokenizers.models.WordLevel(tokens, unk_token=names[0])
  with pytest.raises(InputError, match=rf'on\); {missing} not in it'):
    text.Tokenizer(tokenizers.Tokenizer(model))


@pytest.mark.parametrize(
  ('size', 'family', 'message'),
  [(100, 'bart', 'size=100'), (400, 't6', "'t6'; did you mean 't5'")],
)
def test_tokenizers_that_cannot_be(size, family, message):
  """A byte-level vocabulary holds at least all bytes and a family's special tokens."""
  with pytest.raises(InputError, match=message):
    text.train_tokenizer(TEXTS, size, family)


def test_loose_occurrences_know_case_and_inflection():
  """As whole words, marks included, at each place; nothing else."""
  body = 'The REPUBLICS of Guinea-Bissau paid euros; a euro, and U.S. dollars.'
  found = text.loose_occurrences(
    body, ['republic', 'Guinea', 'euro', 'US dollar', 'u.s. Dollar', '', 'paid euro']
  )
  said = {k: [body[a:b] for a, b, _ in spans] for k, spans in found.items()}
  assert said == {
    'republic': ['REPUBLICS'], 'Guinea': [], 'euro': ['euros', 'euro'],
    'US dollar': [], 'u.s. Dollar': ['U.S. dollars'], '': [],
    'paid euro': ['paid euros'],
  }  # fmt: skip


def test_prefix_occurrences_begin_with_the_phrase():
  """Word by word, in any case; words of two letters have to be the same."""
  body = 'On the TYNE, Tynemouth; an onward tide, the Tynesiders.'
  found = text.prefix_occurrences(body, ['Tyne', 'the tyne', 'on', 'mouth', ''])
  said = {k: [body[a:b] for a, b, _ in spans] for k, spans in found.items()}
  assert said == {
    'Tyne': ['TYNE', 'Tynemouth', 'Tynesiders'],
    'the tyne': ['the TYNE', 'the Tynesiders'], 'on': ['On'], 'mouth': [], '': [],
  }  # fmt: skip


@pytest.mark.parametrize(
  ('context', 'phrases', 'expected'),
  [
    ('More and more, moreover.', ['more'], [[(9, 13)]]),
    ('Group B is not Group BB.', ['Group B'], [[(0, 7)]]),
    ('It is 3.5 (or less).', ['3.5', '(or less)'], [[(6, 9)], [(10, 19)]]),
    ('a big cat', ['big cat', 'big'], [[(2, 9)], [(2, 5)]]),
    ('no no no', ['no no', 'no no', 'yes', ''], [[(0, 5), (3, 8)], [], []]),
    ('Guinea-Bissau borders Guinea.', ['Guinea', 'Bissau'], [[(22, 28)], []]),
    ('Sa\u0303o, São', ['São', 'Sa\u0303o', 'Sa'], [[(0, 4), (6, 9)]] * 2 + [[]]),
    ('東京は首都', ['東京', '首都', '京は'], [[(0, 2)], [(3, 5)], [(1, 3)]]),
  ],
)
def test_phrases_stand_as_whole_words(context, phrases, expected):
  """Every time, in their case, and never in a part of a word of `text.words`."""
  found = text.occurrences(context, phrases)
  assert list(found) == list(dict.fromkeys(phrases))
  assert [[span[:2] for span in spans] for spans in found.values()] == expected


@pytest.mark.parametrize(
  ('body', 'expected'),
  [
    ('x' * 250, [100, 100, 50]),
    ('a\u0301' * 150, [200, 100]),  # graphemes are counted
    ('字' * 3, [1, 1, 1]),
    ('!' * 3, [1, 1, 1]),
    ('a' + '\u0301' * 9_999, [6400, 3600]),  # of 64 characters at most
  ],
)
def test_words_have_an_end(body, expected):
  """Whatever a text has, nothing that is read as one grows with it."""
  sizes = [b - a for a, b in text.words(body)]
  assert sizes == expected
  assert text.long_words(body) == (max(sizes) > 1)


def test_sentences_of_other_scripts_end_with_their_marks():
  """Where there are no capitals, and perhaps no spaces."""
  body = '東京は首都です。「はい。」 そう？हिन्दी है। यह भी। أين؟ هنا'
  found = [body[a:b] for a, b in text.sentences(body)]
  assert found == [
    '東京は首都です。', '「はい。」', 'そう？', 'हिन्दी है।', 'यह भी।', 'أين؟', 'هنا'
  ]  # fmt: skip


def test_a_tokenizer_learns_from_words_without_end():
  """In pieces; from other texts as they are. It stops when it is told to."""
  bodies = ['x' * 300_000, '字' * 30_000, ' ' * 300_000, '=' * 300_000, *TEXTS * 5]
  made = text.train_tokenizer(bodies, 600)
  assert made.decode(made.encode(TEXTS[0]).ids) == TEXTS[0]
  assert max(len(made.decode([i])) for i in range(made.size)) <= 100
  for body in TEXTS:
    assert list(segmentation.bounded(body)) == [body]
  assert ''.join(segmentation.bounded(bodies[0] + ' b')) == bodies[0] + ' b'
  asked = []
  with pytest.raises(KeyboardInterrupt):
    text.train_tokenizer(
      TEXTS * 9, 400, stopped=lambda: asked.append(1) or len(asked) > 3
    )
  assert len(asked) == 4


def test_half_a_surrogate_pair_is_no_text(tokenizer):
  """One line says so."""
  with pytest.raises(InputError, match='no encoding'):
    tokenizer.encode('a\ud800')
