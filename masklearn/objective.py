"""Mask decisions become denoising examples, on the device and in static shapes.

BART's infilling: every hidden span is one `<mask>` in the source. The target is
either the whole passage (`full`, as BART was trained) or the hidden spans alone
(`spans`, as T5 was trained): each span in order after its `<mask>`, then `</s>`.

  passage      Paris is the capital of France .        hidden: Paris, capital of
  source       <s> <mask> is the <mask> France . </s>
  spans        <mask> Paris <mask> capital of </s>
  full         <s> Paris is the capital of France . </s>

The decoder input is the target moved right behind a `</s>`, as in BART.

References:
  Lewis et al., BART (2020), section 2.2, text infilling. Ye et al., On the
  Influence of Masking Policies in Intermediate Pre-training (2021), section 5,
  which compares the two output formats.
"""

import jax
import jax.numpy as jnp

from masklearn.types import Batch, Corrupted, InputError, MaskDraw, Specials

TARGETS = ('spans', 'full')


def corrupt(
  batch: Batch,
  draw: MaskDraw,
  ids: Specials,
  target: str = 'spans',
  target_length: int | None = None,
) -> Corrupted:
  """The compacted denoising example of a hard draw: one `<mask>` for each span.

  Args:
    batch: passages [B, L].
    draw: decisions in {0, 1}; a hidden token that follows a shown one begins a
      span, whatever `start` says.
    ids: the special tokens.
    target: 'spans' or 'full'.
    target_length: T for 'spans'; tokens beyond it are cut off, and `overflow`
      counts them. None holds any draw: 2 L + 1.

  Returns:
    source [B, L + 2]; target [B, T] for 'spans', [B, L + 2] for 'full'.
  """
  _check_target(target)
  hidden = (draw.mask > 0) & batch.valid  # [B, L]
  start = _span_starts(hidden, draw)
  source = _wrap(
    jnp.where(start, ids.mask, batch.tokens), batch.valid & (start | ~hidden), ids
  )  # [B, L + 2]
  if target == 'full':
    labels = _wrap(batch.tokens, batch.valid, ids)
  else:
    labels = _spans_target(batch, hidden, start, ids, target_length)
  return _example(source, labels, (labels != ids.pad).astype(jnp.float32), ids)


def corrupt_tokens(
  batch: Batch, decisions: jax.Array, ids: Specials, target: str = 'spans'
) -> Corrupted:
  """The uncompacted example of decisions in [0, 1]: one `<mask>` for each token.

  The source keeps its length. Each token's embedding is mixed with that of
  `<mask>` by its decision, the decoder reads the original passage, and the loss
  is weighted by the decisions (`spans`) or by 1 (`full`), so that decisions of 0
  and 1 hide exactly the tokens that they choose.

  Args:
    batch: passages [B, L].
    decisions: [B, L] float32; 1 hides the token.
    ids: the special tokens.
    target: 'spans' or 'full'.

  Returns:
    source and target [B, L + 2], with `source_mask` [B, L + 2].
  """
  _check_target(target)
  shares = jnp.where(batch.valid, decisions, 0.0)
  shares = jnp.pad(shares, ((0, 0), (1, 1)))  # <s> and </s> are never hidden
  tokens = _wrap(batch.tokens, batch.valid, ids)
  weight = (tokens != ids.pad).astype(jnp.float32) if target == 'full' else shares
  return _example(tokens, tokens, weight, ids)._replace(source_mask=shares)


def corrupt_spans(
  batch: Batch,
  start: jax.Array,
  length: jax.Array,
  ids: Specials,
  target: str = 'spans',
  target_length: int | None = None,
) -> Corrupted:
  """The compacted examples of M candidate spans a passage, each hidden alone.

  A span-soft example is the mixture of their losses: weights that are one-hot
  give the hard compacted example of that span.

  Args:
    batch: passages [B, L].
    start: [B, M] int32 first word of each candidate.
    length: [B, M] int32 number of words.
    ids: the special tokens.
    target: 'spans' or 'full'.
    target_length: as in `corrupt`.

  Returns:
    Examples [B * M, ...], those of a passage next to each other.
  """
  count = start.shape[1]
  wide = jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), batch)
  first, size = start.reshape(-1, 1), length.reshape(-1, 1)  # [B * M, 1]
  mask = (wide.word >= first) & (wide.word < first + size) & wide.valid
  mask = mask.astype(jnp.float32)
  draw = MaskDraw(mask, jnp.zeros_like(mask), jnp.zeros(mask.shape[0]))
  return corrupt(wide, draw, ids, target, target_length)


def overflow(batch: Batch, draw: MaskDraw, target_length: int) -> jax.Array:
  """Target tokens [B] int32 that a `spans` target of `target_length` cuts off."""
  hidden = (draw.mask > 0) & batch.valid
  starts = _span_starts(hidden, draw)
  slots = (hidden.astype(jnp.int32) + starts.astype(jnp.int32)).sum(-1) + 1
  return jnp.maximum(slots - target_length, 0)


def _check_target(target):
  if target not in TARGETS:
    raise InputError(f'target must be one of {", ".join(TARGETS)}, got {target!r}.')


def _span_starts(hidden, draw):
  """Where spans begin [B, L]: where the draw says so, or after a shown token."""
  before = jnp.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
  return hidden & ((draw.start > 0) | ~before)


def _wrap(tokens, keep, ids):
  """`<s>`, the kept tokens [B, L] without gaps, `</s>`: [B, L + 2]."""
  rows = jnp.arange(tokens.shape[0], dtype=jnp.int32)[:, None]
  length = tokens.shape[1] + 2
  out = jnp.full((tokens.shape[0], length), ids.pad, tokens.dtype).at[:, 0].set(ids.bos)
  position = jnp.where(
    keep, jnp.cumsum(keep, -1, dtype=jnp.int32), length
  )  # length: dropped
  out = out.at[rows, position].set(tokens, mode='drop')
  return out.at[rows[:, 0], 1 + keep.sum(-1, dtype=jnp.int32)].set(ids.eos)


def _spans_target(batch, hidden, start, ids, target_length):
  """`<mask>` and the tokens of each span in turn, then `</s>`: [B, T]."""
  rows = jnp.arange(batch.tokens.shape[0], dtype=jnp.int32)[:, None]
  length = target_length or 2 * batch.tokens.shape[1] + 1
  slots = hidden.astype(jnp.int32) + start.astype(jnp.int32)  # a span's first: two
  position = jnp.cumsum(slots, -1, dtype=jnp.int32) - 1  # of the token itself
  out = jnp.full((batch.tokens.shape[0], length), ids.pad, batch.tokens.dtype)
  out = out.at[rows, jnp.where(start, position - 1, length)].set(ids.mask, mode='drop')
  out = out.at[rows, jnp.where(hidden, position, length)].set(batch.tokens, mode='drop')
  return out.at[rows[:, 0], position[:, -1] + 1].set(ids.eos, mode='drop')


def _example(source, labels, weight, ids):
  decoder_input = jnp.pad(labels, ((0, 0), (1, 0)), constant_values=ids.eos)[:, :-1]
  return Corrupted(source, source != ids.pad, decoder_input, labels, weight)
