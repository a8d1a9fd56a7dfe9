"""Losses of a model: functions of parameters, a key and a batch.

Each returns `(scalar, aux)`, as `steps.make_step` and the bilevel loop expect.
"""

import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from masklearn.models import layers
from masklearn.types import Corrupted


def negative_log_likelihood(logits: jax.Array, target: jax.Array) -> jax.Array:
  """-log p of `target` [B, T] under float32 `logits` [B, T, V]: [B, T]."""
  chex.assert_equal_shape_prefix([logits, target], 2)
  # Compared and not gathered: the gradient of a gather is a scatter into [B, T, V].
  ids = jnp.arange(logits.shape[-1], dtype=target.dtype)
  chosen = jnp.where(target[..., None] == ids[None, None], logits, 0).sum(-1)
  return jax.nn.logsumexp(logits, axis=-1) - chosen


def make_token_losses(model, train: bool = False):
  """Returns `losses(params, key, batch: Corrupted) -> (nll [B, T], weight [B, T])`.

  The loss of each target token, and how much it counts. `train` turns dropout on, with
  `key`.
  """

  def token_losses(params, key, batch: Corrupted) -> tuple[jax.Array, jax.Array]:
    logits = _apply(model, params, key, batch, train)  # [B, T, V]
    nll = negative_log_likelihood(logits, batch.target)
    return nll, batch.weight.astype(nll.dtype)

  return token_losses


def make_loss_sums(model, train: bool = False):
  """Returns `sums(params, key, batch: Corrupted) -> (total [B], weight [B])`.

  The summed loss of each row's target and how many tokens it counts, by weight.
  `train` turns dropout on, with `key`.
  """
  token_losses = make_token_losses(model, train)

  def sums(params, key, batch: Corrupted) -> tuple[jax.Array, jax.Array]:
    nll, weight = token_losses(params, key, batch)
    return (nll * weight).sum(-1), weight.sum(-1)

  return sums


def make_token_loss(
  model,
  train: bool = True,
  chunk: int | None = None,
  local: Callable = lambda function, rows: function,
):
  """Returns `loss(params, key, batch: Corrupted) -> (scalar, {'tokens': []})`.

  The mean over all target tokens of the batch, by weight: the usual loss of
  sequence-to-sequence training. `tokens` is the sum of their weights.

  Args:
    model: a Linen module.
    train: turns dropout on, with `key`.
    chunk: tokens whose logits are in memory at a time, see `cross_entropy`; None
      computes the logits of all, padding included, and can be differentiated twice
      and forwards.
    local: makes a function one of each device's own rows, see `mesh.Layout.local`;
      chunks are of one device's tokens.
  """
  loss_sums = make_loss_sums(model, train)

  def in_chunks(params, key, batch):
    states = _apply(model, params, key, batch, train, method='states')  # [B, T, D]
    table, bias = model.apply({'params': params}, method='output_layer')
    size = model.config.vocab_size

    def own(states, target, weight, table, bias):
      x, flat = states.reshape(-1, states.shape[-1]), (target.reshape(-1),)
      flat = *flat, weight.reshape(-1)
      return cross_entropy(chunk, size, x, table, bias, *flat)[None]

    total = local(own, (0, 1, 2))(states, batch.target, batch.weight, table, bias)
    return total, batch.weight.astype(total.dtype)

  def loss(params, key, batch: Corrupted):
    total, weight = (in_chunks if chunk else loss_sums)(params, key, batch)
    tokens = weight.sum()
    return total.sum() / jnp.maximum(tokens, 1e-6), {'tokens': tokens}

  return loss


def _apply(model, params, key, batch: Corrupted, train, **more):
  inputs = batch.source, batch.source_valid, batch.decoder_input
  more |= {'source_mask': batch.source_mask, 'segments': batch.segments, 'train': train}
  rngs = {'dropout': key} if train else None
  return model.apply({'params': params}, *inputs, rngs=rngs, **more)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def cross_entropy(chunk, size, x, table, bias, target, weight):
  """The summed loss [] of target tokens, without the logits of all at once.

  Tokens of no weight are left out of the matmuls. The gradient is made along with the
  loss, chunk by chunk, so that no logits are computed twice; it costs one array of
  the size of `table`. Reverse mode only, once.

  Args:
    chunk: tokens at a time.
    size: V.
    x: [N, D] states.
    table: [V, D] float32, or with more rows than tokens.
    bias: [V], a constant, or None.
    target: [N] int32.
    weight: [N] float32, constants.

  References:
    Hsu et al., Liger Kernel (2024), section 3.2, fused linear cross-entropy.
  """
  total, _ = _chunks(chunk, size, x, table, bias, target, weight, with_gradient=False)
  return total


def _forward(chunk, size, x, table, bias, target, weight):
  total, gradients = _chunks(
    chunk, size, x, table, bias, target, weight, with_gradient=True
  )
  return total, (gradients, bias)


def _backward(chunk, size, kept, cotangent):
  gradients, bias = kept
  dx, dtable = (cotangent.astype(g.dtype) * g for g in gradients)
  # What is constant has a gradient of zero.
  dbias = None if bias is None else jnp.zeros_like(bias)
  return dx, dtable, dbias, None, jnp.zeros(dx.shape[0], jnp.float32)


cross_entropy.defvjp(_forward, _backward)


def _chunks(chunk, size, x, table, bias, target, weight, with_gradient):
  count, chunk = x.shape[0], min(chunk, x.shape[0])
  pad = -count % chunk
  # What counts comes first, and only chunks with something of it are run.
  order = jnp.argsort(weight == 0, stable=True)
  order = jnp.pad(order, (0, pad), constant_values=count)  # `count` is out of range
  used = (weight != 0).sum(dtype=jnp.int32)

  def step(i, carry):
    total, dx, dtable = carry
    rows = jax.lax.dynamic_slice_in_dim(order, i * chunk, chunk)
    states, wanted, w = (
      jnp.take(array, rows, axis=0, mode='fill', fill_value=0)
      for array in (x, target, weight)
    )
    logits = layers.project(states, table, bias, size)  # [chunk, V]
    w = w.astype(logits.dtype)
    nll = negative_log_likelihood(logits[None], wanted[None])[0]
    total = total + (nll * w).sum()
    if with_gradient:
      slope = jax.nn.softmax(logits, axis=-1) * w[:, None]
      slope = slope.at[jnp.arange(chunk), wanted].add(-w).astype(x.dtype)
      slope = jnp.pad(slope, ((0, 0), (0, table.shape[0] - size)))
      dx = dx.at[rows].set(slope @ table.astype(x.dtype), mode='drop')
      more = jnp.einsum('nv,nd->vd', slope, states, preferred_element_type=dtable.dtype)
      dtable = dtable + more
    return total, dx, dtable

  zeros = (jnp.zeros_like(x), jnp.zeros_like(table)) if with_gradient else (0.0, 0.0)
  start = jnp.zeros((), layers.wide(x.dtype)), *zeros
  steps = (used + chunk - 1) // chunk
  total, *gradients = jax.lax.fori_loop(0, steps, step, start)
  return total, gradients
