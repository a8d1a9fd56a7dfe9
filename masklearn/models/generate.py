"""Decoding: the model's own words, one at a time.

A model has the methods `encode`, `init_cache` and `decode_step`, and a `config` with
the token ids `decoder_start`, `eos` and `pad`; see `bart.Bart`.
"""

import jax
import jax.numpy as jnp


def greedy(
  model,
  params,
  source: jax.Array,
  source_valid: jax.Array,
  max_length: int,
  forced_bos: int | None = None,
  forced_eos: int | None = None,
) -> jax.Array:
  """The most likely next token, again and again; of equals, the lowest id.

  To be jitted with `model` and `max_length` static. It stops as soon as every row
  has ended, and takes one step of the decoder for each token.

  Args:
    model: a Linen module as above.
    params: its parameters.
    source: [B, S] int32.
    source_valid: [B, S] bool; False is padding.
    max_length: tokens to generate at most; `decoder_start` is not one of them.
    forced_bos: the first token of every row, or None for the model's choice.
    forced_eos: the last of `max_length` tokens where a row has not ended before, or
      None for the model's choice.

  Returns:
    [B, max_length] int32: each row's tokens, its `eos` if it came to one, padding.

  Raises:
    InputError: if source or target are longer than the model's positions.
  """
  config, batch = model.config, source.shape[0]

  def call(method, *args):
    return model.apply({'params': params}, *args, method=method)

  def going_on(state):
    position, _, ended, _, _ = state
    return (position < max_length) & ~ended.all()

  def step(state):
    position, token, ended, tokens, cache = state
    logits, cache = call('decode_step', token, position, cache)  # [B, V]
    token = jnp.argmax(logits, axis=-1).astype(jnp.int32)  # [B]
    if forced_bos is not None:
      token = jnp.where(position == 0, forced_bos, token)
    if forced_eos is not None:
      token = jnp.where(position == max_length - 1, forced_eos, token)
    token = jnp.where(ended, config.pad, token)
    tokens = tokens.at[:, position].set(token)
    return position + 1, token, ended | (token == config.eos), tokens, cache

  encoded = call('encode', source, source_valid)  # [B, S, D]
  state = (
    jnp.int32(0),
    jnp.full(batch, config.decoder_start, jnp.int32),
    jnp.zeros(batch, bool),
    jnp.full((batch, max_length), config.pad, jnp.int32),
    call('init_cache', encoded, source_valid, max_length),
  )
  return jax.lax.while_loop(going_on, step, state)[3]
