"""The original objectives: their distributions, against the published procedures."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from masklearn.policies import pretraining
from masklearn.policies.capacity import original_capacity
from masklearn.training import corruption
from masklearn.types import InputError
from tests.small import IDS, T5_IDS, corrupt, make_batch

ROWS = 6000
LIKELY = 1e-3  # seeds are fixed: a right sampler passes, and passes always


def repeated(words, sentences=None, length=None):
  """A batch with a passage ROWS times."""
  batch = make_batch([words], [sentences] if sentences else None, length=length)
  return jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), ROWS, axis=0), batch)


def draws(policy, batch, seed=0):
  """A draw of each row."""
  return jax.jit(policy.draw)({}, jax.random.key(seed), batch)


def same_distribution(ours, theirs):
  """The p-value that two lists of outcomes come from one distribution."""
  counts = [collections.Counter(map(tuple, x)) for x in (ours, theirs)]
  names = sorted(counts[0].keys() | counts[1].keys())
  table = np.array([[c[name] for name in names] for c in counts])
  # Rare outcomes are one, as the test is asymptotic.
  rare = table.sum(0) < 20
  table = np.concatenate([table[:, ~rare], table[:, rare].sum(1, keepdims=True)], 1)
  return stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue


def test_t5_cuts_in_all_ways_alike():
  """Of 14 tokens 6 are hidden in 2 spans: 5 ways to cut them, 7 the others."""
  policy = pretraining.t5_spans(0.4)
  draw = draws(policy, repeated([1] * 14, length=16))
  masks = np.asarray(draw.mask).astype(int)
  assert (masks.sum(1) == 6).all()
  assert not masks[:, [0, 14, 15]].any()
  ways = collections.Counter(map(tuple, masks))
  assert len(ways) == 5 * 7
  assert stats.chisquare(list(ways.values())).pvalue > LIKELY
  np.testing.assert_allclose(np.exp(draw.log_prob), 1 / 35, rtol=1e-5)


def spans_of(mask):
  """Starts and lengths of the runs of a row."""
  edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]])))
  return edges[::2], edges[1::2] - edges[::2]


def shuffled(total, spans, rng):
  """Lengths by the procedure of T5's code: shuffled beginnings of segments."""
  begins = np.arange(total - 1) < spans - 1
  rng.shuffle(begins)
  return np.bincount(np.cumsum(np.concatenate([[0], begins])))


def rounded(total, spans, rng):
  """What looks like it and is not: sorted, rounded uniforms as ends of segments."""
  ends = np.sort(np.round(rng.uniform(1, total - 1, spans - 1)).astype(int))
  return np.diff(np.concatenate([[0], ends, [total]]))


def t5_mask(length, segments, rng):
  """One mask, of shown and hidden segments of such lengths."""
  hidden = int(np.round(length * 0.15))
  spans = int(np.round(hidden / 3.0))
  lengths = [segments(total, spans, rng) for total in (length - hidden, hidden)]
  return np.repeat(np.arange(2 * spans) % 2, np.stack(lengths, 1).reshape(-1))


