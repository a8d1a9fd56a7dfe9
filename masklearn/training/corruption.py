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

A draw of BART's original objective also puts the sentences into another order before
spans are hidden, and then markers between tokens that hide nothing.

References:
  Lewis et al., BART (2020), section 2.2, text infilling. Raffel et al., T5 (2020),
  section 3.1.4. Ye et al., On the Influence of Masking Policies in Intermediate
  Pre-training (2021), section 5, which compares the two output formats.
"""

import jax
import jax.numpy as jnp

from masklearn.io.lookup import check_name
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
    source [B, S], where S is L + 2 in BART and L + 1 in T5, and more by the I extra
    markers that a draw has room for; target [B, T] for 'spans', [B, L + 2] or
    [B, L + 1] for 'full'.

  Raises:
    InputError: a draw has extra markers, and the model numbers its markers.
  """
  check_name(TARGETS, target, 'target')
  if ids.sentinels and draw.inserted is not None:
    raise InputError('Markers that hide nothing need a model with a single <mask>.')
  tokens, valid = _in_order(batch.tokens, draw), batch.valid
  hidden, hides, spans = _counted(batch, draw, ids)  # [B, L]
  first = 0 if ids.bos is None else 1
  size = tokens.shape[1] + first + 1  # S
  length = target_length or 2 * tokens.shape[1] + 1  # T
  # A shown token goes to the source, behind one marker a span; a hidden one to the
  # target, behind those of its own span and the spans before.
  shown_at = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None] - hides + spans + first
  hidden_at = hides + spans - 1
  if target == 'full':
    place = jnp.where(valid & ~hidden, shown_at, size)
    source = _place(tokens, place, size)
    labels = _wrap(batch.tokens, valid, ids)
  else:
    # One scatter for both, which is most of the time that this takes.
    hidden_at = jnp.where(hidden_at < length, size + hidden_at, size + length)
    place = jnp.where(hidden, hidden_at, shown_at)
    both = _place(tokens, jnp.where(valid, place, size + length), size + length)
    source, labels = both[:, :size], both[:, size:]
    labels = _fill(labels, hides[:, -1:] + spans[:, -1:], ids)
  if ids.bos is not None:
    source = source.at[:, 0].set(ids.bos)
  kept = valid.sum(-1, keepdims=True, dtype=jnp.int32) - hides[:, -1:] + spans[:, -1:]
  source = _fill(source, first + kept, ids)
  if draw.inserted is not None:
    source = _insert(source, draw.inserted, ids)
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
  check_name(TARGETS, target, 'target')
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
  batch: Batch, draw: MaskDraw, ids: Specials, target_length: int | None
) -> jax.Array:
  """The number of tokens [B] int32 of a draw that an example has no place for.

  Those that `target_length` cuts off a `spans` target, None for 'full'; those of spans
  that no sentinel is left for; and extra markers that the source had no room for.
  """
  hidden, hides, spans = _counted(batch, draw, ids)
  wanted, _ = _spans(batch, draw)
  lost = (wanted & ~hidden).sum(-1, dtype=jnp.int32)
  if target_length is not None:
    lost = lost + jnp.maximum(hides[:, -1] + spans[:, -1] + 1 - target_length, 0)
  return lost if draw.lost is None else lost + draw.lost


def _in_order(x, draw):
  """Values of tokens [B, L], as the draw orders them."""
  return x if draw.order is None else jnp.take_along_axis(x, draw.order, axis=1)


def _spans(batch, draw):
  """The tokens that a draw hides, and those that begin spans.

  A span begins where the draw says so, or after a shown token; all in its order.
  """
  hidden = _in_order((draw.mask > 0) & batch.valid, draw)  # [B, L]
  before = jnp.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
  return hidden, hidden & (_in_order(draw.start > 0, draw) | ~before)


def _counted(batch, draw, ids):
  """The hidden tokens, but for spans that no sentinel is left for.

  Returns:
    `hidden` [B, L] bool; how many tokens are hidden, and how many spans have begun, up
    to each token, itself included: [B, L] int32.
  """
  hidden, start = _spans(batch, draw)
  # Counted together, in one pass.
  count = _running_sum(hidden.astype(jnp.int32) + (start.astype(jnp.int32) << 16))
  hides, spans = count & 0xFFFF, count >> 16
  if ids.sentinels:
    marked = spans <= len(ids.sentinels)
    most = jnp.where(marked, hides, 0).max(-1, keepdims=True)
    hidden, hides = hidden & marked, jnp.minimum(hides, most)
    spans = jnp.minimum(spans, len(ids.sentinels))
  return hidden, hides, spans


def _running_sum(x):
  """Sums of [B, L] up to each place, itself included: on CPU faster than a cumsum."""
  return jax.lax.associative_scan(jnp.add, x, axis=1)


def _place(tokens, place, size):
  """Tokens [B, L] at their places in [B, size]; all else is a hole, -1."""
  rows = jnp.arange(tokens.shape[0], dtype=jnp.int32)[:, None]
  # One index a token, out of range for those that have no place.
  count = tokens.shape[0] * size
  place = jnp.where(place < size, rows * size + place, count)
  empty = jnp.full(count, -1, tokens.dtype)
  out = empty.at[place.reshape(-1)].set(tokens.reshape(-1), mode='drop')
  return out.reshape(-1, size)


def _fill(tokens, length, ids):
  """Markers for the holes before `length` [B, 1], `</s>` there, padding behind."""
  place = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
  hole = tokens < 0
  if ids.sentinels:
    number = _running_sum(hole.astype(jnp.int32)) - 1
    table = jnp.array(ids.sentinels, tokens.dtype)
    marker = table[jnp.clip(number, 0, len(ids.sentinels) - 1)]
  else:
    marker = jnp.int32(ids.mask)
  tokens = jnp.where(hole, marker, tokens)
  end = jnp.where(place == length, ids.eos, ids.pad).astype(tokens.dtype)
  return jnp.where(place < length, tokens, end)


def _insert(source, inserted, ids):
  """A source [B, S] with a marker at the `inserted` places [B, L + I] behind `<s>`."""
  more = inserted.shape[1] + 2 - source.shape[1]
  inside = jnp.pad(inserted, ((0, 0), (1, 1)))  # [B, S + I]
  moved = _running_sum(inside.astype(jnp.int32))
  place = jnp.arange(inside.shape[1], dtype=jnp.int32)[None] - moved
  padded = jnp.pad(source, ((0, 0), (0, more)), constant_values=ids.pad)
  source = jnp.take_along_axis(padded, place, axis=1)
  return jnp.where(inside, ids.mask, source)


def _wrap(tokens, keep, ids):
  """`<s>` in BART, the kept tokens [B, L] without gaps, `</s>`: [B, S]."""
  rows = jnp.arange(tokens.shape[0], dtype=jnp.int32)[:, None]
  first = 0 if ids.bos is None else 1
  length = tokens.shape[1] + first + 1
  out = jnp.full((tokens.shape[0], length), ids.pad, tokens.dtype)
  if ids.bos is not None:
    out = out.at[:, 0].set(ids.bos)
  place = _running_sum(keep.astype(jnp.int32)) - 1 + first
  out = out.at[rows, jnp.where(keep, place, length)].set(tokens, mode='drop')
  return out.at[rows[:, 0], first + keep.sum(-1, dtype=jnp.int32)].set(ids.eos)


def _example(source, labels, weight, ids):
  first = jnp.full_like(labels[:, :1], ids.decoder_start)
  decoder_input = jnp.concatenate([first, labels[:, :-1]], axis=1)
  return Corrupted(source, source != ids.pad, decoder_input, labels, weight)
