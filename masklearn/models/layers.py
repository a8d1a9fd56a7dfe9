"""Layers that encoder-decoder models are made of, with explicit dtypes.

Parameters are float32. Matmuls run in the layer's `dtype`; norms, attention scores
and whatever else is summed over many terms run in `wide(dtype)`, as half precision
would lose them.

References:
  Vaswani et al., Attention Is All You Need (2017), section 3.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


def wide(dtype) -> jnp.dtype:
  """Returns the dtype to sum in: float32, or `dtype` itself where it is wider."""
  return jnp.dtype(dtype if jnp.finfo(dtype).bits > 32 else jnp.float32)


def padding_bias(valid: jax.Array) -> jax.Array:
  """What to add to scores so that nothing attends where `valid` [B, S] is False.

  The lowest finite float32 and not -inf: a row without any valid position gets
  uniform attention, where -inf would give NaN.

  Returns:
    [B, 1, 1, S] float32.
  """
  return _bias(valid)[:, None, None, :]


def causal_bias(length: int) -> jax.Array:
  """The same for a decoder, which sees no position after its own.

  Returns:
    [1, 1, T, T] float32, for T = `length`.
  """
  return _bias(jnp.tril(jnp.ones((length, length), bool)))[None, None]


def _bias(visible):
  return jnp.where(visible, 0.0, jnp.finfo(jnp.float32).min)


def gelu(x: jax.Array) -> jax.Array:
  """GELU in its exact form: x times the normal distribution function at x.

  Through erf: `jax.nn.gelu` goes through erfc, which takes longer.
  """
  return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


class Dense(nn.Module):
  """`x` times a matrix, plus a bias: [..., D] -> [..., features]."""

  features: int
  init_std: float
  dtype: str

  @nn.compact
  def __call__(self, x):
    """Returns [..., features]."""
    normal = nn.initializers.normal(self.init_std)
    kernel = self.param('kernel', normal, (x.shape[-1], self.features), jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
    # One matrix of all rows: on CPU, XLA's gradient of it is a tenth faster than
    # that of a product over two leading axes.
    rows = x.reshape(-1, x.shape[-1])  # [B * S, D]
    out = rows @ kernel.astype(self.dtype) + bias.astype(self.dtype)[None]
    return out.reshape(*x.shape[:-1], self.features)


class LayerNorm(nn.Module):
  """Zero mean and unit variance over the last axis of [B, S, D], then an affine map."""

  dtype: str
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x):
    """Returns [B, S, D]."""
    scale = self.param('scale', nn.initializers.ones, x.shape[-1:], jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, x.shape[-1:], jnp.float32)
    high = wide(self.dtype)
    x = x.astype(high)
    x = x - x.mean(-1, keepdims=True)
    x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)
    x = x * scale.astype(high)[None, None] + bias.astype(high)[None, None]
    return x.astype(self.dtype)


class KeysValues(NamedTuple):
  """What a layer attends to."""

  # Positions come last: with them before the last axis, the gradient of the values
  # reads a [T, S] matrix transposed, which takes XLA's CPU matmul twice as long.
  keys: jax.Array  # [B, H, D / H, S]
  values: jax.Array  # [B, H, D / H, S]


class Attention(nn.Module):
  """Multi-head attention of [B, T, D] to keys and values, with biases everywhere."""

  width: int  # D
  heads: int  # H
  dropout: float  # rate, of the attention weights
  init_std: float
  dtype: str

  def setup(self):
    """Declares the four projections, by Hugging Face's names."""
    self.k_proj = Dense(self.width, self.init_std, self.dtype)
    self.v_proj = Dense(self.width, self.init_std, self.dtype)
    self.q_proj = Dense(self.width, self.init_std, self.dtype)
    self.out_proj = Dense(self.width, self.init_std, self.dtype)
    self.drop = nn.Dropout(self.dropout)

  def keys_values(self, x: jax.Array) -> KeysValues:
    """Keys and values of `x` [B, S, D]."""
    keys, values = self._split(self.k_proj(x)), self._split(self.v_proj(x))
    return KeysValues(keys.transpose(0, 2, 3, 1), values.transpose(0, 2, 3, 1))

  def __call__(self, x, attended: KeysValues, bias, train=False):
    """Returns [B, T, D].

    Args:
      x: [B, T, D] the queries' side.
      attended: keys and values of S positions.
      bias: float32, added to the scores; broadcasts to [B, H, T, S].
      train: whether to drop attention weights.
    """
    high = wide(self.dtype)
    queries = self._split(self.q_proj(x) * (self.width // self.heads) ** -0.5)
    queries = queries.transpose(0, 2, 1, 3)  # [B, H, T, D / H]
    scores = jnp.einsum(
      'bhtd,bhds->bhts', queries, attended.keys, preferred_element_type=high
    )
    scores = scores + bias.astype(high)
    # A softmax whose division comes after the matmul, where it is over D / H and
    # not over S: less to compute and, for the gradient, a [T, S] matrix less to keep.
    top = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    weights = jnp.exp(scores - top)  # [B, H, T, S]
    total = weights.sum(-1, keepdims=True)  # [B, H, T, 1]
    weights = self.drop(weights.astype(self.dtype), deterministic=not train)
    mixed = jnp.einsum(
      'bhts,bhds->bhtd', weights, attended.values, preferred_element_type=high
    )
    mixed = (mixed / total).astype(self.dtype).transpose(0, 2, 1, 3)  # [B, T, H, D / H]
    return self.out_proj(mixed.reshape(x.shape))

  def _split(self, x):
    return x.reshape(*x.shape[:2], self.heads, -1)  # [B, T, H, D / H]
