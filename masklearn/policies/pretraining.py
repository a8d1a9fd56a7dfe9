"""Original objectives of BERT, BART and T5: masks by rules, whatever the task.

BART and T5 have rates of their own, 30% of the words and 15% of the tokens, and so
stand outside the budget that other policies share; BERT's single tokens, at the rate of
the others, stand beside it, see `random_token`. None is a table of scores.

References:
  Devlin et al., BERT (2019), section 3.1.
  Raffel et al., T5 (2020), section 3.3.4, and `random_spans_noise_mask` of its code.
  Lewis et al., BART (2020), section 2.2, and fairseq's `DenoisingDataset` with
  `--mask-length span-poisson --replace-length 1 --permute-sentences 1`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from masklearn.types import InputError, MaskDraw, Policy, Specials

# Places beyond the passage's own for markers that hide nothing. Spans of several words
# leave many more; of a passage of one or two words there may be none.
ROOM = 4
T5_RATE, BART_RATE, MEAN_LENGTH = 0.15, 0.3, 3.0


def original(rate: float | None = None, *, ids: Specials) -> Policy:
  """The original policy of the model whose tokens these are, at its own rate.

  Its output format is T5's 'spans' or BART's 'full'.
  """
  make = t5_spans if ids.sentinels else bart_infilling
  return make() if rate is None else make(rate)


def random_token(rate: float) -> Policy:
  """Hides single tokens, whichever words they are part of; all sets equally likely.

  `round(rate * tokens)` of a passage, at least 1: exactly. The budget of other policies
  is `round(rate * words)` words. Where a word counts as hidden when its first token
  is, as in `statistics.word_counts`, the two are equal on average, up to the rounding,
  but not in each passage; and words of many tokens are mostly hidden in part.

  Args:
    rate: share of the tokens, not of the words, to hide.
  """
  _check(rate, 1)

  def draw(theta, key, batch):
    rows, width = batch.tokens.shape
    count = batch.valid.sum(-1, dtype=jnp.int32)  # [B]
    budget = jnp.asarray(token_budget(width, rate))[count]
    most = int(token_budget(width, rate).max())
    chosen = _choose(key, count, budget, most)  # [B, K]
    turn = jnp.arange(most, dtype=jnp.int32)[None]
    place = jnp.where(turn < budget[:, None], chosen, width)
    row = jnp.arange(rows, dtype=jnp.int32)[:, None]
    mask = jnp.zeros((rows, width), jnp.float32).at[row, place].set(1, mode='drop')
    n, k = (x.astype(jnp.float32) for x in (count, budget))
    gamma = jax.scipy.special.gammaln
    return MaskDraw(mask, mask, gamma(k + 1) + gamma(n - k + 1) - gamma(n + 1))

  return Policy(lambda key: {}, _no_scores, draw)


def token_budget(width: int, rate: float) -> np.ndarray:
  """Tokens that `random_token` hides of passages of 0 to `width`: [width + 1] int32.

  >>> token_budget(5, 0.4).tolist()
  [0, 1, 1, 1, 2, 2]
  """
  sizes = [min(max(round(rate * n), 1), n) for n in range(width + 1)]
  return np.array(sizes, np.int32)


def t5_spans(rate: float = T5_RATE, mean_length: float = MEAN_LENGTH) -> Policy:
  """Hides `rate` of the tokens in spans of `mean_length` on average.

  The numbers of hidden tokens and of spans follow from the passage's length alone.
  Shown and hidden tokens are each cut into as many parts, all ways equally likely,
  and the parts take turns, a shown one first.

  Args:
    rate: share of the tokens, not of the words, to hide.
    mean_length: tokens of a span.
  """
  _check(rate, mean_length)

  def draw(theta, key, batch):
    width = batch.tokens.shape[1]
    hidden, parts = t5_sizes(width, rate, mean_length)
    count = batch.valid.sum(-1, dtype=jnp.int32)  # [B]
    most, spans = int(parts.max()), jnp.asarray(parts)[count]
    amount = jnp.asarray(hidden)[count]
    key_hidden, key_shown = jax.random.split(key)
    hidden_end, log_hidden = _cut(key_hidden, amount, spans, most)
    shown_end, log_shown = _cut(key_shown, count - amount, spans, most)
    # The i-th hidden part follows i + 1 shown ones.
    start = shown_end + jnp.pad(hidden_end, ((0, 0), (1, 0)))[:, :-1]  # [B, K]
    place = jnp.arange(width, dtype=jnp.int32)[None, :, None]
    inside = (place >= start[:, None]) & (place < (shown_end + hidden_end)[:, None])
    mask = inside.any(-1).astype(jnp.float32)
    return MaskDraw(mask, jnp.zeros_like(mask), log_hidden + log_shown)

  return Policy(lambda key: {}, _no_scores, draw)


def bart_infilling(rate: float = BART_RATE, mean_length: float = MEAN_LENGTH) -> Policy:
  """Permutes the sentences, then hides spans of Poisson many words.

  Lengths are drawn until they add up to `rate` of the words, the last cut to fit.
  Spans begin at distinct words, all equally likely, and go over the ends of
  sentences; where they overlap, they are one. A length of 0 puts a marker between
  two tokens of what has become of the passage. `lost` counts those for which `ROOM`
  did not suffice.

  Args:
    rate: share of the words to hide, rounded up.
    mean_length: of the Poisson distribution.
  """
  _check(rate, mean_length)

  def draw(theta, key, batch):
    key_order, key_length, key_start, key_insert = jax.random.split(key, 4)
    rows, width = batch.tokens.shape
    row = jnp.arange(rows, dtype=jnp.int32)[:, None]
    order = _shuffle(key_order, batch)  # [B, L]
    # Words by where they stand in the new order.
    old = jnp.take_along_axis(batch.word, order, axis=1)
    before = jnp.pad(old, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
    begins = (old != before) & batch.valid
    word = jnp.cumsum(begins, -1, dtype=jnp.int32) - 1  # [B, L]
    words = begins.sum(-1, dtype=jnp.int32)  # [B]

    wanted = np.array([math.ceil(n * rate) for n in range(width + 1)], np.int32)
    most, wanted = int(wanted.max()), jnp.asarray(wanted)[words]
    length, inserts = _lengths(key_length, mean_length, wanted, most)  # [B, K], [B]
    noise = jax.random.uniform(key_start, (rows, width))
    place = jnp.arange(width, dtype=jnp.int32)[None]
    noise = jnp.where(place < words[:, None], noise, -1.0)
    _, first = jax.lax.top_k(noise, length.shape[1])  # distinct words [B, K]
    first = jnp.where(length > 0, first.astype(jnp.int32), width)
    end = jnp.zeros((rows, width), jnp.int32)
    end = end.at[row, first].set(first + length, mode='drop')
    # Where the spans that begin before a word end.
    until = jnp.pad(jax.lax.cummax(end, axis=1), ((0, 0), (1, 0)))[:, :-1]
    covered = (place < until) & (place < words[:, None])
    own = (end > 0) & ~covered  # words that begin a span

    def of_token(x):
      return jnp.take_along_axis(x, jnp.maximum(word, 0), axis=1) & batch.valid

    hidden, start = of_token(covered | own), of_token(own) & begins
    kept = (batch.valid & ~hidden | start).sum(-1, dtype=jnp.int32)
    fitting = jnp.minimum(inserts, width + ROOM - kept)
    inserted = _some(key_insert, fitting, kept + fitting, width + ROOM)
    mask, start = (
      jnp.zeros((rows, width)).at[row, order].set(x.astype(jnp.float32))
      for x in (hidden, start)
    )
    return MaskDraw(mask, start, jnp.zeros(rows), order, inserted, inserts - fitting)

  return Policy(lambda key: {}, _no_scores, draw)


def t5_sizes(width: int, rate: float, mean_length: float) -> np.ndarray:
  """Hidden tokens, and spans, of passages of 0 to `width` tokens: [2, width + 1] int32.

  At least one token is shown before each span; of one token nothing is hidden.

  >>> t5_sizes(40, 0.15, 3.0)[:, 40].tolist()
  [6, 2]
  """
  sizes = np.zeros((2, width + 1), np.int32)
  for count in range(2, width + 1):
    hidden = min(max(round(count * rate), 1), count - 1)
    spans = max(round(hidden / mean_length), 1)
    sizes[:, count] = hidden, min(spans, hidden, count - hidden)
  return sizes


def _check(rate, mean_length):
  if not 0 < rate < 1 or not 1 <= mean_length <= 30:
    raise InputError(
      'The share to hide must lie in (0, 1) and the mean length in [1, 30], got '
      f'rate={rate}, mean_length={mean_length}.'
    )


def _no_scores(theta, batch):
  raise InputError('This policy draws by rules and has no scores of spans.')


def _cut(key, total, parts, most_parts):
  """Cuts `total` [B] into `parts` [B] positive parts, all ways equally likely.

  Returns:
    Where each ends, [B, most_parts] int32, `total` behind the last; and the log of
    the probability [B].
  """
  cuts = _choose(key, total - 1, parts - 1, most_parts - 1) + 1
  order = jnp.arange(most_parts - 1, dtype=jnp.int32)[None]
  cuts = jnp.where(order < parts[:, None] - 1, cuts, total[:, None])
  ends = jnp.sort(jnp.concatenate([cuts, total[:, None]], axis=1), axis=1)
  n, k = (jnp.maximum(x.astype(jnp.float32), 1) for x in (total, parts))
  gamma = jax.scipy.special.gammaln
  return ends, gamma(k) + gamma(n - k + 1) - gamma(n)


def _choose(key, total, count, most):
  """`count` [B] of the numbers below `total` [B], all sets equally likely.

  Returns:
    [B, most] int32 in no order; what is behind `count` has no meaning.

  References:
    Bentley and Floyd, A Sample of Brilliance (1987), algorithm F2.
  """
  if most == 0:
    return jnp.zeros((total.shape[0], 0), jnp.int32)
  turn = jnp.arange(most, dtype=jnp.int32)[:, None]
  last = (total - count)[None] + turn  # of the numbers that a turn draws from
  drawn = jax.random.randint(key, last.shape, 0, jnp.maximum(last + 1, 1))

  def draw_one(i, chosen):
    taken = (chosen == drawn[i][None]).any(0)
    return chosen.at[i].set(jnp.where(taken, last[i], drawn[i]))

  chosen = jnp.full_like(last, -1)
  return jax.lax.fori_loop(0, most, draw_one, chosen).T


def _shuffle(key, batch):
  """The tokens [B, L] with the sentences in random order; padding stays behind."""
  noise = jax.random.uniform(key, batch.tokens.shape)
  noise = jnp.take_along_axis(noise, batch.sentence, axis=1)
  noise = jnp.where(batch.valid, noise, 2.0)
  return jnp.argsort(noise, axis=1, stable=True).astype(jnp.int32)


def _lengths(key, mean, wanted, most):
  """Lengths of spans that add up to `wanted` [B] <= `most`, and how many were 0.

  Returns:
    [B, most] int32, those above 0 first, and [B] int32.
  """
  chances = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(64)]
  steps = jnp.asarray(np.cumsum(chances)[:-1], jnp.float32)
  noise = jax.random.uniform(key, (wanted.shape[0], most + 8))
  drawn = (noise[..., None] >= steps[None, None]).sum(-1, dtype=jnp.int32)  # [B, K]
  # Only if eight or more are 0 is the last one reached; it then makes up the sum.
  drawn = drawn.at[:, -1].set(most)
  before = jnp.cumsum(drawn, -1, dtype=jnp.int32) - drawn
  left = jnp.maximum(wanted[:, None] - before, 0)
  length = jnp.minimum(drawn, left)
  inserts = ((drawn == 0) & (left > 0)).sum(-1, dtype=jnp.int32)
  order = jnp.argsort(length == 0, axis=1, stable=True)
  return jnp.take_along_axis(length, order, axis=1)[:, :most], inserts


def _some(key, count, total, width):
  """`count` [B] of `total` [B] places, all sets equally likely: [B, width] bool."""
  noise = jax.random.uniform(key, (total.shape[0], width))
  place = jnp.arange(width, dtype=jnp.int32)[None]
  noise = jnp.where(place < total[:, None], noise, 2.0)
  rank = jnp.argsort(jnp.argsort(noise, axis=1), axis=1)
  return rank < count[:, None]
