"""T5 as published, and as Hugging Face's `T5ForConditionalGeneration` computes it.

An encoder-decoder with an RMS norm before each residual branch, no biases, unscaled
attention, and no positions but a learned bias of the scores by distance, that all
layers of a stack share. Version 1.0 has ReLU and one embedding for source, target
and output, whose states are scaled down; version 1.1 has a gated GELU in its tanh
form and an output matrix of its own. Attention has the names of BART's tensors;
`convert` knows those of T5's.

References:
  Raffel et al., Exploring the Limits of Transfer Learning with a Unified
  Text-to-Text Transformer (2020), section 2.1.
  Shazeer, GLU Variants Improve Transformer (2020), for version 1.1.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from masklearn.models import layers
from masklearn.models.sizes import T5Config
from masklearn.types import Segments


class T5(nn.Module):
  """Reads a source, and gives logits over the next token of a target.

  Dropout, where `train` is True, draws from `rngs={'dropout': key}`.
  """

  config: T5Config

  def setup(self):
    """Declares the parameters, those of the embeddings by Hugging Face's names."""
    c = self.config
    normal = nn.initializers.normal(c.init_factor)
    self.shared = layers.vocabulary(c.vocab_size, c.width, c.dtype, normal)
    self.encoder = Encoder(c)
    self.decoder = Decoder(c)
    if not c.tied:
      self.lm_head = layers.vocabulary(c.vocab_size, c.width, c.dtype, normal)

  def __call__(
    self,
    source,
    source_valid,
    decoder_input,
    source_mask=None,
    segments: Segments | None = None,
    train=False,
  ):
    """Logits [B, T, V] float32, each of the token after those of `decoder_input`.

    Args:
      source: [B, S] int32.
      source_valid: [B, S] bool; False is padding.
      decoder_input: [B, T] int32; the target, moved right behind `decoder_start`.
      source_mask: [B, S] float32 in [0, 1], or None: the share of each token's
        embedding that is replaced by that of the first sentinel.
      segments: which example of its row each token belongs to; None if rows hold one.
      train: whether to drop.
    """
    return self.logits(
      self.states(source, source_valid, decoder_input, source_mask, segments, train)
    )

  def states(
    self,
    source,
    source_valid,
    decoder_input,
    source_mask=None,
    segments=None,
    train=False,
  ):
    """The states that `logits` projects, [B, T, D]; arguments as above."""
    encoded = self.encode(source, source_valid, source_mask, segments, train)
    return self._decode(decoder_input, encoded, source_valid, segments, train)

  def encode(self, source, source_valid, source_mask=None, segments=None, train=False):
    """The encoder's states [B, S, D]; arguments as above."""
    x = self.shared(source)  # [B, S, D]
    if source_mask is not None:
      hidden = self.shared(jnp.full((1, 1), self.config.mask))  # [1, 1, D]
      share = source_mask[..., None].astype(x.dtype)  # [B, S, 1]
      x = (1 - share) * x + share * hidden
    return self.encoder(x, source_valid, segments and segments.source, train)

  def decode(self, decoder_input, encoded, source_valid):
    """Logits [B, T, V] float32 from the encoder's states `encoded` [B, S, D]."""
    return self.logits(self._decode(decoder_input, encoded, source_valid))

  def _decode(self, decoder_input, encoded, source_valid, segments=None, train=False):
    length = decoder_input.shape[1]
    positions = jnp.arange(length, dtype=jnp.int32)
    bias, memory_bias = layers.causal_bias(length), layers.padding_bias(source_valid)
    if segments is not None:
      bias = jnp.minimum(bias, layers.segment_bias(segments.target, segments.target))
      memory_bias = layers.segment_bias(segments.target, segments.source)
    x, _ = self.decoder(
      self.shared(decoder_input),
      positions,
      positions,
      bias,
      self.decoder.memory(encoded),
      memory_bias,
      train=train,
    )
    return self._scaled(x)

  def init_cache(
    self, encoded, source_valid, max_length: int, outputs: int = 1
  ) -> layers.Cache:
    """An empty cache for `max_length` steps over `encoded` [B, S, D].

    `outputs` is N, how many of a row are to grow side by side.
    """
    c = self.config
    shape = encoded.shape[0], c.decoder_heads, c.head_width, max_length * outputs
    empty = layers.KeysValues(*[jnp.zeros(shape, c.dtype)] * 2)
    return layers.Cache(
      (empty,) * c.decoder_layers,
      self.decoder.memory(encoded),
      layers.padding_bias(source_valid),
    )

  def decode_step(self, tokens, position, seen, cache: layers.Cache):
    """Logits [B, N, V] float32 of what comes after a token, and the next cache.

    Steps go through the positions in order, from 0; one beyond the cache's
    `max_length` would overwrite the last.

    Args:
      tokens: [B, N], one of each output.
      position: [] of all of them.
      seen: [B, N, max_length * N] bool, or with ones for B and N: what of the cache is
        each output's past, the token itself included.
      cache: what the steps before have left.
    """
    outputs = tokens.shape[1]
    x, past = self.decoder(
      self.shared(tokens),
      jnp.full(outputs, position, jnp.int32),
      jnp.arange(seen.shape[-1], dtype=jnp.int32) // outputs,
      layers.visible_bias(seen),
      cache.memory,
      cache.memory_bias,
      past=cache.past,
    )
    return self.logits(self._scaled(x)), cache._replace(past=past)

  def _scaled(self, x):
    return x * self.config.width**-0.5 if self.config.scale_output else x

  def output_layer(self):
    """The table that `logits` applies, float32; there is no bias."""
    return (self.shared if self.config.tied else self.lm_head).embedding, None

  def logits(self, x):
    """Logits [..., V] float32 of states [..., D]."""
    return layers.project(x, *self.output_layer(), self.config.vocab_size)


