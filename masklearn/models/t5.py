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

from masklearn.models import layers, seq2seq
from masklearn.models.sizes import T5Config


class T5(seq2seq.EncoderDecoder):
  """Reads a source, and gives logits over the next token of a target."""

  config: T5Config

  def setup(self):
    """Declares the parameters, those of the embeddings by Hugging Face's names."""
    self.make_tables(self.config.init_factor)
    self.encoder = Encoder(self.config)
    self.decoder = Decoder(self.config)


class Encoder(nn.Module):
  """Token embeddings [B, S, D] to states [B, S, D]."""

  config: T5Config

  @nn.compact
  def __call__(self, x, valid, segment=None, train=False):
    """`valid` [B, S] is False where there is padding; `segment` [B, S] as above."""
    c = self.config
    drop = layers.Dropout(c.dropout)
    # Segments need no positions of their own: distances in them are those of the row.
    positions = jnp.arange(x.shape[1], dtype=jnp.int32)  # [S]
    distance = DistanceBias(c, both_ways=True, name='relative_attention_bias')
    visible = layers.padding_bias(valid)  # [B, 1, 1, S]
    if segment is not None:
      visible = layers.segment_bias(segment, segment)  # [B, 1, S, S]
    bias = distance(positions, positions)  # [1, H, S, S]
    bias = bias + visible.astype(bias.dtype)  # [B, H, S, S]
    x = drop(x, train)
    kind = layers.block(EncoderLayer, c.remat, train_at=3)

    def call(layer, x):
      return layer(x, bias, train)

    if c.scan and not self.is_initializing():
      x = layers.scan(self, kind(c, parent=None), call, x, c.encoder_layers)
    else:
      for i in range(c.encoder_layers):
        x = call(kind(c, name=f'layers_{i}'), x)
    x = layers.RMSNorm(c.dtype, c.epsilon, name='final_layer_norm')(x)
    return drop(x, train)


class Decoder(seq2seq.DecoderStack):
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

  def __call__(self, x, positions, bias, memory, memory_bias, past=None, train=False):
    """The states and each layer's keys and values; arguments as for `apply_layers`."""
    c = self.config
    if past is None:
      # As in the encoder: distances in a segment are those of the row.
      here = attended = jnp.arange(x.shape[1], dtype=jnp.int32)  # [T]
    else:
      here = positions[0]  # [N]
      attended = jnp.arange(bias.shape[-1], dtype=jnp.int32) // x.shape[1]
    near = self.relative_attention_bias(here, attended)
    bias, x = near + bias.astype(near.dtype), self.drop(x, train)
    x, own = self.apply_layers(x, positions, bias, memory, memory_bias, past, train)
    x = self.drop(self.final_layer_norm(x), train)
    return x * c.width**-0.5 if c.scale_output else x, own


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
    drop = layers.Dropout(c.dropout)
    y = layers.RMSNorm(c.dtype, c.epsilon, name='self_attn_layer_norm')(x)
    attention = _attention(c, c.encoder_heads, name='self_attn')
    x = x + drop(attention(y, attention.keys_values(y), bias, train), train)
    y = layers.RMSNorm(c.dtype, c.epsilon, name='feed_forward_layer_norm')(x)
    y = FeedForward(c, c.encoder_ffn, name='feed_forward')(y, train)
    return x + drop(y, train)


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
    y = self.self_attn_layer_norm(x)
    own = layers.extend(past, self.self_attn.keys_values(y), position)
    x = x + self.drop(self.self_attn(y, own, bias, train), train)
    y = self.encoder_attn_layer_norm(x)
    y = self.encoder_attn(y, memory, memory_bias, train)
    x = x + self.drop(y, train)
    y = self.feed_forward(self.feed_forward_layer_norm(x), train)
    return x + self.drop(y, train), own


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
    y = layers.Dropout(c.dropout)(y, train)
    return times(y, c.width, 'wo')


def _attention(c, heads, name=None):
  near = c.init_factor * c.width**-0.5
  query = c.init_factor * (c.width * c.head_width) ** -0.5
  std = query, near, near, c.init_factor * (heads * c.head_width) ** -0.5
  return layers.Attention(
    c.width, heads, c.head_width, c.dropout, std, c.dtype,
    use_bias=False, scaled=False, name=name,
  )  # fmt: skip
