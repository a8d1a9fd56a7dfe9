"""Answers hidden at an equal budget of spans and words."""

import functools

import jax
import numpy as np
import pytest

from masklearn import data, policies, text
from masklearn.data import answer_spans
from masklearn.data.answer_spans import Answered
from masklearn.evaluation import intervals, recall
from masklearn.types import InputError, Passage, Span

RNG = np.random.default_rng


@pytest.mark.parametrize('width', [1, 2, 5, 23])
@pytest.mark.parametrize('top', [0, 1, 3])
def test_any_table_of_scores_hides_the_same(width, top):
  """So many spans and words, without overlap, within the passage; both ends occur."""
  count, budget, longest = max(1, width // 4), max(1, width // 2), 4
  places = set()
  for seed in range(60):
    scores = RNG(seed).normal(size=(width, longest))
    scores[RNG(seed).random((width, longest)) < 0.7] = -np.inf
    if seed % 10 == 0:
      scores[:] = -np.inf  # no candidate at all
    spans = recall.choose(RNG(seed), scores, count, budget, top)
    assert len(spans) == count
    assert sum(length for _, length in spans) == budget
    words = [w for start, length in spans for w in range(start, start + length)]
    assert len(set(words)) == len(words)
    assert 0 <= min(words) <= max(words) < width
    places.update(words)
  assert {0, width - 1} <= places


def test_the_best_span_comes_first_and_a_draw_follows_the_scores():
  """Top 1 always takes it; top 2 takes both of two and never the third."""
  scores = np.full((9, 2), -np.inf)
  scores[2, 1], scores[5, 0], scores[8, 0] = 3.0, 2.0, 1.0
  assert recall.choose(RNG(0), scores, 1, 2, top_k=1) == [(2, 2)]
  firsts = {
    top: {recall.choose(RNG(seed), scores, 1, 2, top)[0] for seed in range(80)}
    for top in (0, 2)
  }
  # A single word is widened to two, at either end.
  assert firsts[2] == {(2, 2), (4, 2), (5, 2)}
  assert firsts[0] == firsts[2] | {(7, 2)}
  best = [recall.choose(RNG(s), scores, 1, 2) == [(2, 2)] for s in range(800)]
  share = np.mean(best)
  assert abs(share - np.exp(3) / np.exp([3, 2, 1]).sum()) < 0.05


def test_recall_counts_answers_that_are_wholly_hidden():
  """By characters; of a question with two answers, one of them is half of it."""
  body = 'a b c d e f g h i j'
  tokenizer = text.train_tokenizer([body], 270)
  at = {word: body.index(word) for word in body.split()}

  def span(first, last):
    return Span(at[first], at[last] + 1)

  asked = (
    (span('b', 'c'),),
    (span('b', 'b'), span('j', 'j')),
    (span('c', 'd'),),  # only half of it is hidden
  )
  found = [Answered(Passage('0', body), asked)] * 2
  encoded = answer_spans.encode(found, tokenizer, 30)

  def scores(batch):
    table = np.full((*batch.tokens.shape, 3), -np.inf)
    table[:, 1, 1] = 0.0  # "b c"
    return table

  result = recall.measure(
    scores, found, encoded, tokenizer, seed=0, draws=2, every=5, words=2, batch_size=3
  )
  # Two spans: the other is a word somewhere, and may be next to it.
  assert result.passages.tolist() == [0, 0, 0, 1, 1, 1]
  assert result.questions[0] == result.questions[3] == 1
  assert 0.5 <= result.questions[1] <= 1
  assert (result.words, result.spans) == (4, 2)
  with pytest.raises(InputError, match='fewer words'):
    recall.measure(scores, found, encoded, tokenizer, seed=0, every=2, words=2)


def test_policies_are_measured_by_their_scores():
  """A policy that knows where answers are hides all, a random one a few."""
  body = 'The King of Spain met Ada Lovelace in Oslo and then they all went home again'
  tokenizer = text.train_tokenizer([body], 270)
  at = body.index('Ada')
  found = [Answered(Passage('0', body), ((Span(at, at + 12),),))] * 3
  encoded = answer_spans.encode(found, tokenizer, 90)
  passage = Passage('0', body, spans=(Span(at, at + 12, 'asked'),))
  marked = data.encode_passages([passage] * 3, tokenizer, asked=frozenset({'asked'}))
  encoded = encoded._replace(passages=marked)
  values = {}
  for name in ('annotated', 'random'):
    policy = policies.POLICIES[name](0.15)
    scores = jax.jit(functools.partial(policy.scores, {}))
    one = recall.measure(scores, found, encoded, tokenizer, seed=1, draws=40)
    values[name] = one.questions.mean()
  assert values['annotated'] == 1
  assert 0 < values['random'] < 0.5


def test_intervals_are_of_passages_and_paired():
  """A steady difference is certain, whatever the level of the two is."""
  owners = np.repeat(np.arange(50), 4)
  level = RNG(0).random(50)[owners]
  noise = 0.01 * RNG(1).random(200)
  mean, low, high = intervals.bootstrap(0.1 + noise, groups=owners)
  assert low < mean < high
  assert low > 0.1
  assert high < 0.11
  mean, low, high = intervals.bootstrap(level, groups=owners)
  spread = level.reshape(50, 4)[:, 0].std() / np.sqrt(50)
  assert abs((high - low) / (2 * 1.96 * spread) - 1) < 0.15
  assert intervals.bootstrap(level - level, groups=owners) == (0, 0, 0)


def test_a_summary_compares_with_the_references():
  """Best first, every row with its distance from each reference but itself."""
  owners = np.array([0, 0, 1, 2])
  found = {}
  for name, value in (('random', 0.2), ('mine', 0.5)):
    questions = [np.full(4, value + d) for d in (-0.1, 0.1)]
    seeds = [recall.Recall(shares, owners, 3.0, 1.0) for shares in questions]
    found[name] = recall.averaged(seeds)
  best, last = recall.summary(found, ('random',))
  assert (best['policy'], last['policy']) == ('mine', 'random')
  assert best['recall']['mean'] == pytest.approx(0.5)
  assert best['above']['random']['low'] == pytest.approx(0.3)
  assert last['above'] == {}
  assert (best['n'], best['words']) == (4, 3.0)
