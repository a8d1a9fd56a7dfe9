"""Layers that encoder-decoder models are made of, with explicit dtypes.

Parameters are float32. Matmuls run in the layer's `dtype`; norms, attention scores
and whatever else is summed over many terms run in `wide(dtype)`, as half precision
would lose them.

References:
  Vaswani et al., Attention Is All You Need (2017), section 3.2.
  Zhang and Sennrich, Root Mean Square Layer Normalization (2019), equation 4.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


def wide(dtype) -> jnp.dtype:
  """The dtype to sum in: float32, or `dtype` itself where it is wider."""
  return jnp.dtype(dtype if jnp.finfo(dtype).bits > 32 else jnp.float32)


def padding_bias(valid: jax.Array) -> jax.Array:
  """The bias of scores by which nothing attends where `valid` [B, S] is False.

  The lowest finite float32 and not -inf: a row without any valid position gets
  uniform attention, where -inf would give NaN.

  Returns:
    [B, 1, 1, S] float32.
  """
  return visible_bias(valid[:, None])


def causal_bias(length: int) -> jax.Array:
  """The same for a decoder, which sees no position after its own.

  Returns:
    [1, 1, T, T] float32, for T = `length`.
  """
  return visible_bias(jnp.tril(jnp.ones((1, length, length), bool)))


def visible_bias(visible: jax.Array) -> jax.Array:
  """The same where each of T positions sees positions of its own.

  Args:
    visible: [B, T, S] bool.

  Returns:
    [B, 1, T, S] float32.
  """
  return jnp.where(visible, 0.0, jnp.finfo(jnp.float32).min)[:, None]


def segment_bias(segment: jax.Array, attended: jax.Array) -> jax.Array:
  """The same where each of T tokens sees those S of its own segment.

  Args:
    segment: [B, T] int32.
    attended: [B, S] int32.

  Returns:
    [B, 1, T, S] float32.
  """
  return visible_bias(segment[:, :, None] == attended[:, None])


def segment_positions(segment: jax.Array) -> jax.Array:
  """The position of each token in its segment, [B, S] int32 for `segment` [B, S]."""
  place = jnp.arange(segment.shape[1], dtype=jnp.int32)[None]
  before = jnp.pad(segment, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
  return place - jax.lax.cummax(jnp.where(segment != before, place, 0), axis=1)


def gelu(x: jax.Array) -> jax.Array:
  """GELU in its exact form, BART's: x times the normal distribution function at x.

  Through erf: `jax.nn.gelu` goes through erfc, which takes longer.
  """
  return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


def gelu_tanh(x: jax.Array) -> jax.Array:
  """GELU in its approximate form through tanh, that of GPT-2 and of T5 v1.1."""
  return 0.5 * x * (1 + jnp.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x * x * x)))


class Dropout(nn.Module):
  """Sets a share `rate` of the elements to zero, and scales up the others.

  As Flax's, but for the bits, which are made by `random_bits` where they are used.
  """

  rate: float

  @nn.compact
  def __call__(self, x, train: bool):
    """Returns what is left of `x` in training, otherwise `x`."""
    if not train or self.rate == 0:
      return x
    bits = random_bits(self.make_rng('dropout'), x.shape)
    dropped = bits < jnp.uint32(round(self.rate * 2**32))
    return jnp.where(dropped, 0, x / jnp.asarray(1 - self.rate, x.dtype))


def random_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Bits for dropout, a hash of the key and of each element's number: uint32 `shape`.

  Each element is computed by itself, so the compiler makes the bits inside of the
  operation that reads them, once more for the gradient, and never writes them; they
  are also the same however an array is split between devices. Good enough to drop by,
  not for draws that are a result: `jax.random` is for these.

  References:
    Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011), counters in
    place of a state. Appleby, MurmurHash3, for the mixing of a word.
  """
  number = jax.lax.iota(jnp.uint32, math.prod(shape))
  words = jax.random.key_data(key).reshape(-1)
  bits = number * jnp.uint32(0x9E3779B9)
  for word in words:
    bits = _mix(bits ^ word)
  return bits.reshape(shape)


