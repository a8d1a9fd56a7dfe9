"""Collocations: what is one, how they are counted, and how a policy hides them."""

import collections
import itertools
import json
import math
import random

import jax
import numpy as np
import pytest

from masklearn import data, policies, text
from masklearn.io import files
from masklearn.text import collocations
from masklearn.types import InputError, Passage
from tests.small import make_batch


def passages(*texts):
  """Passages of these texts."""
  return [Passage(str(i), body) for i, body in enumerate(texts)]


def brute_force(corpus, longest=5):
  """Counts of all n-grams, and how many there are of each length."""
  counts, totals = collections.Counter(), [0] * (longest + 1)
  for words, n in itertools.product(corpus, range(1, longest + 1)):
    found = [' '.join(words[i : i + n]) for i in range(len(words) - n + 1)]
    counts.update(found)
    totals[n] += len(found)
  return counts, totals


def segmentations(words):
  """All ways to cut words into two or more parts."""
  for bits in range(1, 2 ** (len(words) - 1)):
    cuts = [0, *(i + 1 for i in range(len(words) - 1) if bits >> i & 1), len(words)]
    yield [' '.join(words[a:b]) for a, b in itertools.pairwise(cuts)]


def test_pmi_is_the_smallest_over_all_segmentations():
  """Against all 2^(n-1) - 1 of them, on counts of random words."""
  rng = random.Random(0)
  corpus = [rng.choices('abcd', [4, 3, 2, 1], k=30) for _ in range(20)]
  counts, totals = brute_force(corpus)

  def log_p(ngram):
    return math.log(counts[ngram] / totals[ngram.count(' ') + 1])

  for ngram in [g for g in counts if ' ' in g][:200]:
    ways = segmentations(ngram.split(' '))
    expected = min(log_p(ngram) - sum(map(log_p, parts)) for parts in ways)
    assert collocations.pmi(ngram, counts, totals) == pytest.approx(expected, abs=1e-12)


def test_what_always_stands_together_is_found_and_what_is_frequent_is_not():
  """A name of two words; not `of the`, nor the name with a word beside it."""
  rng = random.Random(1)
  filler = [*(3 * ['of', 'the']), *'abcdefghijkl']
  texts = []
  for _ in range(300):
    words = rng.choices(filler, k=12)
    words.insert(rng.randrange(13), 'Buenos Aires')
    texts.append(' '.join(words) + '.')
  found = collocations.count(passages(*texts), minimum=60, coverage=0.16)
  assert found.ngrams == ('buenos aires',)
  counts, totals = brute_force([t[:-1].lower().split() for t in texts])
  assert counts['of the'] > 60
  longer = [g for g in counts if 'buenos aires ' in g and counts[g] > 60]
  for ngram in ['of the', *longer]:
    assert collocations.pmi(ngram, counts, totals) < 0.3
  assert (found.undercount, found.words) == (0, 300 * 14)


def test_no_ngram_reaches_over_a_mark_or_the_end_of_a_sentence():
  """Marks always; and bounds of sentences that the passage came with."""
  apart = passages(*['north, south'] * 20)
  assert collocations.count(apart, coverage=1).ngrams == ()
  body = 'north south'
  bounded = [Passage('1', body, sentences=((0, 5), (6, 11)))] * 20
  assert collocations.count(bounded, coverage=1).ngrams == ()
  # Alone, a bigram that is all there is explains itself: PMI log(1 / (1/2 * 1/2)).
  assert collocations.count(passages(*[body] * 20), coverage=1).ngrams == (body,)


def test_the_minimum_is_a_minimum_and_the_share_of_words_is_kept():
  """Nine times is too rare for ten; the list never holds more than its share."""
  nine = ['alpha beta'] * 9 + ['gamma delta'] * 10
  assert collocations.count(passages(*nine), coverage=1).ngrams == ('gamma delta',)
  rng = random.Random(2)
  pairs = [[f'{w} {w}x' for w in rng.choices('abcdefgh', k=9)] for _ in range(99)]
  texts = [*map(' '.join, pairs)]
  counts, totals = brute_force([body.split() for body in texts])
  sizes = []
  for coverage in (0.1, 0.3, 0.9):
    found = collocations.count(passages(*texts), coverage=coverage)
    held = sum(counts[g] * (g.count(' ') + 1) for g in found.ngrams)
    assert held <= coverage * totals[1]
    sizes.append(len(found.ngrams))
  assert sizes[0] < sizes[1] < sizes[2]


