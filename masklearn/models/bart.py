"""BART as published, and as Hugging Face's `BartForConditionalGeneration` computes it.

An encoder-decoder with the norm after each residual, learned positions, exact GELU
and one embedding for source, target and output. The names of the parameters are
those of Hugging Face's tensors; `convert` goes from one to the other.

References:
  Lewis et al., BART: Denoising Sequence-to-Sequence Pre-training (2020), section 2.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models import layers
from masklearn.models.sizes import BartConfig
from masklearn.types import InputError, Segments

# Rows of the position tables that no position uses: fairseq counted positions from
# the padding id, and BART's checkpoints kept its two empty rows.
OFFSET = 2


class Bart(nn.Module):
  """Reads a source, and gives logits over the next token of a target.

  Dropout, where `train` is True, draws from `rngs={'dropout': key}`.
  """

  config: BartConfig

  def setup(self):
    """Declares the parameters, by Hugging Face's names."""
    c = self.config
    normal = nn.initializers.normal(c.init_std)
    self.shared = layers.vocabulary(c.vocab_size, c.width, c.dtype, normal)
    self.encoder = Encoder(c)
    self.decoder = Decoder(c)
    if not c.tied:
      self.lm_head = layers.vocabulary(c.vocab_size, c.width, c.dtype, normal)
    self.final_logits_bias = self.param(
      'final_logits_bias', nn.initializers.zeros, (c.vocab_size,), jnp.float32
    )

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
        embedding that is replaced by that of `<mask>`.
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
    x = self._embed(source)  # [B, S, D]
    if source_mask is not None:
      hidden = self._embed(jnp.full((1, 1), self.config.mask))  # [1, 1, D]
      share = source_mask[..., None].astype(x.dtype)  # [B, S, 1]
      x = (1 - share) * x + share * hidden
    return self.encoder(x, source_valid, segments and segments.source, train)

  def decode(self, decoder_input, encoded, source_valid):
    """Logits [B, T, V] float32 from the encoder's states `encoded` [B, S, D]."""
    return self.logits(self._decode(decoder_input, encoded, source_valid))

  def _decode(self, decoder_input, encoded, source_valid, segments=None, train=False):
    length = decoder_input.shape[1]
    if length > self.config.max_positions:
      raise _too_long('target', length, self.config)
    positions = jnp.arange(length, dtype=jnp.int32)[None]
    bias, memory_bias = layers.causal_bias(length), layers.padding_bias(source_valid)
    if segments is not None:
      positions = layers.segment_positions(segments.target)
      bias = jnp.minimum(bias, layers.segment_bias(segments.target, segments.target))
      memory_bias = layers.segment_bias(segments.target, segments.source)
    x, _ = self.decoder(
      self._embed(decoder_input),
      positions,
      bias,
      self.decoder.memory(encoded),
      memory_bias,
      train=train,
    )
    return x

  def init_cache(
    self, encoded, source_valid, max_length: int, outputs: int = 1
  ) -> layers.Cache:
    """An empty cache for `max_length` steps over `encoded` [B, S, D].

    `outputs` is N, how many of a row are to grow side by side.
    """
    c = self.config
    if max_length > c.max_positions:
      raise _too_long('target', max_length, c)
    length, head_width = max_length * outputs, c.width // c.decoder_heads
    shape = encoded.shape[0], c.decoder_heads, head_width, length
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
    x, past = self.decoder(
      self._embed(tokens),
      jnp.full((1, tokens.shape[1]), position, jnp.int32),
      layers.visible_bias(seen),
      cache.memory,
      cache.memory_bias,
      past=cache.past,
    )
    return self.logits(x), cache._replace(past=past)

  def _embed(self, tokens):
    """Token embeddings, without positions: [B, S] -> [B, S, D]."""
    x = self.shared(tokens)
    return x * self.config.width**0.5 if self.config.scale_embedding else x

  def output_layer(self):
    """The table and the bias [V] that `logits` applies, float32."""
    table = self.shared if self.config.tied else self.lm_head
    # Part of a checkpoint, but never trained: Hugging Face holds it in a buffer.
    return table.embedding, jax.lax.stop_gradient(self.final_logits_bias)

  def logits(self, x):
    """Logits [..., V] float32 of states [..., D]."""
    return layers.project(x, *self.output_layer(), self.config.vocab_size)


