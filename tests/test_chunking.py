"""Documents are cut into passages, between sentences and never within a word."""

import itertools

import pytest

from masklearn import data, text
from masklearn.types import Passage, Span
from tests.documents import articles


def cut(body, words, **fields):
  """The passages of a text."""
  return list(data.chunk(Passage('d', body, **fields), words))


def test_whole_sentences_as_many_as_fit():
  """The next one goes to the next passage, with what lies within it."""
  body = 'One two. Three four five.  Six. Seven eight.'
  fields = {
    'group': 'g',
    'spans': (Span(0, 3, 'a'), Span(4, 14, 'cut'), Span(27, 30, 'b')),
    'salient': (Span(32, 37, 'NAME'),),
    'sentences': ((0, 8), (9, 25), (27, 31), (32, 44)),
  }
  inner, ends = (Span(18, 21, 'b'),), ((0, 16), (18, 22))
  assert cut(body, 4, **fields) == [
    Passage('d/0', 'One two.', 'g', (Span(0, 3, 'a'),), ((0, 8),), ()),
    Passage('d/1', 'Three four five.  Six.', 'g', inner, ends, ()),
    Passage('d/2', 'Seven eight.', 'g', (), ((0, 12),), (Span(0, 5, 'NAME'),)),
  ]


@pytest.mark.parametrize('words', [8, 9, 0])
@pytest.mark.parametrize(
  'body',
  [
    ' One two. Three four five. Six.\nSeven eight. ',
    f'{"a" * 99} {"b" * 99}. C.',  # many characters are not many words
  ],
)
def test_what_fits_stays_as_it_is(words, body):
  """With its id; no limit is none."""
  assert cut(body, words) == [Passage('d', body)]


def test_a_long_sentence_is_cut_between_words():
  """After every `words` words; what is left goes on with the next sentence."""
  texts = [p.text for p in cut("a b-c d'e f g. H i. J", 3)]
  assert texts == ["a b-c d'e", 'f g.', 'H i. J']
  assert [p.text for p in cut('word ' * 7, 3)] == ['word word word'] * 2 + ['word']


def test_a_sentence_goes_on_in_two_passages():
  """Annotations that a cut goes through are lost, sentences are shared."""
  found = cut('a b c d', 2, sentences=((0, 7),), spans=(Span(2, 5), Span(6, 7)))
  assert [p.sentences for p in found] == [((0, 3),), ((0, 3),)]
  assert [p.spans for p in found] == [(), (Span(2, 3),)]


@pytest.mark.parametrize('words', [1, 7, 100])
def test_nothing_is_lost_of_real_articles(shared_data, words):
  """The same words in the same order, in passages that are as full as can be."""
  for article in articles(shared_data)[:12]:
    found = cut(article['text'], words)
    assert ''.join(' '.join(p.text for p in found).split()) == ''.join(
      article['text'].split()
    )
    sizes = [len(text.spaced(p.text)) for p in found]
    assert max(sizes) <= words
  assert sum(sizes) / len(sizes) > words / 2


def test_much_is_cut_in_time():
  """With a hundred thousand annotations, each of which is in one passage."""
  words = 100_000
  spans = tuple(Span(2 * i, 2 * i + 1) for i in range(words))
  found = cut('a ' * words, 10, spans=spans, sentences=tuple(s[:2] for s in spans))
  assert len(found) == words / 10
  assert all(len(p.spans) == len(p.sentences) == 10 for p in found)


def test_texts_without_spaces_are_cut_between_their_letters():
  """Chinese has as many words as letters; what has no end is cut where it must be."""
  assert [p.text for p in cut('东京是首都。北京是首都', 6)] == [
    '东京是首都。',
    '北京是首都',
  ]
  assert [len(p.text) for p in cut('字' * 120_000, 100)] == [100] * 1200
  assert [len(p.text) for p in cut('x' * 400_000, 100)] == [100_000] * 4
  address = 'https://example.org/' + 'a-b/' * 60
  assert [p.text for p in cut(f'See {address} now.', 2)] == [f'See {address}', 'now.']


def test_what_fits_no_model_is_cut_within_words():
  """By sentences, words, and then graphemes; a piece has as many as fit."""
  body = 'ab cd. ' + 'e\u0301' * 7 + ' fg hi'  # seven graphemes
  found = data.split_passages([Passage('d', body)], lambda piece: len(piece), 5)
  texts = [p.text for p in found]
  assert texts == ['ab cd', '. e\u0301', *['e\u0301' * 2] * 3, 'fg hi']


def test_pieces_hold_as_much_as_cut_word_by_word():
  """What is guessed is what trying each number would give."""
  body = ' '.join('x' * (1 + i * i % 7) for i in range(300))

  def count(piece):
    return len(piece.replace(' ', ''))

  for longest in (7, 20, 333):
    found = data.split_passages([Passage('d', body)], count, longest)
    assert ' '.join(p.text for p in found) == body
    for piece, after in itertools.pairwise(p.text for p in found):
      assert count(piece) <= longest < count(piece) + count(after.split()[0])