class Encoder(nn.Module):
  """Token embeddings [B, S, D] to states [B, S, D]."""

  config: T5Config

  @nn.compact
  def __call__(self, x, valid, segment=None, train=False):
    """`valid` [B, S] is False where there is padding; `segment` [B, S] as above."""
    c = self.config
    drop = layers.Dropout(c.dropout, deterministic=not train)
    # Segments need no positions of their own: distances in them are those of the row.
    positions = jnp.arange(x.shape[1], dtype=jnp.int32)  # [S]
    distance = DistanceBias(c, both_ways=True, name='relative_attention_bias')
    visible = layers.padding_bias(valid)  # [B, 1, 1, S]
    if segment is not None:
      visible = layers.segment_bias(segment, segment)  # [B, 1, S, S]
    bias = distance(positions, positions)  # [1, H, S, S]
    bias = bias + visible.astype(bias.dtype)  # [B, H, S, S]
    x = drop(x)
    kind = layers.block(EncoderLayer, c.remat, train_at=3)
    for i in range(c.encoder_layers):
      x = kind(c, name=f'layers_{i}')(x, bias, train)
    return drop(layers.RMSNorm(c.dtype, c.epsilon, name='final_layer_norm')(x))


class Decoder(nn.Module):
  """Token embeddings [B, T, D], and what the encoder made, to states [B, T, D]."""

  config: T5Config

  def setup(self):
    """Declares the parameters."""
    c = self.config
    self.relative_attention_bias = DistanceBias(c, both_ways=False)
    kind = layers.block(DecoderLayer, c.remat, train_at=7)
    self.layers = [kind(c) for _ in range(c.decoder_layers)]
    self.final_layer_norm = layers.RMSNorm(c.dtype, c.epsilon)
    self.drop = layers.Dropout(c.dropout)

  def memory(self, encoded) -> tuple[layers.KeysValues, ...]:
    """Keys and values of `encoded` [B, S, D] for the attention of each layer."""
    return tuple(layer.encoder_attn.keys_values(encoded) for layer in self.layers)

  def __call__(
    self, x, positions, attended, bias, memory, memory_bias, past=None, train=False
  ):
    """The states and each layer's keys and values.

    Args:
      x: [B, T, D] token embeddings; with a cache, T is N.
      positions: [T] int32, where they are; with a cache, all the same.
      attended: the same of what self-attention sees: [T], with a cache
        [max_length * N].
      bias: of self-attention; broadcasts to [B, H, T, T], with a cache to
        [B, H, N, max_length * N].
      memory: of each layer, from `memory`.
      memory_bias: [B, 1, 1, S] or [B, 1, T, S].
      past: the cached keys and values of each layer, or None.
      train: whether to drop.
    """
    off = not train
    near = self.relative_attention_bias(positions, attended)
    bias = near + bias.astype(near.dtype)
    x = self.drop(x, deterministic=off)
    own_of_all = []
    for i, layer in enumerate(self.layers):
      cached = None if past is None else past[i]
      x, own = layer(x, bias, memory[i], memory_bias, cached, positions[0], train)
      own_of_all.append(own)
    return self.drop(self.final_layer_norm(x), deterministic=off), tuple(own_of_all)


class DistanceBias(nn.Module):
  """The bias of attention scores by distance and direction."""

  config: T5Config
  both_ways: bool  # whether positions after one's own can be seen

  @nn.compact
  def __call__(self, positions, attended):
    """Returns [1, H, T, S] for `positions` [T] that attend to `attended` [S]."""
    c = self.config
    normal = nn.initializers.normal(c.init_factor * c.width**-0.5)
    # Scores are summed in this dtype.
    high = layers.wide(c.dtype)
    heads = c.encoder_heads if self.both_ways else c.decoder_heads
    table = nn.Embed(c.buckets, heads, dtype=high, embedding_init=normal, name='of')
    ahead = attended[None] - positions[:, None]  # [T, S]
    count = c.buckets // 2 if self.both_ways else c.buckets
    bucket = jnp.asarray(buckets(count, c.max_distance))
    # The last entry of the table stands for all that is farther.
    near = bucket[jnp.minimum(jnp.abs(ahead), len(bucket) - 1)]
    if self.both_ways:
      near = near + jnp.where(ahead > 0, count, 0)
    else:
      near = jnp.where(ahead > 0, 0, near)
    return table(near).transpose(2, 0, 1)[None]


