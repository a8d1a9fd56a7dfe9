"""Several examples in a row: each computes what it would alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.models import layers
from masklearn.training import losses, packing
from masklearn.training.mesh import one_device
from masklearn.types import Corrupted, InputError
from tests.hf import jit, shallow
from tests.small import slow_case

LENGTHS = [(4, 3), (3, 2), (6, 1), (2, 4), (5, 2)]  # of source and target
ROWS = np.array([[3, 1, -1], [0, 2, 4]])  # lengths 5 and 6, then 15 and 6
PAD = 1


def make_examples(lengths=LENGTHS):
  """Random tokens, padded to the longest and beyond."""
  rng = np.random.default_rng(0)
  sides = []
  for length, width in zip(np.array(lengths).T, (7, 5), strict=True):
    used = np.arange(width) < length[:, None]
    drawn = rng.integers(4, 17, used.shape)
    sides.append((used, np.where(used, drawn, PAD).astype(np.int32)))
  (valid, source), (counts, target) = sides
  shifted = np.pad(target, ((0, 0), (1, 0)), constant_values=2)[:, :-1]
  return Corrupted(source, valid, shifted, target, counts.astype(np.float32))


def packed(source=16, target=8):
  """The examples in rows, and how many tokens of each had no place."""
  index = ROWS.reshape(-1)
  examples = jax.tree.map(lambda x: x[index], make_examples())
  return packing.pack(examples, jnp.asarray(ROWS >= 0), source, target, PAD)


def test_examples_stand_behind_each_other():
  """Both sides of each begin where the one before has ended; then comes padding."""
  examples, (made, lost) = make_examples(), packed()
  assert not lost.any()
  for row, numbers in enumerate(ROWS):
    for side, name in enumerate(['source', 'decoder_input', 'target', 'weight']):
      field = getattr(examples, name)
      side = min(side, 1)
      parts = [field[i, : LENGTHS[i][side]] for i in numbers if i >= 0]
      joined = np.concatenate(parts)
      np.testing.assert_array_equal(getattr(made, name)[row, : len(joined)], joined)
      rest = 0 if name == 'weight' else PAD
      assert (getattr(made, name)[row, len(joined) :] == rest).all()
  source = [1] * 2 + [2] * 3 + [0] * 11, [1] * 4 + [2] * 6 + [3] * 5 + [0]
  target = [1] * 4 + [2] * 2 + [0] * 2, [1] * 3 + [2] + [3] * 2 + [0] * 2
  np.testing.assert_array_equal(made.segments.source, source)
  np.testing.assert_array_equal(made.segments.target, target)
  np.testing.assert_array_equal(made.source_valid, made.segments.source > 0)
  assert made.decoder_input[1, 3] == 2  # the decoder's start, again


def test_tokens_without_a_place_are_counted():
  """Those that the row is too short for, of either side."""
  made, lost = packed(source=9, target=5)
  assert made.source.shape == (2, 9)
  # Rows end within the second example's target; within the third's source.
  np.testing.assert_array_equal(lost, [0, 1, 0, 0, 1, 5 + 1])
  assert made.weight.sum() == 10


@pytest.mark.parametrize('family', [slow_case('bart'), 't5'])
@pytest.mark.parametrize('chunk', [slow_case(None), 4])
def test_packed_examples_have_the_loss_and_the_gradient_of_single_ones(family, chunk):
  """Of each example its loss, and of all the gradient, to 1e-5."""
  model, params, *_ = shallow(family)
  alone, (together, _) = make_examples(), packed()

  def each(params, batch):
    inputs = batch.source, batch.source_valid, batch.decoder_input
    logits = model.apply({'params': params}, *inputs, segments=batch.segments)
    return losses.negative_log_likelihood(logits, batch.target) * batch.weight

  one, two = jit(each)(params, alone), jit(each)(params, together)
  assert (one.sum(1) > 0).all()
  for row, numbers in enumerate(ROWS):
    for segment, number in enumerate(numbers, 1):
      own = np.asarray(two[row])[together.segments.target[row] == segment]
      expected = 0 if number < 0 else one[number].sum()
      np.testing.assert_allclose(own.sum(), expected, rtol=1e-5, atol=1e-6)

  loss = losses.make_token_loss(model, train=False, chunk=chunk)
  compute = jit(jax.value_and_grad(loss, has_aux=True))
  (value, aux), gradient = compute(params, None, together)
  (expected, _), slopes = compute(params, None, alone)
  assert aux['tokens'] == sum(t for _, t in LENGTHS)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  chex.assert_trees_all_close(gradient, slopes, rtol=1e-5, atol=1e-5)


def test_a_plan_has_every_example_once_and_no_row_too_full():
  """Both sides, for examples of very different lengths; the same again by the seed."""
  rng = np.random.default_rng(1)
  lengths = np.stack([rng.integers(3, 40, 900), rng.integers(1, 9, 900)], 1)
  made = packing.plan(lengths, 64, seed=0)
  numbers = made.rows[made.rows >= 0]
  np.testing.assert_array_equal(np.sort(numbers), np.arange(900))
  for row in made.rows:
    used = lengths[row[row >= 0]].sum(0)
    assert used[0] <= made.source == 64
    assert used[1] <= made.target
    assert (np.diff((row >= 0).astype(int)) <= 0).all()  # empty places come last
  assert lengths[:, 0].sum() / len(made.rows) / 64 > 0.9
  assert lengths[:, 1].sum() / len(made.rows) / made.target > 0.75
  np.testing.assert_array_equal(packing.plan(lengths, 64, seed=0).rows, made.rows)
  assert (packing.plan(lengths, 64, seed=1).rows[:9] != made.rows[:9]).any()
  with pytest.raises(InputError, match=r'has 38 source .* have 39: .* least 39'):
    packing.plan(lengths, 38, seed=0)


def test_packed_batches_hold_all_and_log_the_mean_of_what_they_hold():
  """Of two epochs; examples that only fill up places count for nothing."""
  lengths = np.array(LENGTHS * 4)
  options = {'batch_size': 5, 'row_multiple': 2, 'seed': 0, 'layout': one_device()}
  order, together = packing.batches(lengths, 11, PAD, **options)
  examples = make_examples(lengths)
  rows = len(packing.plan(lengths, 11, 0).rows)
  seen, tokens = [], 0
  for i in range(rows):  # two rows each: two epochs
    index = order[i]
    logged = {'number': index.astype(np.float32)}
    made = jax.tree.map(lambda x: x[index], examples)  # noqa: B023
    batch, logs = together(index >= 0, made, logged)
    assert batch.source.shape[0] == 2
    used = index[index >= 0]
    np.testing.assert_allclose(logs['number'].mean(), used.mean(), rtol=1e-6)
    assert not logs['lost_tokens'].any()
    seen.append(used)
    tokens += int(batch.weight.sum())
  np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(40) // 2)
  assert tokens == 2 * lengths[:, 1].sum()
  again, _ = packing.batches(lengths, 11, PAD, **options)
  np.testing.assert_array_equal(again[3], order[3])


def test_batches_that_are_not_packed_are_left_as_they_are():
  """One example a row, as many as were asked for."""
  order, together = packing.batches(np.array(LENGTHS), 0, PAD, 3, 1, 0, one_device())
  examples, logged = make_examples(), {'x': np.ones(5)}
  assert together(order[0], examples, logged) == (examples, logged)
  assert examples.segments is None
  assert len(order[0]) == 3


def test_positions_begin_at_zero_in_every_segment():
  """Padding too is a segment."""
  segments = jnp.array([[1, 1, 2, 2, 2, 0], [1, 2, 3, 3, 0, 0]])
  found = layers.segment_positions(segments)
  np.testing.assert_array_equal(found, [[0, 1, 0, 1, 2, 0], [0, 0, 0, 1, 0, 1]])
