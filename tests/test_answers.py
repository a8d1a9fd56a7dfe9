"""Where answers stand: gold passages, matches, pieces of passages, and arrays."""

import dataclasses

import numpy as np
import pytest

from masklearn import text
from masklearn.data import answer_spans
from masklearn.data.answer_spans import Answered
from masklearn.types import Example, Passage, Span

TEXT = 'Berlin, a city on the Spree, has 3,700,000 people. Paris lies on the Seine.'


@pytest.fixture(scope='module')
def tokenizer():
  """One with words of several tokens."""
  return text.train_tokenizer([TEXT], 290)


def spans_of(*found):
  """Where each of these first stands."""
  return tuple(Span(TEXT.index(word), TEXT.index(word) + len(word)) for word in found)


def texts_of(answered):
  """The answers to each question, as they stand in the passage."""
  body = answered.passage.text
  return [[body[a:b] for a, b, _ in spans] for spans in answered.answers]


def example(number, *found, context=TEXT, group='cities'):
  """A question that these answer."""
  return Example(str(number), 'q', found, group, '', context, spans_of(*found))


def test_questions_about_one_passage_share_it():
  """In their order, with every answer once; those without a passage are left out."""
  other = 'Paris lies on the Seine.'
  rows = [
    example(0, 'Spree', 'the Spree', 'Spree'),
    Example('1', 'q', ('nowhere',), 'cities'),
    example(2, 'Seine'),
    Example('3', 'q', ('Paris',), 'cities', '', other, (Span(0, 5),)),
    example(4, 'Berlin', group='others'),
  ]
  first, second, third = answer_spans.of_examples(rows)
  assert first.passage.text == third.passage.text == TEXT
  assert first.answers == (spans_of('Spree', 'the Spree'), spans_of('Seine'))
  assert second == Answered(Passage('cities/1', other, 'cities'), ((Span(0, 5),),))
  assert third.passage.group == 'others'
  assert len({a.passage.id for a in (first, second, third)}) == 3


def test_a_gold_passage_gives_way_to_the_corpus_around_it():
  """Of its group alone; to the shortest that ends with it, or else to the shortest."""
  corpus = [
    Passage('0', 'Monaco. Coast: 4 km', 'Monaco'),
    Passage('1', 'Monaco. Capital, its name: Monaco', 'Monaco'),
    Passage('2', 'Monaco. Capital: Monaco', 'Monaco'),
    Passage('3', 'Peru. Monaco', 'Peru'),
    Passage('4', 'Peru. Speech: Spanish, Quechua, and Aymara', 'Peru'),
    Passage('5', 'Peru. In short: Spanish, Quechua, and more', 'Peru'),
  ]
  rows = [
    Example('a', 'q', ('Monaco',), 'Monaco', '', 'Monaco', (Span(0, 6),)),
    Example('b', 'q', (), 'Peru', '', 'Spanish, Quechua', (Span(9, 16), Span(0, 7))),
    Example('c', 'q', ('no',), 'Peru', '', 'no more', (Span(0, 2),)),
    Example('d', 'q', ('m',), '', '', 'more', (Span(0, 1),)),
  ]
  found = answer_spans.of_examples(rows, corpus)
  whole = [corpus[2].text, corpus[4].text, 'no more', 'more']
  assert [a.passage.text for a in found] == whole
  assert found[0].answers == ((Span(17, 23),),)
  assert texts_of(found[1]) == [['Quechua', 'Spanish']]


def test_matches_are_whole_words_of_the_same_group():
  """Every occurrence of every target, and nothing inside of words."""
  body = 'Oslo is Oslo; Osloer and Neu-Oslo are not. A lies by C.'
  passages = [Passage('0', body, 'no'), Passage('1', body, 'other')]
  rows = [
    Example('a', 'q', ('Oslo', 'absent'), 'no'),
    Example('b', 'q', ('A', 'C'), 'no'),
    Example('c', 'q', ('absent',), 'no'),
  ]
  (found,) = answer_spans.by_match(passages, rows)
  assert found.passage is passages[0]
  assert texts_of(found) == [['Oslo', 'Oslo'], ['A', 'C']]
  assert found.answers[0] == (Span(0, 4), Span(8, 12))


