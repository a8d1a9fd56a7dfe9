"""Mask decisions become denoising examples, on the device and in static shapes.

Every hidden span is one marker in the source: `<mask>` in BART's infilling, the next
of its sentinels in T5's. The target is either the whole passage (`full`, as BART was
trained) or the hidden spans alone (`spans`, as T5 was trained): each span in order
after its marker, then `</s>`.

  passage      Paris is the capital of France .        hidden: Paris, capital of

  BART source  <s> <mask> is the <mask> France . </s>
       spans   <mask> Paris <mask> capital of </s>
       full    <s> Paris is the capital of France . </s>

  T5 source    <extra_id_0> is the <extra_id_1> France . </s>
     spans     <extra_id_0> Paris <extra_id_1> capital of </s>
     full      Paris is the capital of France . </s>

The decoder input is the target moved right, behind `</s>` in BART, `<pad>` in T5. A
tokenizer's special tokens say which of the two it is.

References:
  Lewis et al., BART (2020), section 2.2, text infilling. Raffel et al., T5 (2020),
  section 3.1.4. Ye et al., On the Influence of Masking Policies in Intermediate
  Pre-training (2021), section 5, which compares the two output formats.
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
  """The compacted denoising example of a hard draw: one marker for each span.

  Spans that come after the last of T5's sentinels stay shown; `overflow` counts
  their tokens.

  Args:
    batch: passages [B, L].
    draw: decisions in {0, 1}; a hidden token that follows a shown one begins a
      span, whatever `start` says.
    ids: the special tokens.
    target: 'spans' or 'full'.
    target_length: T for 'spans'; tokens beyond it are cut off, and `overflow`
      counts them. None holds any draw: 2 L + 1.

  Returns:
    source [B, S], where S is L + 2 in BART and L + 1 in T5; target [B, T] for
    'spans', [B, S] for 'full'.
  """
  _check_target(target)
  hidden, start = _spans(batch, draw, ids)
  marker = _markers(start, ids)  # [B, L] or []
  source = _wrap(
    jnp.where(start, marker, batch.tokens), batch.valid & (start | ~hidden), ids
  )  # [B, S]
  if target == 'full':
    labels = _wrap(batch.tokens, batch.valid, ids)
  else:
    labels = _spans_target(batch, hidden, start, marker, ids, target_length)
  return _example(source, labels, (labels != ids.pad).astype(jnp.float32), ids)


def corrupt_tokens(
  batch: Batch, decisions: jax.Array, ids: Specials, target: str = 'spans'
) -> Corrupted:
  """The uncompacted example of decisions in [0, 1]: one marker for each token.

  The source keeps its length. Each token's embedding is mixed with that of
  `<mask>`, or of T5's first sentinel, by its decision, the decoder reads the
  original passage, and the loss is weighted by the decisions (`spans`) or by 1
  (`full`), so that decisions of 0 and 1 hide exactly the tokens that they choose.

  Args:
    batch: passages [B, L].
    decisions: [B, L] float32; 1 hides the token.
    ids: the special tokens.
    target: 'spans' or 'full'.

  Returns:
    source and target [B, S], with `source_mask` [B, S]; S as in `corrupt`.
  """
  _check_target(target)
  shares = jnp.where(batch.valid, decisions, 0.0)
  first = 0 if ids.bos is None else 1
  shares = jnp.pad(shares, ((0, 0), (first, 1)))  # <s> and </s> are never hidden
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


def overflow(
  batch: Batch, draw: MaskDraw, target_length: int, ids: Specials
) -> jax.Array:
  """How many tokens [B] int32 a `spans` target loses.

  Those that `target_length` cuts off, and those of spans that no sentinel is left for.
  """
  wanted, _ = _all_spans(batch, draw)
  hidden, start = _spans(batch, draw, ids)
  slots = (hidden.astype(jnp.int32) + start.astype(jnp.int32)).sum(-1) + 1
  unmarked = (wanted & ~hidden).sum(-1, dtype=jnp.int32)
  return jnp.maximum(slots - target_length, 0) + unmarked


def _check_target(target):
  if target not in TARGETS:
    raise InputError(f'target must be one of {", ".join(TARGETS)}, got {target!r}.')


def _all_spans(batch, draw):
  """What a draw hides and where spans begin: where it says so, or after what shows."""
  hidden = (draw.mask > 0) & batch.valid  # [B, L]
  before = jnp.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
  return hidden, hidden & ((draw.start > 0) | ~before)


def _spans(batch, draw, ids):
  """The same, but for spans that no sentinel is left for."""
  hidden, start = _all_spans(batch, draw)
  if ids.sentinels:
    marked = jnp.cumsum(start, -1, dtype=jnp.int32) <= len(ids.sentinels)
    hidden, start = hidden & marked, start & marked
  return hidden, start


def _markers(start, ids):
  """What stands for the span that begins at each position: [B, L], [] in BART."""
  if not ids.sentinels:
    return jnp.int32(ids.mask)
  count = jnp.cumsum(start, -1, dtype=jnp.int32)
  table = jnp.array(ids.sentinels, jnp.int32)
  return table[jnp.clip(count - 1, 0, len(ids.sentinels) - 1)]


def _wrap(tokens, keep, ids):
  """`<s>` in BART, the kept tokens [B, L] without gaps, `</s>`: [B, S]."""
  rows = jnp.arange(tokens.shape[0], dtype=jnp.int32)[:, None]
  first = 0 if ids.bos is None else 1
  length = tokens.shape[1] + first + 1
  out = jnp.full((tokens.shape[0], length), ids.pad, tokens.dtype)
  if ids.bos is not None:
    out = out.at[:, 0].set(ids.bos)
  place = jnp.cumsum(keep, -1, dtype=jnp.int32) - 1 + first
  out = out.at[rows, jnp.where(keep, place, length)].set(tokens, mode='drop')
  return out.at[rows[:, 0], first + keep.sum(-1, dtype=jnp.int32)].set(ids.eos)


def _spans_target(batch, hidden, start, marker, ids, target_length):
  """The marker and the tokens of each span in turn, then `</s>`: [B, T]."""
  rows = jnp.arange(batch.tokens.shape[0], dtype=jnp.int32)[:, None]
  length = target_length or 2 * batch.tokens.shape[1] + 1
  slots = hidden.astype(jnp.int32) + start.astype(jnp.int32)  # a span's first: two
  position = jnp.cumsum(slots, -1, dtype=jnp.int32) - 1  # of the token itself
  out = jnp.full((batch.tokens.shape[0], length), ids.pad, batch.tokens.dtype)
  out = out.at[rows, jnp.where(start, position - 1, length)].set(marker, mode='drop')
  out = out.at[rows, jnp.where(hidden, position, length)].set(batch.tokens, mode='drop')
  return out.at[rows[:, 0], position[:, -1] + 1].set(ids.eos, mode='drop')


def _example(source, labels, weight, ids):
  decoder_input = jnp.pad(labels, ((0, 0), (1, 0)), constant_values=ids.decoder_start)[
    :, :-1
  ]
  return Corrupted(source, source != ids.pad, decoder_input, labels, weight)
