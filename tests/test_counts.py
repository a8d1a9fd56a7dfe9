"""Policies whose parameters are counted: the n-grams of a table."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from scipy import stats

from masklearn import data, policies, text
from masklearn.policies import counts, ngrams
from masklearn.types import Example, Impossible, Passage
from tests import small

PLACES = {
  'Chad': ('N\'Djamena', 'republic'), 'Peru': ('Lima', 'republic'),
  'Oman': ('Muscat', 'monarchy'), 'Togo': ('Lome', 'republic'),
  'Fiji': ('Suva', 'republic'), 'Brunei': ('Seri Begawan', 'absolute monarchy'),
}  # fmt: skip
TEXTS = [
  f'{capital} is the capital of {place}. A {rule} governs {place}.'
  for place, (capital, rule) in PLACES.items()
]
PASSAGES = [
  Passage(f'{place}-0', body, place) for place, body in zip(PLACES, TEXTS, strict=True)
]
QUESTIONS = tuple(
  Example(f'{place}-{kind}', f'{kind} of {place}?', (answer,), place, kind)
  for place, answers in PLACES.items()
  for kind, answer in zip(('capital', 'rule'), answers, strict=True)
)


@pytest.fixture(scope='module')
def sources():
  """All questions, and the passages that they are about."""
  tokenizer = text.train_tokenizer(TEXTS, 300)
  encoded = data.encode_passages(PASSAGES, tokenizer)
  return counts.Sources(QUESTIONS, PASSAGES, encoded, tokenizer)


def hidden(sources, weights, body, longest=3):
  """The spans of words of a text that a table has, as texts."""
  batch = data.encode_passages([Passage('x', body)], sources.tokenizer)
  bounds = text.words(body)
  policy = policies.POLICIES['cooccurrence'](0.3, entries=64, longest=longest)
  scores = policy.scores(ngrams.table(weights, 64), batch)
  return {
    body[bounds[w][0] : bounds[w + n][1]]: float(scores[0, w, n])
    for w, n in zip(*np.where(np.isfinite(scores[0])), strict=True)
  }


def test_words_have_one_hash_wherever_they_stand(sources):
  """The same words have the same two hashes; others, and other orders, have others."""
  bodies = ('a b c', 'c a b', 'b a c b')
  passages = [Passage(str(i), body) for i, body in enumerate(bodies)]
  batch = data.encode_passages(passages, sources.tokenizer)
  keys = ngrams.keys(batch, 2)
  found = {}
  for row, body in enumerate(bodies):
    words = body.split()
    for w, n in itertools.product(range(1, len(words)), range(2)):
      if w + n < len(words):
        found.setdefault(tuple(words[w : w + n + 1]), set()).add(int(keys[row, w, n]))
      else:
        assert keys[row, w, n] == 0
  assert all(len(own) == 1 for own in found.values())
  assert len(set().union(*found.values())) == len(found)


def test_a_full_table_keeps_the_highest_weights():
  """And is in the order that a search needs."""
  weights = {(i * 7919 % 101 + 1) << 32 | i: float(i) for i in range(50)}
  found = ngrams.table(weights, 20)
  assert (np.diff(found['first'].astype(np.int64)) > 0).all()
  assert sorted(found['weight'].tolist()) == [float(i) for i in range(30, 50)]


def test_of_two_ngrams_with_one_first_hash_the_better_stays():
  """And an unused place is no n-gram."""
  found = ngrams.table({5 << 32 | 1: 0.5, 5 << 32 | 2: 0.7}, 3)
  assert found['weight'].tolist()[:1] == pytest.approx([0.7])
  assert found['second'].tolist()[0] == 2
  assert np.isneginf(found['weight'][1:]).all()


def test_training_answers_are_hidden_in_any_case_and_place(sources):
  """At the beginning, behind a mark, with a capital; nothing else is a candidate."""
  some = sources._replace(questions=[q for q in QUESTIONS if q.group != 'Peru'])
  weights = counts.answer_vocabulary(some, 3)
  body = 'Republic (Suva) and Lima, absolute monarchy Republics'
  assert set(hidden(some, weights, body)) == {
    'Republic', 'Suva', 'absolute monarchy', 'monarchy'
  }  # fmt: skip


def test_longer_answers_are_left_out(sources):
  """And without any that is short enough, the policy is impossible."""
  asked = [q for q in QUESTIONS if 'absolute' in q.targets[0]]
  with pytest.raises(Impossible, match='1 training questions'):
    counts.answer_vocabulary(sources._replace(questions=asked), 1)


def test_cooccurrence_is_the_highest_phi_over_groups(sources):
  """Of what predicts 'republic'; what meets an answer only once counts for nothing."""
  weights = counts.cooccurrence(sources, 2)
  found = hidden(sources, weights, 'Lima is a republic governs')
  told = [rule == 'republic' for _, rule in PLACES.values()]
  has = ['republic' in body for body in TEXTS]
  expected = stats.pearsonr(told, has)[0]
  assert 'Lima' not in found
  assert 'is' not in found  # stands everywhere
  assert found['republic'] == pytest.approx(counts.SHARPNESS * expected)
  assert max(found.values()) == found['republic']


def test_cooccurrence_needs_no_answer_in_a_passage(sources):
  """Answers that are code words are predicted by the words that they stand for."""
  codes = {'republic': 'blue', 'monarchy': 'red', 'absolute monarchy': 'red'}
  asked = [
    dataclasses.replace(q, targets=(codes[q.targets[0]],))
    for q in QUESTIONS
    if q.label == 'rule'
  ]
  weights = counts.cooccurrence(sources._replace(questions=asked), 1)
  found = hidden(sources, weights, 'a republic, a monarchy', 1)
  assert found['republic'] == found['monarchy'] == pytest.approx(counts.SHARPNESS)


def test_without_groups_there_is_nothing_to_count(sources):
  """Such questions join no passage."""
  asked = [dataclasses.replace(q, group='') for q in QUESTIONS]
  with pytest.raises(Impossible, match='0 groups'):
    counts.cooccurrence(sources._replace(questions=asked), 2)


def test_a_difference_is_tf_icf_against_all_other_groups(sources):
  """Twice about one thing is more; an n-gram has the least of its words."""
  weights = counts.difference(sources._replace(questions=()), 2)
  assert max(weights.values()) == pytest.approx(counts.SHARPNESS)
  body = 'a monarchy in Oman. Seri Begawan is the republic. An absolute monarchy'
  found = hidden(sources, weights, body, 2)
  # f and the groups of six that have it; 'Oman' is twice in its own.
  known = {'monarchy': (1, 2), 'Oman': (2, 1), 'absolute': (1, 1), 'republic': (1, 4)}
  most = np.log(3) * np.log(6)
  for word, (f, having) in known.items():
    expected = np.log1p(f) * np.log(6 / having) * counts.SHARPNESS / most
    assert found[word] == pytest.approx(expected, rel=1e-5)
  assert found['Seri Begawan'] == found['Seri']
  assert found['absolute monarchy'] == found['monarchy']


def test_what_all_groups_have_is_no_difference(sources):
  """Neither alone nor beside a rare word, however often it stands in one group."""
  bodies = [f'{body} the the the of of' for body in TEXTS]
  passages = [
    dataclasses.replace(p, text=body) for p, body in zip(PASSAGES, bodies, strict=True)
  ]
  encoded = data.encode_passages(passages, sources.tokenizer)
  given = sources._replace(passages=passages, encoded=encoded)
  found = hidden(sources, counts.difference(given, 3), bodies[1], 3)
  assert {'Lima', 'Peru', 'republic'} <= set(found)
  common = {'is', 'the', 'of', 'capital', 'governs', '.'}
  assert not [span for span in found if common & set(span.split())]


def test_without_groups_documents_are_compared(sources):
  """The passages of one, by the names that cutting gives them; one is no difference."""
  passages = [Passage(f'doc{i // 2}/{i % 2}', p.text) for i, p in enumerate(PASSAGES)]
  given = sources._replace(passages=passages)
  weights = counts.difference(given, 1)
  groups = [dataclasses.replace(p, group=p.id[:4]) for p in passages]
  assert weights == counts.difference(given._replace(passages=groups), 1)
  assert weights != counts.difference(sources, 1)
  one = [dataclasses.replace(p, id=f'doc/0/{i}') for i, p in enumerate(passages)]
  with pytest.raises(Impossible, match='not in others, of 1'):
    counts.difference(given._replace(passages=one), 1)


def test_a_draw_hides_the_table_first_and_keeps_the_budget(sources):
  """Exactly as many words as any other policy hides."""
  policy = small.compiled(
    policies.POLICIES['answer_vocabulary'](0.3, entries=64, longest=3)
  )
  theta = ngrams.table(counts.answer_vocabulary(sources, 3), 64)
  draw = policy.draw(theta, jax.random.key(0), sources.encoded)
  words = [len(text.words(body)) for body in TEXTS]
  for row, count in enumerate(words):
    of_word = sources.encoded.word[row][np.asarray(draw.mask[row]) > 0]
    assert len(set(of_word.tolist())) == round(0.3 * count)
  bounds = text.words(TEXTS[1])
  of_word = sources.encoded.word[1][np.asarray(draw.mask[1]) > 0]
  said = {TEXTS[1][slice(*bounds[w])] for w in of_word.tolist()}
  assert {'Lima', 'republic'} <= said