def test_a_small_table_loses_no_more_than_it_says():
  """Counts that are forgotten make a frequent pair at most `undercount` rarer."""
  rng = random.Random(3)
  rare = [' '.join(f'w{i}n{k}' for k in range(6)) for i in range(400)]
  corpus = passages(*(t + ' . hong kong' * (rng.random() < 0.5) for t in rare))
  exact = collocations.count(corpus, minimum=2, coverage=0.3)
  assert exact.undercount == 0
  small = collocations.count(corpus, minimum=2, coverage=0.3, capacity=300)
  assert 0 < small.undercount < 60
  # Some 200 times less what may be lacking is still enough.
  assert small.ngrams == exact.ngrams == ('hong kong',)


def test_the_longest_collocation_from_the_left_is_a_unit():
  """Each word is in one collocation; case does not matter, marks stand alone."""
  ngrams = ('new york', 'new york city', 'city hall', 'york city hall in')
  found = collocations.Collocations(ngrams, 9, 2, 0.5, 0)
  passage = Passage('1', 'New  YORK City hall, New York. new')
  units = [passage.text[a:b] for a, b in found.units(passage)]
  assert units == ['New  YORK City', 'hall', ',', 'New York', '.', 'new']
  # 'İ'.lower() has two characters: offsets are those of the text as it is.
  passage = Passage('2', 'İ New York')
  assert [passage.text[a:b] for a, b in found.units(passage)] == ['İ', 'New York']


def test_a_file_gives_back_what_was_written(tmp_path):
  """Counted once; what is no such file is refused by name."""
  path = tmp_path / 'collocations.json'
  first = collocations.load_or_count(path, passages(*['New York, I see in it'] * 30))
  assert first.ngrams
  assert collocations.load_or_count(path, None) == first
  wrong_item = files.read_json(path) | {'ngrams': [3]}
  for wrong in ('{"ngrams": []}', '[1]', 'x', json.dumps(wrong_item)):
    path.write_text(wrong)
    with pytest.raises(InputError, match=r'collocations\.json'):
      collocations.read(path)


def test_units_reach_the_policy_through_the_batch():
  """All tokens of a collocation are marked, one of each collocation as its first."""
  body = 'Flights to New York and New Delhi.'
  tokenizer = text.train_tokenizer([body], 270)
  found = collocations.Collocations(('new york',), 7, 2, 0.5, 0)
  batch = data.encode_passages(passages(body), tokenizer, '', units=found.units)
  offsets = tokenizer.encode(body).offsets
  collocation = batch.collocation[0]
  assert (collocation[len(offsets) :] == 0).all()
  starts = [offsets[i][0] for i in np.flatnonzero(collocation == 1)]
  firsts = [body[a:].split()[0] for a in starts]
  assert firsts == ['Flights', 'to', 'New', 'and', 'New', 'Delhi.', '.']
  assert not batch.salient.any()
  assert data.encode_passages(passages(body), tokenizer).collocation is None


def test_units_are_hidden_whole_and_as_often_as_single_words():
  """Two words of eight: a pair, or two single words; all first choices alike."""
  words, units = [[1, 2, 1, 1, 1, 3, 1, 1]], [[2, 1, 1, 1, 1, 2]]
  batch = make_batch(words, collocations=units, length=14)
  policy = policies.POLICIES['pmi_span'](0.25)
  scores = np.asarray(policy.scores({}, batch))[0]
  assert {tuple(i) for i in np.argwhere(np.isfinite(scores)).tolist()} == {
    (0, 1), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1)
  }  # fmt: skip
  assert set(scores[np.isfinite(scores)]) == {0.0}

  def hide(key):
    draw = policy.draw({}, key, batch)
    return draw.mask[0], draw.start[0]

  masks, starts = jax.vmap(hide)(jax.random.split(jax.random.key(0), 2000))
  words = np.asarray(masks)[:, np.asarray([0, 1, 3, 4, 5, 6, 9, 10])] > 0
  assert (words.sum(1) == 2).all()
  pair = words[:, 0]
  assert (words[pair, 1] == 1).all()
  # The pair at the start, and that at the end: a sixth each, and never a part of it.
  np.testing.assert_allclose([pair.mean(), words[:, 7].mean()], 1 / 6, atol=0.03)
  assert (np.asarray(starts)[pair].sum(1) == 1).all()


def test_without_collocations_the_policy_says_what_is_missing():
  """An error of the batch, not of an array that is None."""
  batch = make_batch([[1, 1]])._replace(collocation=None)
  with pytest.raises(InputError, match='collocations'):
    policies.POLICIES['pmi_span'](0.5).draw({}, jax.random.key(0), batch)
