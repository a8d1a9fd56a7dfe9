"""Spans of whole words, drawn without overlap under an exact budget.

Every policy of this package hides whole words. A policy is a table of scores over
candidate spans, [B, W, N]: `scores[b, w, n]` is the log-weight of hiding the n + 1
words from word w on, -inf where it never does. Spans are drawn one after the other
from the softmax of the scores over what still fits, until the passage's budget of
words is used up exactly.

W is the number of tokens L, which no passage's number of words exceeds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from masklearn.types import Batch, MaskDraw

# Scores of the words that fill what no candidate fits: parts of candidates first,
# then any word. Far enough apart that Gumbel noise never bridges the gap.
_PART, _ANY = -1e3, -2e3


class Spans(NamedTuple):
  """Up to K spans a passage, in the order of drawing."""

  start: jax.Array  # [B, K] int32 first word
  length: jax.Array  # [B, K] int32 number of words; 0 for an unused place
  log_prob: jax.Array  # [B] float32


def word_count(batch: Batch) -> jax.Array:
  """Words of each passage [B] int32."""
  return jnp.where(batch.valid, batch.word + 1, 0).max(-1)


def token_of_word(batch: Batch, last: bool = False) -> jax.Array:
  """Index of the first (or last) token of each word [B, W] int32; 0 past the end."""
  count, width = batch.tokens.shape
  rows = jnp.arange(count, dtype=jnp.int32)[:, None]
  word = jnp.where(batch.valid, batch.word, width)
  # Tokens of one word write to one place, in no order: only the one wanted may.
  beside = jnp.roll(word, -1 if last else 1, axis=1)
  beside = beside.at[:, -1 if last else 0].set(-1)
  word = jnp.where(word != beside, word, width)
  at = jnp.arange(width, dtype=jnp.int32)
  return jnp.zeros_like(word).at[rows, word].set(at, mode='drop')


def drop_tokens(key, batch: Batch, mask: int, share: float) -> Batch:
  """Passages with a share of their tokens, at random, replaced by `mask`."""
  out = jax.random.bernoulli(key, share, batch.tokens.shape)
  return batch._replace(tokens=jnp.where(out & batch.valid, mask, batch.tokens))


def fits(batch: Batch, longest: int) -> jax.Array:
  """Whether the n + 1 words from w on lie within the passage [B, W, N]."""
  words = jnp.arange(batch.tokens.shape[1], dtype=jnp.int32)[None, :, None]
  lengths = jnp.arange(1, longest + 1, dtype=jnp.int32)[None, None]
  return words + lengths <= word_count(batch)[:, None, None]


def still_free(free: jax.Array, longest: int) -> jax.Array:
  """Whether no word of a span is hidden yet, [B, W, N], for `free` words [B, W]."""
  runs = [free]
  for n in range(1, longest):
    runs.append(runs[-1] & jnp.pad(free[:, n:], ((0, 0), (0, n))))
  return jnp.stack(runs, -1)


def still_possible(spans: Spans, batch: Batch, rate: float, longest: int) -> jax.Array:
  """Whether a span can be drawn after others within the budget, [B, W, N]."""
  left = budget(batch, rate) - spans.length.sum(-1, dtype=jnp.int32)
  return fits(batch, longest) & _open(~hidden_words(spans, batch), left, longest)


def budget(batch: Batch, rate: float) -> jax.Array:
  """Words to hide in each passage [B] int32: round(rate * words), at least 1."""
  words = word_count(batch)
  chosen = jnp.round(rate * words.astype(jnp.float32)).astype(jnp.int32)
  return jnp.minimum(jnp.maximum(chosen, 1), words)


def slots(batch: Batch, rate: float) -> int:
  """The largest budget that passages of this padded length can have."""
  return max(1, round(rate * batch.tokens.shape[1]))


def draw_spans(
  key, scores: jax.Array, batch: Batch, rate: float, top_k: int = 0
) -> Spans:
  """Draws spans by `scores` [B, W, N] until the budget is used up exactly.

  Spans do not overlap; they may touch. Where no candidate fits what is left of the
  budget, single words fill it: words of candidates if there are any, else any.

  Args:
    key: a random key.
    scores: log-weights of spans.
    batch: the passages.
    rate: the budget.
    top_k: draws each span from the k best that are still possible; 1 always takes the
      best one, 0 draws from all. Above 1, `log_prob` is exact for the first span only:
      a span that comes among the best later has not yet lost to any.
  """
  # Gumbel noise drawn once serves every span: among what may still be chosen, the
  # next largest noisy score is a draw from the softmax of just that.
  return take_spans(jax.random.gumbel(key, scores.shape), scores, batch, rate, top_k)


def take_spans(
  noise: jax.Array, scores: jax.Array, batch: Batch, rate: float, top_k: int = 0
) -> Spans:
  """The spans that `draw_spans` draws with this Gumbel noise [B, W, N]."""
  rows, _, longest = scores.shape
  scores = with_fillers(jnp.where(fits(batch, longest), scores, -jnp.inf), batch)
  noisy = scores + noise

  def draw_one(carry, _):
    free, left = carry  # [B, W] bool, [B] int32
    possible = _among(top_k, scores, _open(free, left, longest))
    choice = jnp.where(possible, noisy, -jnp.inf).reshape(rows, -1).argmax(-1)
    start = (choice // longest).astype(jnp.int32)
    length = jnp.where(left > 0, choice % longest + 1, 0).astype(jnp.int32)
    log_prob = _log_prob(scores, start, length, possible)
    return _after(free, left, start, length), (start, length, log_prob)

  free = fits(batch, 1)[..., 0]  # [B, W]
  _, (start, length, log_prob) = jax.lax.scan(
    draw_one, (free, budget(batch, rate)), length=slots(batch, rate)
  )
  return Spans(start.T, length.T, log_prob.sum(0))


def log_prob(scores: jax.Array, spans: Spans, batch: Batch, rate: float) -> jax.Array:
  """The log-probability [B] with which `draw_spans` draws these, in this order."""
  longest = scores.shape[2]
  scores = with_fillers(jnp.where(fits(batch, longest), scores, -jnp.inf), batch)

  def draw_one(carry, item):
    possible = _open(*carry, longest)
    return _after(*carry, *item), _log_prob(scores, *item, possible)

  free = fits(batch, 1)[..., 0]
  items = spans.start.T, spans.length.T
  return jax.lax.scan(draw_one, (free, budget(batch, rate)), items)[1].sum(0)


def with_fillers(scores: jax.Array, batch: Batch) -> jax.Array:
  """Scores [B, W, N] with single words behind all candidates, parts of them first."""
  covered = spans_cover((scores > -jnp.inf).astype(jnp.int32))
  filler = jnp.where(covered > 0, _PART, _ANY)
  filler = jnp.where(fits(batch, 1)[..., 0], filler, -jnp.inf)
  return scores.at[..., 0].set(jnp.maximum(scores[..., 0], filler))


def hidden_words(spans: Spans, batch: Batch) -> jax.Array:
  """Whether a word is in any of the spans: [B, W] bool."""
  return _within(spans, batch).any(1)


def to_draw(spans: Spans, batch: Batch) -> MaskDraw:
  """The token decisions [B, L] of spans of words."""
  hidden = _within(spans, batch)
  words = jnp.arange(hidden.shape[2], dtype=jnp.int32)[None, None]
  begins = hidden & (words == spans.start[..., None])
  return _token_draw(hidden.any(1), begins.any(1), batch, spans.log_prob)


def move_spans(key, spans: Spans, batch: Batch, within_sentence: bool) -> MaskDraw:
  """Hides as many spans of the same lengths elsewhere, at random, without overlap.

  Args:
    key: a random key.
    spans: [B, K] what another policy drew.
    batch: passages [B, L].
    within_sentence: whether a span stays in the sentence that it came from.

  Returns:
    A draw that hides exactly as many words, in each sentence if `within_sentence`.
    A span that fits nowhere any more is cut into single words.
  """
  rows, width = batch.tokens.shape
  words = jnp.arange(width, dtype=jnp.int32)[None]
  sentence = jnp.take_along_axis(batch.sentence, token_of_word(batch), axis=1)  # [B, W]
  goes_on = jnp.pad(sentence[:, 1:] == sentence[:, :-1], ((0, 0), (0, 1)))

  def move_one(free, item):
    key, start, length = item  # [B] each
    home = jnp.take_along_axis(sentence, start[:, None], axis=1)  # [B, 1]
    allowed = free & ((sentence == home) | (not within_sentence))
    # A run of free words ends at a taken one, or behind the last of a sentence.
    stop = jnp.where(goes_on | (not within_sentence), width, words + 1)
    stop = jnp.where(free, stop, words)
    run = jax.lax.cummin(stop, axis=1, reverse=True) - words
    whole = allowed & (run >= length[:, None])
    noise = jax.random.uniform(key, (rows, width))
    at = jnp.argmax(jnp.where(whole, noise, -1.0), axis=1)[:, None]
    together = (words >= at) & (words < at + length[:, None])
    ranked = jnp.where(allowed, noise, -1.0)
    rank = (ranked[:, None, :] > ranked[:, :, None]).sum(-1)
    apart = allowed & (rank < length[:, None])
    fitting = whole.any(-1, keepdims=True)
    hidden = jnp.where(fitting, together, apart) & (length > 0)[:, None]
    begins = hidden & ((words == at) | ~fitting)
    return free & ~hidden, (hidden, begins)

  free = words < word_count(batch)[:, None]  # [B, W]
  keys = jax.random.split(key, spans.start.shape[1])
  items = keys, spans.start.T, spans.length.T
  _, (hidden, begins) = jax.lax.scan(move_one, free, items)
  return _token_draw(hidden.any(0), begins.any(0), batch, jnp.zeros(rows))


def moved_scores(scores: jax.Array, batch: Batch, within_sentence: bool) -> jax.Array:
  """Scores [B, W, N] of `move_spans` for one span drawn by `scores`.

  A span's share goes in equal parts to all spans of its length, in the passage or
  in its sentence.
  """
  rows, width, longest = scores.shape
  group = jnp.zeros((rows, width), jnp.int32)
  inside = fits(batch, longest)
  if within_sentence:
    group = jnp.take_along_axis(batch.sentence, token_of_word(batch), axis=1)
    padded = jnp.pad(group, ((0, 0), (0, longest)), constant_values=-1)
    ends = jnp.stack([padded[:, n : n + width] for n in range(longest)], -1)
    inside &= ends == group[..., None]
  share = jax.nn.softmax(jnp.where(inside, scores, -jnp.inf).reshape(rows, -1))
  share = share.reshape(scores.shape)
  row = jnp.arange(rows, dtype=jnp.int32)[:, None]
  zero = jnp.zeros_like(share)
  total = zero.at[row, group].add(share)[row, group]
  count = zero.at[row, group].add(inside.astype(share.dtype))[row, group]
  return jnp.where(inside & (total > 0), jnp.log(total) - jnp.log(count), -jnp.inf)


def spans_cover(values: jax.Array) -> jax.Array:
  """Sums values of spans [B, W, N] over the spans that hide each word: [B, W]."""
  width, longest = values.shape[1:]
  # Word w is hidden by the spans of n + 1 words from any of w - n, .., w on.
  return sum(
    jnp.pad(values[:, : width - back, n], ((0, 0), (back, 0)))
    for n in range(longest)
    for back in range(n + 1)
  )


def of_tokens(values: jax.Array, batch: Batch) -> jax.Array:
  """Values of words [B, W], at each of their tokens [B, L]; padding has 0."""
  return jnp.where(batch.valid, jnp.take_along_axis(values, batch.word, axis=1), 0)


def token_shares(scores: jax.Array, batch: Batch) -> jax.Array:
  """The probability that one span, drawn by `scores`, hides each token: [B, L].

  Of the first span of a draw, where the budget has room for every candidate. The
  tokens of a word are alike, and padding has 0.

  Args:
    scores: [B, W, N] log-weights of spans.
    batch: the passages.
  """
  rows, _, longest = scores.shape
  scores = with_fillers(jnp.where(fits(batch, longest), scores, -jnp.inf), batch)
  share = jax.nn.softmax(scores.reshape(rows, -1)).reshape(scores.shape)
  words = spans_cover(share)  # [B, W]
  return of_tokens(words, batch)


def inclusion(scores: jax.Array, batch: Batch, rate: float) -> jax.Array:
  """The probability that a draw hides each token, approximately: [B, L].

  As if spans came at random times, each at a pace of its softmax share, and a word were
  hidden by time t with the probability 1 - exp(-t c), where c is the share of the spans
  around it; t is such that the probabilities add up to the budget. This is exact for
  single words that are equally likely, and in the limit of many words for any single
  words; that spans cannot overlap, and that long ones do not fit at the end, is left
  out, which in passages of ten words can be wrong by a quarter. What no candidate that
  fits covers shares what these leave of the budget, parts of candidates first.

  Args:
    scores: [B, W, N] log-weights of spans.
    batch: the passages.
    rate: of the budget.

  References:
    Rosen, Asymptotic Theory for Successive Sampling with Varying Probabilities Without
    Replacement (1972).
  """
  rows, _, longest = scores.shape
  left = budget(batch, rate).astype(scores.dtype)[:, None]  # [B, 1]
  lengths = jnp.arange(1, longest + 1, dtype=scores.dtype)[None, None]
  some = fits(batch, longest) & (scores > -jnp.inf)
  whole = some & (lengths <= left[..., None])
  share = jax.nn.softmax(jnp.where(whole, scores, -1e30).reshape(rows, -1))
  cover = spans_cover(jnp.where(whole, share.reshape(scores.shape), 0))  # [B, W]
  words = fits(batch, 1)[..., 0]

  def hidden(log_time):
    return -jnp.expm1(-jnp.exp(log_time) * cover)

  def halve(_, bounds):
    low, high = bounds
    middle = (low + high) / 2
    more = hidden(middle).sum(-1, keepdims=True) < left
    return jnp.where(more, middle, low), jnp.where(more, high, middle)

  bounds = jnp.full_like(left, -10), jnp.full_like(left, 80)
  out = hidden(jax.lax.fori_loop(0, 40, halve, bounds)[0])
  # What is covered by no whole candidate: first the words of others, then any word.
  part = words & (spans_cover(some.astype(scores.dtype)) > 0)
  for tier in (part & (cover == 0), words & ~part):
    rest = jnp.maximum(left - out.sum(-1, keepdims=True), 0)
    count = tier.sum(-1, keepdims=True).astype(scores.dtype)
    out = jnp.where(tier, jnp.minimum(rest / jnp.maximum(count, 1), 1), out)
  return of_tokens(out, batch)


def _token_draw(hidden, begins, batch, log_prob):
  """Words [B, W] to tokens [B, L]; a span begins at its first word's first token."""
  before = jnp.pad(batch.word, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
  mask, start = (of_tokens(x.astype(jnp.float32), batch) for x in (hidden, begins))
  return MaskDraw(mask, jnp.where(batch.word != before, start, 0), log_prob)


def _within(spans, batch):
  """Whether each span hides each word: [B, K, W]."""
  words = jnp.arange(batch.tokens.shape[1], dtype=jnp.int32)[None, None]
  start, length = spans.start[..., None], spans.length[..., None]
  return (words >= start) & (words < start + length)


def _open(free, left, longest):
  """Whether a span can still be drawn, [B, W, N]: its words are free and fit."""
  lengths = jnp.arange(1, longest + 1, dtype=jnp.int32)[None, None]
  return still_free(free, longest) & (lengths <= left[:, None, None])


def _among(top_k, scores, possible):
  """The k best of the possible spans [B, W, N], and their equals; 0 for all."""
  if not top_k:
    return possible
  rows = jnp.arange(len(scores), dtype=jnp.int32)
  ranked = jnp.where(possible, scores, -jnp.inf).reshape(len(scores), -1)

  def without_best(_, ranked):
    return ranked.at[rows, ranked.argmax(-1)].set(-jnp.inf)

  # On CPUs, `jax.lax.top_k` takes as long as dozens of these.
  count = min(top_k, ranked.shape[1]) - 1
  least = jax.lax.fori_loop(0, count, without_best, ranked).max(-1)  # [B]
  return possible & (scores >= least[:, None, None])


def _log_prob(scores, start, length, possible):
  """That of the next span among the possible [B, W, N]: [B]; 0 without a budget."""
  rows, _, longest = scores.shape
  total = jax.nn.logsumexp(jnp.where(possible, scores, -jnp.inf), axis=(1, 2))
  index = start * longest + jnp.maximum(length, 1) - 1
  chosen = scores.reshape(rows, -1)[jnp.arange(rows, dtype=jnp.int32), index]
  return jnp.where(length > 0, chosen - total, 0.0)


def _after(free, left, start, length):
  """The free words, and the rest of the budget, after a span of each passage."""
  words = jnp.arange(free.shape[1], dtype=jnp.int32)[None]
  hidden = (words >= start[:, None]) & (words < (start + length)[:, None])
  return free & ~hidden, left - length