def test_a_question_without_a_group_is_looked_for_everywhere():
  """And every question in a corpus that has no groups; the others where they belong."""
  passages = [Passage('1', 'Oslo, Norway', 'no'), Passage('2', 'Oslo is old.', 'x')]
  rows = [
    Example('a', 'q', ('Oslo',)),
    Example('b', 'q', ('the old Norway', 'Norway', 'old'), ''),
    Example('c', 'q', ('Oslo',), 'no'),
  ]
  found = answer_spans.by_match(passages, rows)
  assert [texts_of(one) for one in found] == [
    [['Oslo'], ['Oslo'], ['Norway']],
    [['Oslo'], ['old']],
  ]
  alone = [dataclasses.replace(passage, group='') for passage in passages]
  found = answer_spans.by_match(alone, rows)
  assert [len(one.answers) for one in found] == [3, 3]


def test_a_long_passage_is_cut_and_its_answers_move_along():
  """A question stays with what is left of its answers, or is counted as lost."""
  # A cut goes through the second; the last overlap.
  found = ('Spree', 'Seine'), ('people. Paris',), ('Seine', 'the Seine')
  answers = tuple(spans_of(*words) for words in found)
  whole = Answered(Passage('p', TEXT, 'cities'), answers)
  short = Answered(Passage('s', 'So it is.', ''), ((Span(0, 2),),))
  pieces, lost = answer_spans.split([whole, short], lambda piece: len(piece.split()), 9)
  assert lost == 1
  assert pieces[-1] == short
  texts = [p.passage.text for p in pieces]
  assert texts == [TEXT[:50], TEXT[51:], 'So it is.']
  read = [*map(texts_of, pieces)]
  assert read == [[['Spree']], [['Seine'], ['Seine', 'the Seine']], [['So']]]
  assert not any(p.passage.spans for p in pieces)


def test_answers_become_whole_words(tokenizer):
  """Half a word counts as the word; several answers of a question share its weight."""
  answers = spans_of('Ber', 'a city'), spans_of('3,700,000 people'), spans_of('Seine')
  found = [
    Answered(Passage('0', TEXT), answers),
    Answered(Passage('1', 'Rome.'), ((Span(0, 4),),)),
  ]
  encoded = answer_spans.encode(found, tokenizer, 80)
  words = [TEXT[a:b] for a, b in text.words(TEXT)]
  kept = encoded.weight > 0
  places = (x[0, kept[0]] for x in (encoded.start, encoded.length, encoded.weight))
  spans = {
    ' '.join(words[s : s + n]): float(w) for s, n, w in zip(*places, strict=True)
  }
  assert spans == {'Berlin': 0.5, 'a city': 0.5, '3,700,000 people': 1, 'Seine': 1}
  assert kept[1].sum() == 1
  assert (encoded.start[1, 0], encoded.length[1, 0]) == (0, 1)
  np.testing.assert_array_equal(encoded.weight.sum(1), [3, 1])


def test_words_have_the_characters_of_the_text(tokenizer):
  """Without the spaces between them, however many tokens a word has."""
  body = 'Zoë’s café:  3.5 km'
  answered = [Answered(Passage('0', body), ((Span(0, 3),),))]
  encoded = answer_spans.encode(answered, tokenizer, 80)
  bounds = answer_spans.word_bounds(body, tokenizer, encoded.passages, 0)
  assert [body[a:b] for a, b in bounds] == [body[a:b] for a, b in text.words(body)]


@pytest.mark.parametrize('group', ['', 'cities'])
def test_a_lenient_match_finds_other_forms(group):
  """Of questions with a group and without one; the literal match finds none."""
  passage = Passage('0', 'Rivers of Europe: the Spree.', group)
  asked = [Example('0', 'q', ('river',), group), Example('1', 'q', ('lake',), group)]
  assert answer_spans.by_match([passage], asked) == []
  (found,) = answer_spans.by_match([passage], asked, text.loose_occurrences)
  assert found == Answered(passage, ((Span(0, 6),),))


def test_a_prefix_match_finds_what_is_derived():
  """Neither the literal match nor stems find a town by its river."""
  passage = Passage('0', 'She left Tynemouth.', 'towns')
  asked = [Example(name, 'q', (name,), 'towns') for name in ('Tyne', 'mouth')]
  assert answer_spans.by_match([passage], asked, text.loose_occurrences) == []
  (found,) = answer_spans.by_match([passage], asked, text.prefix_occurrences)
  assert found == Answered(passage, ((Span(9, 18),),))
