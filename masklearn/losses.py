"""What a model is trained on: functions of parameters, a key and a batch.

Each returns `(scalar, aux)`, as `steps.make_step` and the bilevel loop expect.
"""

import chex
import jax
import jax.numpy as jnp

from masklearn.types import Corrupted


def negative_log_likelihood(logits: jax.Array, target: jax.Array) -> jax.Array:
  """-log p of `target` [B, T] under float32 `logits` [B, T, V]: [B, T]."""
  chex.assert_equal_shape_prefix([logits, target], 2)
  chosen = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
  return jax.nn.logsumexp(logits, axis=-1) - chosen


def make_row_sums(model, train: bool = False):
  """Returns `sums(params, key, batch: Corrupted) -> (total [B], weight [B])`.

  The summed loss of each row's target and how many tokens it counts, by weight.
  `train` turns dropout on, with `key`.
  """

  def sums(params, key, batch: Corrupted) -> tuple[jax.Array, jax.Array]:
    logits = model.apply(
      {'params': params},
      batch.source,
      batch.source_valid,
      batch.decoder_input,
      source_mask=batch.source_mask,
      train=train,
      rngs={'dropout': key} if train else None,
    )  # [B, T, V]
    nll = negative_log_likelihood(logits, batch.target)
    weight = batch.weight.astype(nll.dtype)
    return (nll * weight).sum(-1), weight.sum(-1)

  return sums


def make_token_loss(model, train: bool = True):
  """Returns `loss(params, key, batch: Corrupted) -> (scalar, {})`.

  The mean over all target tokens of the batch, by weight: the usual loss of
  sequence-to-sequence training.
  """
  row_sums = make_row_sums(model, train)

  def loss(params, key, batch: Corrupted):
    total, weight = row_sums(params, key, batch)
    return total.sum() / jnp.maximum(weight.sum(), 1e-6), {}

  return loss
