"""BERT's encoder as published, and as Hugging Face's `BertModel` computes it.

It differs from BART's in its epsilon and its three tables; a layer has the names of
BART's. There is no dropout: a policy's scores are a function of its parameters. The
pooler and the heads of a checkpoint are left out.

References:
  Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language
  Understanding (2019), section 3.
"""

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from masklearn.models import convert, layers
from masklearn.models.sizes import BertConfig
from masklearn.types import InputError, Specials

# Our field -> the key in config.json.
_FIELDS = {
  'vocab_size': 'vocab_size',
  'width': 'hidden_size',
  'layers': 'num_hidden_layers',
  'heads': 'num_attention_heads',
  'ffn': 'intermediate_size',
  'max_positions': 'max_position_embeddings',
  'kinds': 'type_vocab_size',
  'epsilon': 'layer_norm_eps',
  'init_std': 'initializer_range',
}
_ALLOWED = {
  'model_type': ('bert',),
  'hidden_act': ('gelu',),
  'is_decoder': (False,),
  'position_embedding_type': ('absolute',),
}
_IGNORED = ('pooler.', 'cls.', 'embeddings.position_ids')  # how their names begin
# Ours -> theirs, within a layer.
_PARTS = {
  'self_attn/q_proj': 'attention.self.query',
  'self_attn/k_proj': 'attention.self.key',
  'self_attn/v_proj': 'attention.self.value',
  'self_attn/out_proj': 'attention.output.dense',
  'self_attn_layer_norm': 'attention.output.LayerNorm',
  'fc1': 'intermediate.dense',
  'fc2': 'output.dense',
  'final_layer_norm': 'output.LayerNorm',
}


class Bert(nn.Module):
  """Reads a text of one piece, all of it from every token."""

  config: BertConfig

  @nn.compact
  def __call__(self, tokens, valid):
    """States [B, S, D] of the last layer.

    Args:
      tokens: [B, S] int32, `[CLS] .. [SEP]`.
      valid: [B, S] bool; False is padding, which no token sees.

    Raises:
      InputError: there are more tokens than positions.
    """
    c = self.config
    if tokens.shape[1] > c.max_positions:
      raise InputError(
        f'A text has {tokens.shape[1]} tokens with [CLS] and [SEP], but BERT has '
        f'{c.max_positions} positions; split the corpus into shorter passages.'
      )
    positions = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]  # [1, S]
    first = jnp.zeros((1, 1), jnp.int32)  # of the kinds: there is no second sentence
    x = _table(c, c.vocab_size, 'word_embeddings')(tokens)  # [B, S, D]
    x = x + _table(c, c.kinds, 'token_type_embeddings')(first)
    x = x + _table(c, c.max_positions, 'position_embeddings')(positions)
    x = layers.LayerNorm(c.dtype, c.epsilon, name='layernorm_embedding')(x)
    bias = layers.padding_bias(valid)  # [B, 1, 1, S]
    for i in range(c.layers):
      x = EncoderLayer(c, name=f'layers_{i}')(x, bias)
    return x


class EncoderLayer(nn.Module):
  """Self-attention and a feed-forward layer, each added and then normalised."""

  config: BertConfig

  @nn.compact
  def __call__(self, x, bias):
    """Returns [B, S, D] for `x` [B, S, D] and `bias` [B, 1, 1, S]."""
    c = self.config
    attention = layers.Attention(
      c.width,
      c.heads,
      c.width // c.heads,
      0.0,
      layers.Deviations(*[c.init_std] * 4),
      c.dtype,
      name='self_attn',
    )
    y = attention(x, attention.keys_values(x), bias)
    x = layers.LayerNorm(c.dtype, c.epsilon, name='self_attn_layer_norm')(x + y)
    y = layers.Dense(c.ffn, c.init_std, c.dtype, name='fc1')(x)  # [B, S, ffn]
    y = layers.Dense(c.width, c.init_std, c.dtype, name='fc2')(layers.gelu(y))
    return layers.LayerNorm(c.dtype, c.epsilon, name='final_layer_norm')(x + y)


