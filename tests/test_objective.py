"""Mask decisions become examples: layouts by hand, invariants, soft equals hard."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.models import bart
from masklearn.training import corruption, losses
from masklearn.types import InputError, MaskDraw
from tests.small import (
  BUDGETED,
  IDS,
  T5_IDS,
  corrupt,
  make_batch,
  make_policy,
  slow_case,
)

BOS, PAD, EOS, MASK = IDS[:4]
overflow = jax.jit(corruption.overflow, static_argnums=(2, 3))


def draw_of(mask, start=None):
  """A draw of given decisions."""
  mask = jnp.array(mask, jnp.float32)
  start = jnp.zeros_like(mask) if start is None else jnp.array(start, jnp.float32)
  return MaskDraw(mask, start, jnp.zeros(mask.shape[0]))


BATCH = make_batch([[1, 2, 1, 1], [1, 1]])  # tokens 10..14 and 15, 16
WHOLE = [[BOS, 10, 11, 12, 13, 14, EOS], [BOS, 15, 16, EOS, PAD, PAD, PAD]]


@pytest.mark.parametrize(
  ('ids', 'source', 'target', 'whole'),
  [
    (
      IDS,
      [[BOS, MASK, MASK, 13, MASK, EOS, PAD], [BOS, 15, MASK, EOS, *[PAD] * 3]],
      [[MASK, 10, MASK, 11, 12, MASK, 14, EOS, PAD], [MASK, 16, EOS, *[PAD] * 6]],
      WHOLE,
    ),
    (
      T5_IDS,
      [[9, 8, 13, 7, 1, 0], [15, 9, 1, 0, 0, 0]],
      [[9, 10, 8, 11, 12, 7, 14, 1, 0], [9, 16, 1, 0, 0, 0, 0, 0, 0]],
      [[10, 11, 12, 13, 14, 1], [15, 16, 1, 0, 0, 0]],
    ),
  ],
)
def test_each_span_is_behind_its_marker_and_the_full_target_is_the_passage(
  ids, source, target, whole
):
  """Spans at both ends and two adjacent ones become four markers, in order."""
  draw = draw_of([[1, 1, 1, 0, 1], [0, 1, 1, 1, 1]], [[1, 1, 0, 0, 1], [0, 1, 0, 0, 0]])
  batch = BATCH._replace(tokens=np.where(BATCH.valid, BATCH.tokens, ids.pad))
  got = corrupt(batch, draw, ids, 'spans', 9)
  np.testing.assert_array_equal(got.source, source)
  np.testing.assert_array_equal(got.target, target)
  np.testing.assert_array_equal(got.decoder_input[:, 0], [ids.decoder_start] * 2)
  np.testing.assert_array_equal(got.decoder_input[:, 1:], got.target[:, :-1])
  np.testing.assert_array_equal(got.weight, got.target != ids.pad)
  np.testing.assert_array_equal(got.source_valid, got.source != ids.pad)
  unchanged = corrupt(batch, draw, ids, 'full')
  np.testing.assert_array_equal(unchanged.source, got.source)
  np.testing.assert_array_equal(unchanged.target, whole)


def test_sentences_move_and_extra_markers_hide_nothing():
  """A span goes on into the sentence that comes next; `full` restores the old order."""
  order = jnp.array([[3, 4, 0, 1, 2], [0, 1, 2, 3, 4]], jnp.int32)
  # Tokens 14 and 10 are one span, 11 and 15 one each.
  draw = draw_of([[1, 1, 0, 0, 1], [1, 0, 0, 0, 0]], [[0, 1, 0, 0, 1], [1, 0, 0, 0, 0]])
  inserted = np.zeros((2, 7), bool)
  inserted[0, [0, 4, 6]] = True
  inserted[1, 1] = True
  draw = draw._replace(order=order, inserted=inserted, lost=jnp.array([0, 2]))
  got = corrupt(BATCH, draw, IDS, 'spans', 7)
  np.testing.assert_array_equal(
    got.source,
    [
      [BOS, MASK, 13, MASK, MASK, MASK, 12, MASK, EOS],
      [BOS, MASK, MASK, 16, EOS, PAD, PAD, PAD, PAD],
    ],
  )
  np.testing.assert_array_equal(
    got.target, [[MASK, 14, 10, MASK, 11, EOS, PAD], [MASK, 15, EOS, *[PAD] * 4]]
  )
  np.testing.assert_array_equal(overflow(BATCH, draw, IDS, 7), [0, 2])
  whole = corrupt(BATCH, draw, IDS, 'full')
  np.testing.assert_array_equal(whole.source, got.source)
  np.testing.assert_array_equal(whole.target, WHOLE)
  with pytest.raises(InputError, match='a single <mask>'):
    corrupt(BATCH, draw, T5_IDS)


def test_spans_beyond_the_last_sentinel_stay_shown_and_are_counted():
  """With two sentinels, the third span and the fourth are as if not drawn."""
  two = T5_IDS._replace(sentinels=(9, 8))
  batch = make_batch([[1] * 8, [1, 1, 1]])
  batch = batch._replace(tokens=np.where(batch.valid, batch.tokens, 0))
  draw = draw_of([[1, 0, 1, 0, 1, 1, 0, 1], [1, 0, 1, 0, 0, 0, 0, 0]])
  less = draw_of([[1, 0, 1, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0, 0, 0]])
  got, expected = (corrupt(batch, d, two) for d in (draw, less))
  jax.tree.map(np.testing.assert_array_equal, got, expected)
  np.testing.assert_array_equal(overflow(batch, draw, two, 17), [3, 0])
  np.testing.assert_array_equal(overflow(batch, draw, two, 4), [4, 1])


def test_unknown_target_is_refused():
  """The error names what may be asked for."""
  with pytest.raises(InputError, match='spans, full'):
    corrupt(BATCH, draw_of(np.zeros((2, 5))), IDS, 'sentence')


def restore(source, target, ids):
  """Puts the spans of a spans-only target back where the source has their markers."""
  markers = ids.sentinels or (ids.mask,)
  spans, out = [], []
  for token in target[: target.index(ids.eos)]:
    if token in markers:
      spans.append((token, []))
    else:
      spans[-1][1].append(token)
  for token in source[: source.index(ids.eos)]:
    if token in markers:
      marker, span = spans.pop(0)
      assert marker == token
      out += span
    elif token != ids.bos:
      out.append(token)
  assert not spans
  return out


@pytest.mark.parametrize(
  ('name', 'ids'),
  [
    *((name, IDS) for name in BUDGETED),
    *(slow_case(name, T5_IDS) for name in BUDGETED if name != 'salient'),
    ('salient', T5_IDS),
  ],
)
def test_restoring_gives_back_the_passage(name, ids):
  """Whatever a policy hides, source and target together are the whole passage."""
  batch = make_batch(
    [[1, 2, 1, 1, 3, 1, 1, 1], [1, 1, 2]],
    sentences=[[3, 5], [3]],
    salient=[[(0, 2), (2, 1), (7, 1)], [(2, 1)]],
    asked=[[(4, 2)], []],
  )
  policy, theta = make_policy(name)
  for seed in range(5):
    draw = policy.draw(theta, jax.random.key(seed), batch)
    got = corrupt(batch, draw, ids)
    for b in range(2):
      passage = batch.tokens[b][batch.valid[b]].tolist()
      assert restore(got.source[b].tolist(), got.target[b].tolist(), ids) == passage


def test_overflow_is_counted():
  """What a short target cuts off is the number of tokens that it lacks."""
  draw = draw_of([[1, 1, 1, 0, 1], [0, 1, 0, 0, 0]], [[1, 1, 0, 0, 1], [0, 1, 0, 0, 0]])
  whole = corrupt(BATCH, draw, IDS)
  length = (whole.target != PAD).sum(-1)
  for target_length in (3, 6, 8):
    lost = overflow(BATCH, draw, IDS, target_length)
    np.testing.assert_array_equal(lost, np.maximum(length - target_length, 0))
    cut = corrupt(BATCH, draw, IDS, 'spans', target_length)
    np.testing.assert_array_equal(cut.target, whole.target[:, :target_length])


@pytest.fixture(scope='module')
def model():
  """A tiny BART of odd sizes with a jitted loss of each row."""
  config = bart.BartConfig(
    vocab_size=40, width=8, encoder_layers=1, decoder_layers=1, encoder_heads=2,
    decoder_heads=2, encoder_ffn=12, decoder_ffn=12, max_positions=32, init_std=0.5,
    pad=PAD, bos=BOS, eos=EOS, mask=MASK, decoder_start=EOS,
  )  # fmt: skip
  net = bart.Bart(config)
  example = corrupt(BATCH, draw_of(np.ones((2, 5))), IDS)
  params = net.init(
    jax.random.key(0), example.source, example.source_valid, example.decoder_input
  )['params']
  sums = losses.make_loss_sums(net)
  return params, jax.jit(lambda *args: jnp.divide(*sums(*args)))


@pytest.mark.parametrize('target', corruption.TARGETS)
def test_soft_tokens_with_hard_decisions_equal_the_uncompacted_layout(model, target):
  """0/1 decisions give the loss of one <mask> for each hidden token."""
  params, loss = model
  decisions = jnp.array([[1, 1, 0, 0, 1], [0, 1, 1, 1, 1]], jnp.float32)
  soft = corruption.corrupt_tokens(BATCH, decisions, IDS, target)
  hidden = np.zeros((2, 7), bool)
  hidden[:, 1:-1] = (decisions > 0) & BATCH.valid
  whole = corrupt(BATCH, draw_of(np.zeros((2, 5))), IDS, 'full')
  weight = hidden if target == 'spans' else whole.weight > 0
  hard = whole._replace(
    source=jnp.where(hidden, MASK, whole.source), weight=jnp.float32(weight)
  )
  np.testing.assert_allclose(
    loss(params, None, soft), loss(params, None, hard), rtol=1e-5
  )


def test_soft_spans_with_one_hot_weights_equal_the_compacted_layout(model):
  """A mixture that is all one span has the loss of hiding that span."""
  params, loss = model
  start, length = jnp.array([[0, 1, 3], [1, 0, 0]]), jnp.array([[1, 2, 1], [1, 2, 1]])
  spans = jax.jit(corruption.corrupt_spans, static_argnums=(3, 4, 5))
  candidates = spans(BATCH, start, length, IDS, 'spans', 7)
  by_span = loss(params, None, candidates).reshape(2, 3)
  draws = {
    0: [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]],
    1: [[0, 1, 1, 1, 0], [1, 1, 0, 0, 0]],
    2: [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]],
  }
  for m, mask in draws.items():
    weights = jax.nn.one_hot(jnp.array([m, m]), 3)
    hard = corrupt(BATCH, draw_of(mask), IDS, 'spans', 7)
    np.testing.assert_allclose(
      (weights * by_span).sum(-1), loss(params, None, hard), rtol=1e-5
    )


def test_padding_changes_nothing(model):
  """A passage has the same loss however far its row is padded."""
  params, loss = model
  longer = make_batch([[1, 2, 1, 1], [1, 1]], length=8)
  mask = np.zeros((2, 8))
  mask[:, :5] = [[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]
  for target in corruption.TARGETS:
    short = corrupt(BATCH, draw_of(mask[:, :5]), IDS, target)
    long = corrupt(longer, draw_of(mask), IDS, target)
    np.testing.assert_allclose(
      loss(params, None, short), loss(params, None, long), rtol=1e-5
    )