class Encoder(nn.Module):
  """Token embeddings [B, S, D] to states [B, S, D]."""

  config: BartConfig

  @nn.compact
  def __call__(self, x, valid, segment=None, train=False):
    """`valid` [B, S] is False where there is padding; `segment` [B, S] as above."""
    c = self.config
    if x.shape[1] > c.max_positions:
      raise _too_long('source', x.shape[1], c)
    rows = OFFSET + c.max_positions
    positions = jnp.arange(x.shape[1], dtype=jnp.int32)[None]  # [1, S]
    bias = layers.padding_bias(valid)  # [B, 1, 1, S]
    if segment is not None:
      positions = layers.segment_positions(segment)  # [B, S]
      bias = layers.segment_bias(segment, segment)  # [B, 1, S, S]
    x = x + _table(c, rows, name='embed_positions')(OFFSET + positions)
    x = layers.LayerNorm(c.dtype, name='layernorm_embedding')(x)
    x = layers.Dropout(c.dropout)(x, deterministic=not train)
    kind = layers.block(EncoderLayer, c.remat, train_at=3)
    for i in range(c.encoder_layers):
      x = kind(c, name=f'layers_{i}')(x, bias, train)
    return x


class Decoder(nn.Module):
  """Token embeddings [B, T, D], and what the encoder made, to states [B, T, D]."""

  config: BartConfig

  def setup(self):
    """Declares the parameters, by Hugging Face's names."""
    c = self.config
    self.embed_positions = _table(c, OFFSET + c.max_positions)
    self.layernorm_embedding = layers.LayerNorm(c.dtype)
    kind = layers.block(DecoderLayer, c.remat, train_at=7)
    self.layers = [kind(c) for _ in range(c.decoder_layers)]
    self.drop = layers.Dropout(c.dropout)

  def memory(self, encoded) -> tuple[layers.KeysValues, ...]:
    """Keys and values of `encoded` [B, S, D] for the attention of each layer."""
    return tuple(layer.encoder_attn.keys_values(encoded) for layer in self.layers)

  def __call__(self, x, positions, bias, memory, memory_bias, past=None, train=False):
    """The states and each layer's keys and values.

    Args:
      x: [B, T, D] token embeddings; with a cache, T is N.
      positions: [B, T] or [1, T] int32, where they are; with a cache, all the same.
      bias: of self-attention; broadcasts to [B, H, T, T], with a cache to
        [B, H, N, max_length * N].
      memory: of each layer, from `memory`.
      memory_bias: [B, 1, 1, S] or [B, 1, T, S].
      past: the cached keys and values of each layer, or None.
      train: whether to drop.
    """
    x = self.layernorm_embedding(x + self.embed_positions(OFFSET + positions))
    x = self.drop(x, deterministic=not train)
    own_of_all = []
    for i, layer in enumerate(self.layers):
      cached = None if past is None else past[i]
      x, own = layer(x, bias, memory[i], memory_bias, cached, positions[0, 0], train)
      own_of_all.append(own)
    return x, tuple(own_of_all)


class EncoderLayer(nn.Module):
  """Self-attention and a feed-forward layer, each added and then normalised."""

  config: BartConfig

  @nn.compact
  def __call__(self, x, bias, train=False):
    """Returns [B, S, D] for `x` [B, S, D] and `bias`, [B, 1, 1, S] or [B, 1, S, S]."""
    c = self.config
    drop = layers.Dropout(c.dropout, deterministic=not train)
    attention = _attention(c, c.encoder_heads, name='self_attn')
    y = attention(x, attention.keys_values(x), bias, train)
    x = layers.LayerNorm(c.dtype, name='self_attn_layer_norm')(x + drop(y))
    y = layers.Dense(c.encoder_ffn, c.init_std, c.dtype, name='fc1')(x)  # [B, S, ffn]
    y = layers.Dropout(c.activation_dropout, deterministic=not train)(layers.gelu(y))
    y = layers.Dense(c.width, c.init_std, c.dtype, name='fc2')(y)  # [B, S, D]
    return layers.LayerNorm(c.dtype, name='final_layer_norm')(x + drop(y))


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
    off = not train
    own = self.self_attn.keys_values(x)
    if past is not None:
      own = layers.extend(past, own, position)
    y = self.self_attn(x, own, bias, train)
    x = self.self_attn_layer_norm(x + self.drop(y, deterministic=off))
    y = self.encoder_attn(x, memory, memory_bias, train)
    x = self.encoder_attn_layer_norm(x + self.drop(y, deterministic=off))
    y = layers.gelu(self.fc1(x))  # [B, T, ffn]
    y = self.fc2(self.activation_drop(y, deterministic=off))  # [B, T, D]
    return self.final_layer_norm(x + self.drop(y, deterministic=off)), own


def _attention(c, heads, name=None):
  std = layers.Deviations(*[c.init_std] * 4)
  return layers.Attention(
    c.width, heads, c.width // heads, c.attention_dropout, std, c.dtype, name=name
  )


def _table(c, rows, name=None):
  """An embedding [rows, D]."""
  normal = nn.initializers.normal(c.init_std)
  return nn.Embed(rows, c.width, dtype=c.dtype, embedding_init=normal, name=name)


def _too_long(side, length, c):
  return InputError(
    f'The {side} has {length} tokens, but the model has {c.max_positions} positions.'
  )
