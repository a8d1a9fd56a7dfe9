"""Decoding: the model's own words, one at a time, greedily or along several beams.

A model has the methods `encode`, `init_cache` and `decode_step`, and a `config` with
the token ids `decoder_start`, `eos` and `pad`; see `bart.Bart`. Both give, token for
token, what `generate` of Hugging Face's transformers gives for the same model.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from masklearn.types import InputError

NEVER = -1.0e9  # the score of what must not be chosen; finite, so that it can be added


class Rules(NamedTuple):
  """Rules for an output, whatever the model prefers.

  Lengths count generated tokens: `decoder_start` is not one of them, but it counts as
  one that is there where n-grams must not repeat. Hugging Face's `min_length` counts
  it, so that theirs of n + 1 is ours of n.
  """

  min_length: int = 0  # tokens before `eos` may come
  no_repeat_ngram: int = 0  # size of n-grams that come once at most; 0 for any
  forced_bos: int | None = None  # the first token of every row
  forced_eos: int | None = None  # the last of `max_length` tokens, if none ended before


FREE = Rules()


class Beams(NamedTuple):
  """The outputs of a beam search, the best first."""

  tokens: jax.Array  # [B, N, max_length] int32: tokens, `eos` if it came, padding
  scores: jax.Array  # [B, N] float32: log-probability / length ** length_penalty


def greedy(
  model, params, source, source_valid, max_length: int, rules: Rules = FREE
) -> jax.Array:
  """The most likely next token, again and again; of equals, the lowest id.

  To be jitted with `model`, `max_length` and `rules` static. It stops as soon as
  every row has ended, and takes one step of the decoder for each token.

  Args:
    model: a Linen module as above.
    params: its parameters.
    source: [B, S] int32.
    source_valid: [B, S] bool; False is padding.
    max_length: tokens to generate at most; `decoder_start` is not one of them.
    rules: what an output must and must not contain.

  Returns:
    [B, max_length] int32: each row's tokens, its `eos` if it came to one, padding.

  Raises:
    InputError: if source or target are longer than the model's positions.
  """
  config, batch = model.config, source.shape[0]

  def going_on(state):
    position, ended, _, _ = state
    return (position < max_length) & ~ended.all()

  def step(state):
    position, ended, tokens, cache = state
    seen = jnp.arange(max_length, dtype=jnp.int32)[None, None] <= position
    logits, cache = _call(
      model, params, 'decode_step', tokens[:, position, None], position, seen, cache
    )  # [B, 1, V]
    logits = _obey(rules, logits[:, 0], tokens, position, max_length, config.eos)
    token = jnp.argmax(logits, axis=-1).astype(jnp.int32)  # [B]
    token = jnp.where(ended, config.pad, token)
    tokens = tokens.at[:, position + 1].set(token)
    return position + 1, ended | (token == config.eos), tokens, cache

  encoded = _call(model, params, 'encode', source, source_valid)  # [B, S, D]
  state = (
    jnp.int32(0),
    jnp.zeros(batch, bool),
    _blank(config, (batch, max_length + 1)),
    _call(model, params, 'init_cache', encoded, source_valid, max_length),
  )
  return jax.lax.while_loop(going_on, step, state)[2][:, 1:]


def beam(
  model,
  params,
  source,
  source_valid,
  max_length: int,
  beams: int,
  best: int = 1,
  length_penalty: float = 1.0,
  early_stopping: bool | str = False,
  rules: Rules = FREE,
) -> Beams:
  """The likeliest outputs among those that a search along several beams comes by.

  To be jitted with all but `params`, `source` and `source_valid` static.

  Args:
    model: a Linen module as above.
    params: its parameters.
    source: [B, S] int32.
    source_valid: [B, S] bool; False is padding.
    max_length: tokens to generate at most; `decoder_start` is not one of them.
    beams: how many unfinished outputs of a row are kept at a time.
    best: N, how many finished ones are returned; at most `beams`.
    length_penalty: an output's log-probability is divided by its length to this
      power; above 0 favours long ones.
    early_stopping: when a row is done. True: as soon as it has `beams` outputs.
      False: when its best beam, at the length that it has now, scores below the
      worst of them. 'never': below it even at the length that favours it most.
    rules: what an output must and must not contain.

  Returns:
    The N best outputs of each row and their scores.

  Raises:
    InputError: a setting is out of range, or source or target are longer than the
      model's positions.

  References:
    Wu et al., Google's Neural Machine Translation System (2016), section 7, for a
    penalty of this kind.
  """
  if not 1 <= best <= beams:
    raise InputError(f'best must lie between 1 and beams, got {best} of {beams}.')
  if early_stopping not in (True, False, 'never'):
    raise InputError(
      f"early_stopping must be True, False or 'never', got {early_stopping!r}."
    )

  def going_on(state):
    full = state.done.all() & (early_stopping is True)
    return state.hopeful.any() & ~full & ~state.stuck

  def step(state):
    position = state.position
    scores, parent, token, seen, cache = _expand(
      model, params, state, max_length, rules
    )
    tokens = _pick(state.tokens, parent).at[:, :, position + 1].set(token)
    ends = (token == model.config.eos) | (position + 1 == max_length)
    running, next_index = jax.lax.top_k(scores + jnp.where(ends, NEVER, 0.0), beams)
    finished = _finish(state, tokens, scores, ends, length_penalty, early_stopping)
    length = max_length if early_stopping == 'never' and length_penalty > 0 else None
    attainable = running[:, :1] / jnp.float32(length or position + 1) ** length_penalty
    return finished._replace(
      position=position + 1,
      tokens=_pick(tokens, next_index),
      scores=running,
      hopeful=state.hopeful & _beats_worst(attainable, finished),
      stuck=ends.all(),
      seen=_pick(seen, jnp.take_along_axis(parent, next_index, axis=1)),
      cache=cache,
    )

  state = _start(model, params, source, source_valid, max_length, beams)
  state = jax.lax.while_loop(going_on, step, state)
  return Beams(state.best_tokens[:, :best, 1:], state.best_scores[:, :best])


class _Search(NamedTuple):
  """Where a beam search stands; `_tokens` carry `decoder_start` in front."""

  position: jax.Array  # [] tokens generated so far
  tokens: jax.Array  # [B, beams, 1 + max_length] of the unfinished outputs
  scores: jax.Array  # [B, beams] their log-probabilities
  best_tokens: jax.Array  # [B, beams, 1 + max_length] of the finished ones
  best_scores: jax.Array  # [B, beams] theirs, divided by the penalty
  done: jax.Array  # [B, beams] whether there is such an output yet
  hopeful: jax.Array  # [B] whether an unfinished one may still become better
  stuck: jax.Array  # [] whether nothing can go on
  seen: jax.Array  # [B, beams, max_length, beams] what in the cache is a beam's past
  cache: Any  # of all beams


def _start(model, params, source, source_valid, max_length, beams):
  """The search before its first token."""
  batch = len(source)
  encoded = _call(model, params, 'encode', source, source_valid)  # [B, S, D]
  first = jnp.arange(beams, dtype=jnp.int32) == 0
  blank = _blank(model.config, (batch, beams, max_length + 1))
  return _Search(
    position=jnp.int32(0),
    tokens=blank,
    # All beams begin alike; without this they would stay so.
    scores=jnp.broadcast_to(jnp.where(first, 0.0, NEVER), (batch, beams)),
    best_tokens=blank,
    best_scores=jnp.full((batch, beams), NEVER),
    done=jnp.zeros((batch, beams), bool),
    hopeful=jnp.ones(batch, bool),
    stuck=jnp.zeros((), bool),
    seen=jnp.zeros((batch, beams, max_length, beams), bool),
    cache=_call(model, params, 'init_cache', encoded, source_valid, max_length, beams),
  )


def _expand(model, params, state, max_length, rules):
  """The 2 * beams likeliest next tokens of each row, over all its beams.

  Twice as many as beams: as many as there are may end here, one token each.

  Returns:
    Their scores, the beams that they continue and the tokens, [B, 2 * beams] each;
    what the beams have seen, and the cache.
  """
  (batch, beams), position = state.scores.shape, state.position
  itself = jnp.eye(beams, dtype=bool)[None]  # [1, beams, beams]
  seen = state.seen.at[:, :, position].set(itself)
  past = seen.reshape(batch, beams, -1)
  last = state.tokens[:, :, position]
  # [B, beams, V]
  logits, cache = _call(model, params, 'decode_step', last, position, past, state.cache)
  vocab = logits.shape[-1]
  scores = jax.nn.log_softmax(logits.astype(jnp.float32).reshape(-1, vocab), axis=-1)
  flat = state.tokens.reshape(batch * beams, -1)
  scores = _obey(rules, scores, flat, position, max_length, model.config.eos)
  scores = scores.reshape(batch, beams, vocab) + state.scores[..., None]
  scores, index = top_k(scores.reshape(batch, -1), 2 * beams)
  return scores, index // vocab, index % vocab, seen, cache


def _finish(state, tokens, scores, ends, length_penalty, early_stopping):
  """The search with those of the 2 * beams candidates that end here, if they are good.

  Only the first half counts: the second is there to go on with.
  """
  beams = state.scores.shape[1]
  first_half = jnp.arange(2 * beams, dtype=jnp.int32) < beams
  ends = ends & first_half[None]
  scores = scores / jnp.float32(state.position + 1) ** length_penalty
  closed = ~state.hopeful
  if early_stopping is True:
    closed = closed | state.done.all(-1)
  scores = scores + jnp.where(closed[:, None] | ~ends, NEVER, 0.0)
  scores = jnp.concatenate([state.best_scores, scores], axis=1)
  scores, index = jax.lax.top_k(scores, beams)
  return state._replace(
    best_tokens=_pick(jnp.concatenate([state.best_tokens, tokens], axis=1), index),
    best_scores=scores,
    done=jnp.take_along_axis(jnp.concatenate([state.done, ends], axis=1), index, 1),
  )


def _beats_worst(scores, finished):
  """Whether scores [B, 1] are above those of the worst finished output: [B]."""
  worst = finished.best_scores.min(-1, keepdims=True)  # [B, 1]
  worst = jnp.where(finished.done, worst, NEVER)  # [B, beams]
  return (scores > worst).any(-1)


def top_k(x: jax.Array, k: int, block: int = 128) -> tuple[jax.Array, jax.Array]:
  """The same as `jax.lax.top_k` of x [B, N], sooner where N is large.

  The k greatest lie in the k blocks with the greatest maxima: were one in none of
  them, each would hold something greater, or as great and further to the front.

  Returns:
    The k greatest of each row, the greatest first, of equals the first: [B, k] of
    x's dtype, and their places in the row, [B, k] int32.
  """
  x = jnp.pad(x, ((0, 0), (0, -x.shape[-1] % block)), constant_values=-jnp.inf)
  blocks = x.reshape(len(x), -1, block)  # [B, N / block, block]
  if blocks.shape[1] <= k:
    return jax.lax.top_k(x, k)
  _, where = jax.lax.top_k(blocks.max(-1), k)  # [B, k]
  where = jnp.sort(where, axis=-1)  # of equals, the first
  found, index = jax.lax.top_k(_pick(blocks, where).reshape(len(x), -1), k)
  where = jnp.take_along_axis(where, index // block, axis=-1)
  return found, where * block + index % block


def _pick(x, index):
  """Of x [B, N, ...] what `index` [B, M] says: [B, M, ...]."""
  index = index.reshape(*index.shape, *[1] * (x.ndim - 2))
  return jnp.take_along_axis(x, index, axis=1)


def _obey(rules, scores, tokens, position, max_length, eos):
  """Scores [B, V] of the next token, -inf where a rule forbids it.

  `tokens` [B, 1 + max_length] are those up to `position` [].
  """
  ids = jnp.arange(scores.shape[-1], dtype=jnp.int32)
  if rules.no_repeat_ngram:
    banned = _repeats(tokens, position + 1, rules.no_repeat_ngram, len(ids))
    scores = jnp.where(banned, -jnp.inf, scores)
  if rules.min_length:
    early = (position < rules.min_length) & (ids == eos)
    scores = jnp.where(early[None], -jnp.inf, scores)
  for forced, where in ((rules.forced_bos, 0), (rules.forced_eos, max_length - 1)):
    if forced is not None:
      only = jnp.where(ids == forced, 0.0, -jnp.inf).astype(scores.dtype)[None]
      scores = jnp.where(position == where, only, scores)
  return scores


def _repeats(tokens, length, size, vocab):
  """The tokens [B, V] that would make an n-gram of `size` come a second time.

  `tokens` [B, T] are there up to `length` [].
  """
  batch, width = tokens.shape
  start = jnp.arange(width - size + 1, dtype=jnp.int32)  # of earlier n-grams
  same = jnp.broadcast_to(start + size <= length, (batch, len(start)))
  for j in range(size - 1):
    last = jax.lax.dynamic_slice_in_dim(tokens, length - size + 1 + j, 1, axis=1)
    same &= tokens[:, j : j + len(start)] == last
  same &= length + 1 >= size
  # A token out of range is dropped.
  banned = jnp.where(same, tokens[:, size - 1 :], vocab)
  rows = jnp.arange(batch, dtype=jnp.int32)[:, None]
  return jnp.zeros((batch, vocab), bool).at[rows, banned].set(True, mode='drop')


def _blank(config, shape):
  """Padding behind `decoder_start`."""
  return jnp.full(shape, config.pad, jnp.int32).at[..., 0].set(config.decoder_start)


def _call(model, params, method, *args):
  return model.apply({'params': params}, *args, method=method)