def buckets(count: int, max_distance: int) -> np.ndarray:
  """The bucket of each distance from 0 to `max_distance`: [max_distance + 1] int32.

  The first half has a bucket for each distance, the second grows by a constant factor
  up to `max_distance`. In float32 as in Hugging Face's, so that a distance on a
  border falls to the same side.

  >>> buckets(8, 16).tolist()
  [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7]
  """
  distance = np.arange(max_distance + 1, dtype=np.int32)
  exact = count // 2
  ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
  steps = ratio / np.float32(math.log(max_distance / exact)) * np.float32(count - exact)
  far = np.minimum(exact + steps.astype(np.int32), count - 1)
  return np.where(distance < exact, distance, far)


class EncoderLayer(nn.Module):
  """Self-attention and a feed-forward layer, each normalised and then added."""

  config: T5Config

  @nn.compact
  def __call__(self, x, bias, train=False):
    """Returns [B, S, D] for `x` [B, S, D] and `bias` [B, H, S, S]."""
    c = self.config
    drop = layers.Dropout(c.dropout, deterministic=not train)
    y = layers.RMSNorm(c.dtype, c.epsilon, name='self_attn_layer_norm')(x)
    attention = _attention(c, c.encoder_heads, name='self_attn')
    x = x + drop(attention(y, attention.keys_values(y), bias, train))
    y = layers.RMSNorm(c.dtype, c.epsilon, name='feed_forward_layer_norm')(x)
    return x + drop(FeedForward(c, c.encoder_ffn, name='feed_forward')(y, train))


class DecoderLayer(nn.Module):
  """The same, with attention to the encoder's states in between."""

  config: T5Config

  def setup(self):
    """Declares the parameters."""
    c = self.config
    self.self_attn_layer_norm = layers.RMSNorm(c.dtype, c.epsilon)
    self.self_attn = _attention(c, c.decoder_heads)
    self.encoder_attn_layer_norm = layers.RMSNorm(c.dtype, c.epsilon)
    self.encoder_attn = _attention(c, c.decoder_heads)
    self.feed_forward_layer_norm = layers.RMSNorm(c.dtype, c.epsilon)
    self.feed_forward = FeedForward(c, c.decoder_ffn)
    self.drop = layers.Dropout(c.dropout)

  def __call__(self, x, bias, memory, memory_bias, past, position, train=False):
    """Returns [B, T, D], and the keys and values that self-attention read.

    Arguments are the decoder's; `memory` and `past` are those of this layer, and
    `position` [] is that of the first token.
    """
    off = not train
    y = self.self_attn_layer_norm(x)
    own = self.self_attn.keys_values(y)
    if past is not None:
      own = layers.extend(past, own, position)
    x = x + self.drop(self.self_attn(y, own, bias, train), deterministic=off)
    y = self.encoder_attn_layer_norm(x)
    y = self.encoder_attn(y, memory, memory_bias, train)
    x = x + self.drop(y, deterministic=off)
    y = self.feed_forward(self.feed_forward_layer_norm(x), train)
    return x + self.drop(y, deterministic=off), own


class FeedForward(nn.Module):
  """ReLU between two matrices, or a GELU times a third: [B, S, D] to the same."""

  config: T5Config
  ffn: int  # width between the matrices

  @nn.compact
  def __call__(self, x, train=False):
    """Returns [B, S, D]."""
    c = self.config

    def times(x, features, name):
      std = c.init_factor * x.shape[-1] ** -0.5
      return layers.Dense(features, std, c.dtype, use_bias=False, name=name)(x)

    if c.gated:
      y = layers.gelu_tanh(times(x, self.ffn, 'wi_0')) * times(x, self.ffn, 'wi_1')
    else:
      y = jax.nn.relu(times(x, self.ffn, 'wi'))  # [B, S, ffn]
    y = layers.Dropout(c.dropout, deterministic=not train)(y)
    return times(y, c.width, 'wo')


def _attention(c, heads, name=None):
  std = layers.Deviations(
    query=c.init_factor * (c.width * c.head_width) ** -0.5,
    key=c.init_factor * c.width**-0.5,
    value=c.init_factor * c.width**-0.5,
    out=c.init_factor * (heads * c.head_width) ** -0.5,
  )
  return layers.Attention(
    c.width, heads, c.head_width, c.dropout, std, c.dtype,
    use_bias=False, scaled=False, name=name,
  )  # fmt: skip
