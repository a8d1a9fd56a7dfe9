"""BART as published, and as Hugging Face's `BartForConditionalGeneration` computes it.

An encoder-decoder with the norm after each residual, learned positions, exact GELU
and one embedding for source, target and output. The names of the parameters are
those of Hugging Face's tensors; `convert` goes from one to the other.

References:
  Lewis et al., BART: Denoising Sequence-to-Sequence Pre-training (2020), section 2.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models import layers, seq2seq
from masklearn.models.sizes import BartConfig, BertConfig
from masklearn.types import InputError

# Rows of the position tables that no position uses: fairseq counted positions from
# the padding id, and BART's checkpoints kept its two empty rows.
OFFSET = 2


class Bart(seq2seq.EncoderDecoder):
  """Reads a source, and gives logits over the next token of a target."""

  config: BartConfig

  def setup(self):
    """Declares the parameters, by Hugging Face's names."""
    c = self.config
    self.make_tables(c.init_std)
    self.encoder = Encoder(c)
    self.decoder = Decoder(c)
    self.final_logits_bias = self.param(
      'final_logits_bias', nn.initializers.zeros, (c.vocab_size,), jnp.float32
    )

  def _check_length(self, side, length):
    most = self.config.max_positions
    if length > most:
      raise InputError(
        f'The {side} has {length} tokens, but the model has {most} positions.'
      )

  def _embed(self, tokens):
    x = self.shared(tokens)
    return x * self.config.width**0.5 if self.config.scale_embedding else x

  def output_layer(self):
    """The table and the bias [V] that `logits` applies, float32."""
    table, _ = super().output_layer()
    # Part of a checkpoint, but never trained: Hugging Face holds it in a buffer.
    return table, jax.lax.stop_gradient(self.final_logits_bias)


class Encoder(nn.Module):
  """Token embeddings [B, S, D] to states [B, S, D]."""

  config: BartConfig

  @nn.compact
  def __call__(self, x, valid, segment=None, train=False):
    """`valid` [B, S] is False where there is padding; `segment` [B, S] as above."""
    c = self.config
    rows = OFFSET + c.max_positions
    positions = jnp.arange(x.shape[1], dtype=jnp.int32)[None]  # [1, S]
    bias = layers.padding_bias(valid)  # [B, 1, 1, S]
    if segment is not None:
      positions = layers.segment_positions(segment)  # [B, S]
      bias = layers.segment_bias(segment, segment)  # [B, 1, S, S]
    x = x + table(c, rows, name='embed_positions')(OFFSET + positions)
    x = layers.LayerNorm(c.dtype, name='layernorm_embedding')(x)
    x = layers.Dropout(c.dropout)(x, train)
    kind = layers.block(EncoderLayer, c.remat, train_at=3)
    make = functools.partial(kind, c, c.encoder_heads, c.encoder_ffn)

    def call(layer, x):
      return layer(x, bias, train)

    if c.scan and not self.is_initializing():
      return layers.scan(self, make(parent=None), call, x, c.encoder_layers)
    for i in range(c.encoder_layers):
      x = call(make(name=f'layers_{i}'), x)
    return x


class Decoder(seq2seq.DecoderStack):
  """Token embeddings [B, T, D], and what the encoder made, to states [B, T, D]."""

  config: BartConfig

  def setup(self):
    """Declares the parameters, by Hugging Face's names."""
    c = self.config
    self.embed_positions = table(c, OFFSET + c.max_positions)
    self.layernorm_embedding = layers.LayerNorm(c.dtype)
    kind = layers.block(DecoderLayer, c.remat, train_at=7)
    self.layers = [kind(c) for _ in range(c.decoder_layers)]
    self.drop = layers.Dropout(c.dropout)

  def __call__(self, x, positions, bias, memory, memory_bias, past=None, train=False):
    """The states and each layer's keys and values; arguments as for `apply_layers`."""
    x = self.layernorm_embedding(x + self.embed_positions(OFFSET + positions))
    x = self.drop(x, train)
    return self.apply_layers(x, positions, bias, memory, memory_bias, past, train)


class EncoderLayer(nn.Module):
  """Self-attention and a feed-forward layer, each added and then normalised."""

  config: BartConfig | BertConfig
  heads: int
  ffn: int
  epsilon: float = 1e-5  # of the norms

  @nn.compact
  def __call__(self, x, bias, train=False):
    """Returns [B, S, D] for `x` [B, S, D] and `bias`, [B, 1, 1, S] or [B, 1, S, S]."""
    c = self.config
    drop = layers.Dropout(c.dropout)
    norm = functools.partial(layers.LayerNorm, c.dtype, self.epsilon)
    attention = _attention(c, self.heads, name='self_attn')
    y = attention(x, attention.keys_values(x), bias, train)
    x = norm(name='self_attn_layer_norm')(x + drop(y, train))
    y = layers.Dense(self.ffn, c.init_std, c.dtype, name='fc1')(x)  # [B, S, ffn]
    y = layers.Dropout(c.activation_dropout)(layers.gelu(y), train)
    y = layers.Dense(c.width, c.init_std, c.dtype, name='fc2')(y)  # [B, S, D]
    return norm(name='final_layer_norm')(x + drop(y, train))


class DecoderLayer(nn.Module):
  """The same, with attention to the encoder's states in between."""

  config: BartConfig

  def setup(self):
    """Declares the parameters, by Hugging Face's names."""
    c = self.config
    self.self_attn = _attention(c, c.decoder_heads)
    self.self_attn_layer_norm = layers.LayerNorm(c.dtype)
    self.encoder_attn = _attention(c, c.decoder_heads)
    self.encoder_attn_layer_norm = layers.LayerNorm(c.dtype)
    self.fc1 = layers.Dense(c.decoder_ffn, c.init_std, c.dtype)
    self.fc2 = layers.Dense(c.width, c.init_std, c.dtype)
    self.final_layer_norm = layers.LayerNorm(c.dtype)
    self.drop = layers.Dropout(c.dropout)
    self.activation_drop = layers.Dropout(c.activation_dropout)

  def __call__(self, x, bias, memory, memory_bias, past, position, train=False):
    """Returns [B, T, D], and the keys and values that self-attention read.

    Arguments are the decoder's; `memory` and `past` are those of this layer, and
    `position` [] is that of the first token.
    """
    own = layers.extend(past, self.self_attn.keys_values(x), position)
    y = self.self_attn(x, own, bias, train)
    x = self.self_attn_layer_norm(x + self.drop(y, train))
    y = self.encoder_attn(x, memory, memory_bias, train)
    x = self.encoder_attn_layer_norm(x + self.drop(y, train))
    y = layers.gelu(self.fc1(x))  # [B, T, ffn]
    y = self.fc2(self.activation_drop(y, train))  # [B, T, D]
    return self.final_layer_norm(x + self.drop(y, train)), own


def _attention(c, heads, name=None):
  std = (c.init_std,) * 4
  return layers.Attention(
    c.width, heads, c.width // heads, c.attention_dropout, std, c.dtype, name=name
  )


def table(c, rows, name=None):
  """An embedding [rows, D]."""
  normal = nn.initializers.normal(c.init_std)
  return nn.Embed(rows, c.width, dtype=c.dtype, embedding_init=normal, name=name)