def _mix(x):
  """A bijection of 32 bits in which each bit of `x` moves half of all on average."""
  x = (x ^ (x >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
  x = (x ^ (x >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
  return x ^ (x >> jnp.uint32(16))


class Dense(nn.Module):
  """`x` times a matrix, plus a bias if it has one: [..., D] -> [..., features]."""

  features: int
  init_std: float
  dtype: str
  use_bias: bool = True

  @nn.compact
  def __call__(self, x):
    """Returns [..., features]."""
    normal = nn.initializers.normal(self.init_std)
    kernel = self.param('kernel', normal, (x.shape[-1], self.features), jnp.float32)
    # One matrix of all rows: on CPU, XLA's gradient of it is a tenth faster than
    # that of a product over two leading axes.
    rows = x.reshape(-1, x.shape[-1])  # [B * S, D]
    out = rows @ kernel.astype(self.dtype)
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
      out = out + bias.astype(self.dtype)[None]
    return out.reshape(*x.shape[:-1], self.features)


def vocabulary(size: int, width: int, dtype: str, init: nn.initializers.Initializer):
  """An embedding of V = `size` tokens, with rows of zeros up to a multiple of 128.

  So accelerators have whole tiles, and a sharded table equal parts. No token reads the
  rows behind, and `project` leaves them out.
  """

  def padded(key, shape, dtype=jnp.float32):
    drawn = init(key, (size, *shape[1:]), dtype)
    return jnp.pad(drawn, ((0, shape[0] - size), (0, 0)))

  return nn.Embed(padded_size(size), width, dtype=dtype, embedding_init=padded)


def padded_size(size: int) -> int:
  """Rows of the table of a vocabulary of `size`."""
  return -(-size // 128) * 128


def project(
  x: jax.Array, table: jax.Array, bias: jax.Array | None, size: int
) -> jax.Array:
  """Logits of states [..., D] under a table and a bias [V], if there is one.

  The matmul runs in the dtype of `x`. The table has V = `size` rows, or more.

  Returns:
    [..., V] float32, or wider if `x` is.
  """
  rows, high = x.reshape(-1, x.shape[-1]), wide(x.dtype)
  table = table.astype(x.dtype)
  logits = jnp.einsum('nd,vd->nv', rows, table, preferred_element_type=high)[:, :size]
  if bias is not None:
    logits = logits + bias.astype(logits.dtype)[None]
  return logits.reshape(*x.shape[:-1], -1)


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


class RMSNorm(nn.Module):
  """A mean square of one over the last axis of [B, S, D], then a scale."""

  dtype: str
  epsilon: float

  @nn.compact
  def __call__(self, x):
    """Returns [B, S, D]."""
    scale = self.param('scale', nn.initializers.ones, x.shape[-1:], jnp.float32)
    high = wide(self.dtype)
    x = x.astype(high)
    x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)
    return (x * scale.astype(high)[None, None]).astype(self.dtype)


class KeysValues(NamedTuple):
  """The keys and values that a layer attends to."""

  # Positions come last: with them before the last axis, the gradient of the values
  # reads a [T, S] matrix transposed, which takes XLA's CPU matmul twice as long.
  keys: jax.Array  # [B, H, head_width, S]
  values: jax.Array  # [B, H, head_width, S]


def block(layer: type[nn.Module], remat: bool, train_at: int) -> type[nn.Module]:
  """The kind of `layer`, or one that keeps nothing but its input for the gradient.

  Args:
    layer: a module whose `__call__` has an argument `train`.
    remat: whether to run it once more for the gradient.
    train_at: place of `train` among the arguments, `self` included.
  """
  return nn.remat(layer, static_argnums=(train_at,)) if remat else layer


def scan(stack: nn.Module, layer: nn.Module, call: Callable, x: jax.Array, count: int):
  """States [B, S, D] behind `count` layers of a stack, of which XLA compiles one.

  Parameters keep their names, `layers_0` and so on, and are stacked where they are
  used: checkpoints, meshes and optimizers know nothing of it. Dropout draws other
  numbers than in layers one by one.

  Args:
    stack: a module that has the parameters.
    layer: one of the layers, without a parent.
    call: `call(layer, x)` returns the states behind it.
    x: [B, S, D] what the first one reads.
    count: how many there are.
  """
  params = [stack.variables['params'][f'layers_{i}'] for i in range(count)]
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
  keys = None
  if stack.has_rng('dropout'):
    keys = jax.random.split(stack.make_rng('dropout'), count)

  def one(x, given):
    params, key = given
    rngs = None if key is None else {'dropout': key}
    return layer.apply({'params': params}, x, rngs=rngs, method=call), None

  return jax.lax.scan(one, x, (stacked, keys))[0]


def extend(past: KeysValues | None, new: KeysValues, position: jax.Array) -> KeysValues:
  """The cached keys and values with those of N outputs at `position` [] written in.

  Without a cache, where `past` is None, the new ones.
  """
  if past is None:
    return new
  place = position * new.keys.shape[-1]
  return jax.tree.map(
    lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, place, -1), past, new
  )


class Cache(NamedTuple):
  """The cache of a decoder between steps; the batch is the first axis throughout.

  N outputs of a row may grow side by side. What they attend to lies in one place, the
  N of a position next to each other, so that an output that goes on from another's
  past has only to be told which of it to see, and nothing is copied.
  """

  past: tuple[KeysValues, ...]  # of each layer, S = max_length * N
  memory: tuple[KeysValues, ...]  # of each layer, over the source
  memory_bias: jax.Array  # [B, 1, 1, S]


class Attention(nn.Module):
  """Multi-head attention of [B, T, D] to keys and values."""

  width: int  # D
  heads: int  # H
  head_width: int  # D / H in BART, anything in T5
  dropout: float  # rate, of the attention weights
  init_std: tuple[float, float, float, float]  # of query, key, value and output
  dtype: str
  use_bias: bool = True  # in all four projections
  scaled: bool = True  # whether scores are divided by sqrt(head_width)

  def setup(self):
    """Declares the four projections, by the names of BART's tensors."""
    inner, (query, key, value, out) = self.heads * self.head_width, self.init_std
    self.k_proj = Dense(inner, key, self.dtype, self.use_bias)
    self.v_proj = Dense(inner, value, self.dtype, self.use_bias)
    self.q_proj = Dense(inner, query, self.dtype, self.use_bias)
    self.out_proj = Dense(self.width, out, self.dtype, self.use_bias)
    self.drop = Dropout(self.dropout)

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
    queries = self.q_proj(x) * (self.head_width**-0.5 if self.scaled else 1)
    queries = self._split(queries).transpose(0, 2, 1, 3)  # [B, H, T, head_width]
    scores = jnp.einsum(
      'bhtd,bhds->bhts', queries, attended.keys, preferred_element_type=high
    )
    scores = scores + bias.astype(high)
    # A softmax whose division comes after the matmul, where it is over head_width and
    # not over S: less to compute, and a [T, S] matrix less to keep for the gradient.
    top = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    weights = jnp.exp(scores - top)  # [B, H, T, S]
    total = weights.sum(-1, keepdims=True)  # [B, H, T, 1]
    weights = self.drop(weights.astype(self.dtype), train)
    mixed = jnp.einsum(
      'bhts,bhds->bhtd', weights, attended.values, preferred_element_type=high
    )
    mixed = (mixed / total).astype(self.dtype).transpose(0, 2, 1, 3)
    return self.out_proj(mixed.reshape(*x.shape[:2], -1))

  def _split(self, x):
    return x.reshape(*x.shape[:2], self.heads, -1)  # [B, T, H, head_width]