def test_t5_matches_its_reference():
  """Lengths of the first and last span and their places, for 120 of 128 tokens."""
  draw = draws(pretraining.t5_spans(), repeated([1] * 120, length=128))
  rng = np.random.default_rng(1)

  def outcomes(masks):
    """One outcome a row and kind: those within a row depend on each other."""
    found = [spans_of(np.asarray(mask).astype(int)) for mask in masks]
    lengths = [(n[0], n[-1]) for _, n in found]
    places = [(s[0] // 8, s[-1] // 4) for s, _ in found]
    return lengths, places

  ours = outcomes(draw.mask)
  theirs = outcomes([t5_mask(120, shuffled, rng) for _ in range(ROWS)])
  wrong = outcomes([t5_mask(120, rounded, rng) for _ in range(ROWS)])
  for a, b, c in zip(ours, theirs, wrong, strict=True):
    assert same_distribution(a, b) > LIKELY
    assert same_distribution(c, b) < 1e-9


def test_t5_hides_by_length_alone():
  """Numbers of tokens and spans, of passages down to none, in one batch."""
  sizes = pretraining.t5_sizes(30, 0.15, 3.0)
  np.testing.assert_array_equal(sizes[:, [0, 1, 2, 10, 20, 30]], [
    [0, 0, 1, 2, 3, 4], [0, 0, 1, 1, 1, 1],
  ])  # fmt: skip
  batch = make_batch([[1] * 30, [1] * 20, [1, 1], [1]])
  draw = jax.jit(pretraining.t5_spans().draw)({}, jax.random.key(3), batch)
  np.testing.assert_array_equal(draw.mask.sum(1), [4, 3, 1, 0])
  capacity = int(original_capacity(batch, 0.15, T5_IDS).max())
  assert capacity == 4 + 1 + 1
  tokens = np.where(batch.valid, batch.tokens, T5_IDS.pad)
  batch = batch._replace(tokens=tokens)
  made = corrupt(batch, draw, T5_IDS, 'spans', capacity)
  np.testing.assert_array_equal((made.target > 1).sum(1), [5, 4, 2, 0])
  long, few = make_batch([[1] * 100]), T5_IDS._replace(sentinels=(9, 8, 7, 6))
  with pytest.raises(InputError, match=r'hides 5 spans .* 100 tokens, .* has 4 sent'):
    original_capacity(long, 0.15, few)


def bart_reference(words, rng):
  """One source without `<s>` and `</s>`, by the procedure of fairseq's code."""
  wanted, lengths = math.ceil(0.3 * len(words)), []
  while sum(lengths) < wanted:
    lengths.append(rng.poisson(3.0))
  lengths[-1] -= sum(lengths) - wanted
  inserts, lengths = lengths.count(0), [n for n in lengths if n]
  begins = rng.permutation(len(words))[: len(lengths)]
  source = [list(word) for word in words]
  for begin in begins:
    source[begin][0] = IDS.mask
  for begin, length in zip(begins, lengths, strict=True):
    for word in range(begin, min(begin + length, len(words))):
      source[word] = source[word][:1] if word == begin else []
  left = list(itertools.chain.from_iterable(source))
  out = np.full(len(left) + inserts, IDS.mask)
  places = np.sort(rng.permutation(len(out))[: len(left)])
  out[places] = left
  return tuple(out.tolist())


@pytest.mark.parametrize('sizes', [[1, 2, 1, 1, 2, 1], [1] * 16], ids=['short', 'long'])
def test_bart_matches_its_reference(sizes):
  """Whole sources of six words; of sixteen, the length, and which are markers."""
  batch = repeated(sizes)
  policy = pretraining.original(ids=IDS)
  draw = draws(policy, batch)
  assert not np.asarray(draw.lost).any()
  made = corrupt(batch, draw, IDS, 'full')
  np.testing.assert_array_equal(made.target[:, 1:-1], batch.tokens)
  ours = [tuple(row[1 : list(row).index(IDS.eos)]) for row in np.asarray(made.source)]
  ends = np.cumsum(sizes)
  words = [list(range(10 + e - n, 10 + e)) for e, n in zip(ends, sizes, strict=True)]
  rng = np.random.default_rng(2)
  theirs = [bart_reference(words, rng) for _ in range(ROWS)]
  if len(sizes) > 6:

    def outcome(source):
      marks = [i for i, token in enumerate(source) if token == IDS.mask]
      return len(source), len(marks), marks[0], marks[1] if len(marks) > 1 else -1

    ours, theirs = [outcome(s) for s in ours], [outcome(s) for s in theirs]
  assert same_distribution(ours, theirs) > LIKELY


def test_bart_puts_sentences_in_any_order():
  """All six orders of three sentences alike; each keeps its words, in their order."""
  batch = repeated([1, 2, 1, 1, 1, 1, 1], sentences=[2, 1, 4], length=10)
  order = np.asarray(draws(pretraining.bart_infilling(), batch).order)
  np.testing.assert_array_equal(np.sort(order, axis=1), np.arange(10)[None] + 0 * order)
  np.testing.assert_array_equal(order[:, 8:], [[8, 9]] * ROWS)
  ways = collections.Counter(map(tuple, order[:, :8]))
  parts = [0, 1, 2], [3], [4, 5, 6, 7]
  assert tuple(parts[2] + parts[0] + parts[1]) in ways
  assert len(ways) == 6
  assert stats.chisquare(list(ways.values())).pvalue > LIKELY


def test_bart_hides_whole_words_within_its_rate():
  """At most 30% of the words, rounded up; overlaps make it less."""
  sizes = [1, 3, 2, 1, 1, 2, 1, 4, 1, 1]
  batch = make_batch([sizes, [2]], sentences=[[4, 6], [1]])
  batch = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), 40, axis=0), batch)
  mask = np.asarray(draws(pretraining.bart_infilling(), batch).mask) > 0
  word = np.where(np.asarray(batch.valid), np.asarray(batch.word), -1)
  hidden = [set(word[b][mask[b]].tolist()) for b in range(80)]
  for b, chosen in enumerate(hidden):
    assert mask[b].sum() == np.isin(word[b], list(chosen)).sum()
  counts = {len(h) for h in hidden[:40]}
  assert 3 in counts <= {1, 2, 3}
  assert all(h == {0} for h in hidden[40:])
  # The three longest words and their markers.
  assert original_capacity(make_batch([sizes]), 0.3, IDS)[0] == 4 + 3 + 2 + 3 + 1


def test_markers_without_room_are_counted():
  """A passage of one word has four places for markers that hide nothing."""
  batch = repeated([1])
  draw = draws(pretraining.bart_infilling(mean_length=1.0), batch)
  extra = np.asarray(draw.inserted).sum(1)
  assert extra.max() == pretraining.ROOM
  lost = np.asarray(draw.lost)
  assert (lost > 0).any()
  assert ((lost == 0) | (extra == pretraining.ROOM)).all()
  np.testing.assert_array_equal(corruption.overflow(batch, draw, IDS, 3), lost)


def test_settings_out_of_range_are_refused():
  """A share, and a mean length."""
  with pytest.raises(InputError, match=r'rate=1.0, mean_length=3.0'):
    pretraining.t5_spans(1.0)
  with pytest.raises(InputError, match=r'mean_length=0.5'):
    pretraining.bart_infilling(mean_length=0.5)
  with pytest.raises(InputError, match='has no scores'):
    pretraining.t5_spans().scores({}, None)
