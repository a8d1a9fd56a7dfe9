"""Several examples in a row, so that little of what a model computes is padding.

Which examples share a row follows from how long they can become, and is decided once,
on the host. They are put there on the device, after a policy has hidden what it hides:
policies and objectives see one passage a row, markers and the decoder's start are each
example's own, and `Segments` keeps the examples of a row apart in the model.

References:
  Raffel et al., T5 (2020), section 3.1.2. Krell et al., Efficient Sequence Packing
  without Cross-contamination (2021).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data
from masklearn.training.mesh import Layout
from masklearn.types import Corrupted, InputError, Segments

OPEN = 64  # rows that may still get an example; the oldest is closed first


class Plan(NamedTuple):
  """The rows, and the examples in each."""

  rows: np.ndarray  # [R, E] int32 numbers of examples, -1 behind the last of a row
  source: int  # tokens of a row
  target: int


def batches(
  lengths: np.ndarray,
  size: int,
  pad: int,
  batch_size: int,
  row_multiple: int,
  seed: int,
  layout: Layout,
) -> tuple[grain.MapDataset, Callable]:
  """Batches without end, packed or not.

  Args:
    lengths: [P, 2] int32, tokens of source and target of each example at most.
    size: source tokens of a row; 0 for one example a row.
    pad: id of the padding.
    batch_size: examples of a batch; of a packed one on average.
    row_multiple: what the number of packed rows is a multiple of.
    seed: of the order.
    layout: of the rows.

  Returns:
    `order`, of which `order[i]` [N] are the numbers of the examples to make for batch
    i, -1 for one that is left out; and `together(used, examples, logged)`, which makes
    the batch of them: which are not left out [N], examples [N, ..] and what is logged
    of each, {name: [N]}.
  """
  if not size:
    order = data.batches(np.arange(len(lengths)), batch_size, seed)
    return order, lambda used, examples, logged: (examples, logged)
  packed = plan(lengths, size, seed)
  each = len(lengths) / len(packed.rows)
  rows = max(1, round(batch_size / each / row_multiple)) * row_multiple
  order = data.batches(packed.rows, rows, seed).map(np.ravel)
  shape = packed.rows.shape[1], packed.source, packed.target, pad
  return order, _compiled(*shape, layout)


@functools.cache
def _compiled(each, source, target, pad, layout):
  def own(examples, used):
    return pack(examples, used.reshape(-1, each), source, target, pad)

  def together(used, examples: Corrupted, logged: dict[str, Any]):
    made, lost = layout.local(own)(examples, used)
    logged = {'lost_tokens': jnp.int32(0), **logged}
    logged['lost_tokens'] += lost
    # So that the mean of all is the mean of those that are used.
    share = used.astype(jnp.float32) / used.mean()
    return made, {k: rows.astype(share.dtype) * share for k, rows in logged.items()}

  return layout.jit_rows(together)


def plan(lengths: np.ndarray, size: int, seed: int) -> Plan:
  """Puts every example, in random order, into the first open row that has room for it.

  Rows have as many target tokens as it takes to fill both sides alike.

  Args:
    lengths: [P, 2] int32, tokens of source and target of each example at most.
    size: source tokens of a row.
    seed: of the order.

  Raises:
    InputError: a source is longer than a row.
  """
  longest = lengths.max(0)
  if longest[0] > size:
    raise InputError(
      f'A packed row has {size} source tokens, but a source may have {longest[0]}: '
      f'packing must be 0, for one example a row, or at least {longest[0]}.'
    )
  wanted = size * lengths[:, 1].sum() / lengths[:, 0].sum()
  target = max(int(longest[1]), -(-int(np.ceil(wanted)) // 8) * 8)
  room = np.full((len(lengths), 2), [size, target])
  rows: list[list[int]] = []
  first = 0
  for example in np.random.default_rng(seed).permutation(len(lengths)):
    fits = (room[first : len(rows) + 1] >= lengths[example]).all(-1)
    row = first + int(fits.argmax())  # at the latest the one after the last
    if row == len(rows):
      rows.append([])
      first = max(first, len(rows) - OPEN)
    rows[row].append(int(example))
    room[row] -= lengths[example]
  table = np.full((len(rows), max(map(len, rows))), -1, np.int32)
  for row, examples in zip(table, rows, strict=True):
    row[: len(examples)] = examples
  return Plan(table, size, target)


def lengths(examples: Corrupted) -> np.ndarray:
  """Tokens of source and target of each example, [P, 2] int32."""
  sides = examples.source_valid, examples.weight > 0
  return np.stack([np.asarray(side).sum(-1, dtype=np.int32) for side in sides], -1)


def pack(
  examples: Corrupted, used: jax.Array, source: int, target: int, pad: int
) -> tuple[Corrupted, jax.Array]:
  """Puts the examples of each row behind each other.

  Args:
    examples: [R * E, ..], those of a row next to each other; hard ones, whose tokens
      are at the front.
    used: [R, E] bool; False is none.
    source: S, tokens of a row.
    target: T.
    pad: id of the padding.

  Returns:
    [R, S] and [R, T], with `segments`; and how many tokens [R * E] int32 of each
    example had no place.
  """
  source_at, source_lost = _places(examples.source_valid, used, source)
  target_at, target_lost = _places(examples.weight > 0, used, target)
  number = jnp.cumsum(used, -1, dtype=jnp.int32).reshape(-1, 1)  # [R * E, 1], from 1

  def put(x, at, size, empty):
    size = len(used), size
    flat = jnp.full(size[0] * size[1], empty, x.dtype)
    x = jnp.broadcast_to(x, at.shape)
    return flat.at[at.reshape(-1)].set(x.reshape(-1), mode='drop').reshape(size)

  of_source, of_target = (source_at, source), (target_at, target)
  segments = Segments(put(number, *of_source, 0), put(number, *of_target, 0))
  packed = Corrupted(
    put(examples.source, *of_source, pad),
    segments.source > 0,
    put(examples.decoder_input, *of_target, pad),
    put(examples.target, *of_target, pad),
    put(examples.weight, *of_target, 0),
    segments=segments,
  )
  return packed, source_lost + target_lost


def _places(valid, used, size):
  """Where tokens [R * E, L] go in all of the rows' tokens, out of range if nowhere.

  Returns:
    [R * E, L] int32, and how many of each example have no place [R * E] int32.
  """
  valid = (valid & used.reshape(-1, 1)).reshape(*used.shape, -1)  # [R, E, L]
  count = valid.sum(-1, dtype=jnp.int32)
  first = jnp.cumsum(count, -1, dtype=jnp.int32) - count
  place = first[..., None] + jnp.arange(valid.shape[-1], dtype=jnp.int32)[None, None]
  row = jnp.arange(len(used), dtype=jnp.int32)[:, None, None]
  fits = valid & (place < size)
  place = jnp.where(fits, row * size + place, len(used) * size)
  lost = count - fits.sum(-1, dtype=jnp.int32)
  return place.reshape(-1, valid.shape[-1]), lost.reshape(-1)
