"""Encoder-decoder models: the forward pass, cache and output layer of BART and T5.

References:
  Vaswani et al., Attention Is All You Need (2017), section 3.1.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models import layers
from masklearn.types import InputError, Segments


class EncoderDecoder(nn.Module):
  """Reads a source, and gives logits over the next token of a target.

  Dropout, where `train` is True, draws from `rngs={'dropout': key}`. A family declares
  its `encoder` and its `decoder`.
  """

  config: Any

  def make_tables(self, init_std: float) -> None:
    """Declares the embedding and the output matrix, by Hugging Face's names."""
    c = self.config
    normal = nn.initializers.normal(init_std)
    self.shared = layers.vocabulary(c.vocab_size, c.width, c.dtype, normal)
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
        embedding that is replaced by that of `<mask>`, of T5's first sentinel.
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
    length = decoder_input.shape[1]
    self._check_length('target', length)
    positions = jnp.arange(length, dtype=jnp.int32)[None]
    bias, memory_bias = layers.causal_bias(length), layers.padding_bias(source_valid)
    if segments is not None:
      positions = layers.segment_positions(segments.target)
      bias = jnp.minimum(bias, layers.segment_bias(segments.target, segments.target))
      memory_bias = layers.segment_bias(segments.target, segments.source)
    x = self._embed(decoder_input)
    return self.decoder(x, positions, bias, encoded, memory_bias, train=train)[0]

  def encode(self, source, source_valid, source_mask=None, segments=None, train=False):
    """The encoder's states [B, S, D]; arguments as above."""
    self._check_length('source', source.shape[1])
    x = self._embed(source)  # [B, S, D]
    if source_mask is not None:
      if self.config.mask is None:
        raise InputError(
          'Only a model with a tokenizer can hide tokens softly, which says what its '
          '<mask> is; this one was converted without.'
        )
      hidden = self._embed(jnp.full((1, 1), self.config.mask))  # [1, 1, D]
      share = source_mask[..., None].astype(x.dtype)  # [B, S, 1]
      x = (1 - share) * x + share * hidden
    return self.encoder(x, source_valid, segments and segments.source, train)

  def init_cache(
    self, encoded, source_valid, max_length: int, outputs: int = 1
  ) -> layers.Cache:
    """An empty cache for `max_length` steps over `encoded` [B, S, D].

    `outputs` is N, how many of a row are to grow side by side.
    """
    self._check_length('target', max_length)
    memory = self.decoder.memory(encoded)
    past = jax.tree.map(
      lambda x: jnp.zeros((*x.shape[:-1], max_length * outputs), x.dtype), memory
    )
    return layers.Cache(past, memory, layers.padding_bias(source_valid))

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
    positions = jnp.full((1, tokens.shape[1]), position, jnp.int32)
    x, bias = self._embed(tokens), layers.visible_bias(seen)
    x, past = self.decoder(
      x, positions, bias, cache.memory, cache.memory_bias, cache.past
    )
    return self.logits(x), cache._replace(past=past)

  def _check_length(self, side, length):
    """Refuses a source, or a target, that has more tokens than there are positions."""

  def _embed(self, tokens):
    """Token embeddings, without positions: [B, S] -> [B, S, D]."""
    return self.shared(tokens)

  def output_layer(self):
    """The table and the bias [V], or None, that `logits` applies, float32."""
    return (self.shared if self.config.tied else self.lm_head).embedding, None

  def logits(self, x):
    """Logits [..., V] float32 of states [..., D]."""
    return layers.project(x, *self.output_layer(), self.config.vocab_size)


class DecoderStack(nn.Module):
  """The layers of a decoder, `layers`, which a family declares."""

  config: Any

  def memory(self, encoded) -> tuple[layers.KeysValues, ...]:
    """Keys and values of `encoded` [B, S, D] for the attention of each layer."""
    return tuple(layer.encoder_attn.keys_values(encoded) for layer in self.layers)

  def apply_layers(self, x, positions, bias, memory, memory_bias, past, train):
    """States [B, T, D] behind the layers; with a cache, each layer's keys and values.

    Args:
      x: [B, T, D] states; with a cache, T is N.
      positions: [B, T] or [1, T] int32, in their segments; with a cache, all the same.
      bias: of self-attention; broadcasts to [B, H, T, T], with a cache to
        [B, H, N, max_length * N].
      memory: the encoder's states [B, S, D]; with a cache, what `memory` makes of them.
      memory_bias: [B, 1, 1, S] or [B, 1, T, S].
      past: the cached keys and values of each layer, or None.
      train: whether to drop.
    """
    position, own_of_all = positions[0, 0], []

    def call(layer, x):
      attended = layer.encoder_attn.keys_values(memory)
      return layer(x, bias, attended, memory_bias, None, position, train)[0]

    if past is not None:
      for layer, attended, cached in zip(self.layers, memory, past, strict=True):
        x, own = layer(x, bias, attended, memory_bias, cached, position, train)
        own_of_all.append(own)
    elif self.config.scan and not self.is_initializing():
      layer = self.layers[0].clone(parent=None, name=None)
      x = layers.scan(self, layer, call, x, len(self.layers))
    else:
      for layer in self.layers:
        x = call(layer, x)
    return x, tuple(own_of_all)