def load(directory: str | os.PathLike, ids: Specials) -> tuple[BertConfig, Any]:
  """Reads a checkpoint directory of Hugging Face's.

  Args:
    directory: holds config.json and model.safetensors, of a `BertModel` or of a BERT
      with a head, which is left out.
    ids: the special tokens of the tokenizer, which config.json does not know.

  Returns:
    The configuration, and the tree of parameters, float32.

  Raises:
    InputError: no such checkpoint, or one that is no BERT, or another tokenizer's.
  """
  hf, tensors = convert.read(directory, 'AutoModel')
  config = config_from_hf(hf, ids)
  return config, from_hf(tensors, config)


def config_from_hf(hf: Mapping, ids: Specials) -> BertConfig:
  """The configuration that a config.json describes.

  Args:
    hf: the file's keys and values.
    ids: the special tokens of the tokenizer.

  Raises:
    InputError: names every key that is missing or asks for another model than ours;
      or `ids` are those of another tokenizer.
  """
  known = convert.known_fields(hf, 'BERT', BertConfig, _FIELDS, _ALLOWED)
  pad = hf.get('pad_token_id') or 0
  if ids.bos is None or ids.pad != pad:
    raise InputError(
      'BERT reads its own tokens: expected a tokenizer with [CLS] and [SEP] and with '
      f'[PAD] as token {pad}, as its checkpoint has it, got one with '
      f'{"no [CLS]" if ids.bos is None else f"padding as token {ids.pad}"}.'
    )
  return BertConfig(bos=ids.bos, eos=ids.eos, **known)


def from_hf(tensors: Mapping[str, np.ndarray], config: BertConfig):
  """Parameters from tensors by name, as float32.

  Args:
    tensors: by Hugging Face's names, with `bert.` before them or without; gamma and
      beta, as older programs had it, for weight and bias of a norm.
    config: what they must fit.

  Raises:
    InputError: names every tensor that is missing, unknown or of another shape.
  """
  prefix = 'bert.'
  if any(name.startswith(prefix) for name in tensors):  # what has none is a head's
    tensors = {
      name.removeprefix(prefix): tensor
      for name, tensor in tensors.items()
      if name.startswith(prefix)
    }
  tensors = {
    name.replace('LayerNorm.gamma', 'LayerNorm.weight').replace(
      'LayerNorm.beta', 'LayerNorm.bias'
    ): tensor
    for name, tensor in tensors.items()
    if not name.startswith(_IGNORED)
  }
  flat, wrong = convert.match(tensors, _layout(config))
  convert.refuse(wrong)
  return traverse_util.unflatten_dict(
    {path: jnp.asarray(_turned(path, tensor)) for path, tensor in flat.items()}
  )


def _layout(config):
  """Name -> path in our tree and shape in theirs, of every tensor."""
  tokens = jnp.zeros((1, 1), jnp.int32)
  tree = jax.eval_shape(Bert(config).init, jax.random.key(0), tokens, tokens == 0)
  flat = traverse_util.flatten_dict(tree['params'])
  return {
    _name(path): (path, _turned(path, np.empty(leaf.shape, np.bool_)).shape)
    for path, leaf in flat.items()
  }


def _turned(path, tensor):
  return tensor.T if path[-1] == 'kernel' else tensor


def _name(path):
  *modules, leaf = path
  kind = 'bias' if leaf == 'bias' else 'weight'
  if not modules[0].startswith('layers_'):
    part = modules[0].replace('layernorm_embedding', 'LayerNorm')
    return f'embeddings.{part}.{kind}'
  layer = modules[0].removeprefix('layers_')
  return f'encoder.layer.{layer}.{_PARTS["/".join(modules[1:])]}.{kind}'


def _table(c, rows, name):
  """An embedding [rows, D]."""
  normal = nn.initializers.normal(c.init_std)
  return nn.Embed(rows, c.width, dtype=c.dtype, embedding_init=normal, name=name)
