"""BERT's encoder as published, and as Hugging Face's `BertModel` computes it.

It differs from BART's in its epsilon and its three tables; a layer has the names of
BART's. There is no dropout: a policy's scores are a function of its parameters. The
pooler and the heads of a checkpoint are left out.

References:
  Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language
  Understanding (2019), section 3.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from masklearn.models import bart, checkpoint_files, config_json, convert, layers
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
_PAD = config_json.INDEX, True  # what pad_token_id may be; null is 0
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
    x = bart.table(c, c.vocab_size, 'word_embeddings')(tokens)  # [B, S, D]
    x = x + bart.table(c, c.kinds, 'token_type_embeddings')(first)
    x = x + bart.table(c, c.max_positions, 'position_embeddings')(positions)
    x = layers.LayerNorm(c.dtype, c.epsilon, name='layernorm_embedding')(x)
    bias = layers.padding_bias(valid)  # [B, 1, 1, S]
    for i in range(c.layers):
      x = bart.EncoderLayer(c, c.heads, c.ffn, c.epsilon, name=f'layers_{i}')(x, bias)
    return x


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
  found = checkpoint_files.read(directory, 'AutoModel')
  config = config_from_hf(found.hf, ids, found.directory)
  return config, from_hf(found.tensors, config)


def config_from_hf(
  hf: Mapping, ids: Specials, directory: str | os.PathLike = ''
) -> BertConfig:
  """The configuration that a config.json describes.

  Args:
    hf: the file's keys and values.
    ids: the special tokens of the tokenizer.
    directory: of the file, for messages.

  Raises:
    InputError: names every key that is missing or asks for another model than ours;
      or `ids` are those of another tokenizer.
  """
  path = pathlib.PurePath(directory, checkpoint_files.CONFIG)
  known = config_json.fields(
    hf, 'BERT', BertConfig, _FIELDS, _ALLOWED, {'pad_token_id': _PAD}, path
  )
  pad = hf.get('pad_token_id') or 0
  if ids.bos is None or ids.pad != pad:
    raise InputError(
      'BERT reads its own tokens: expected a tokenizer with [CLS] and [SEP] and with '
      f'[PAD] as token {pad}, as its checkpoint has it, got one with '
      f'{"no [CLS]" if ids.bos is None else f"padding as token {ids.pad}"}.'
    )
  try:
    return BertConfig(bos=ids.bos, eos=ids.eos, **known)
  except InputError as error:
    raise InputError(f'{path} does not describe a BERT: {error}') from error


def from_hf(tensors: Mapping[str, np.ndarray], config: BertConfig):
  """Parameters from tensors by name, as float32.

  Args:
    tensors: by Hugging Face's names, with `bert.` before them or without; gamma and
      beta, as older programs had it, for weight and bias of a norm.
    config: what they must fit.

  Raises:
    InputError: names every tensor that is missing, unknown or of another shape.
  """
  tokens = jnp.zeros((1, 1), jnp.int32)
  layout = convert.layout(Bert(config), _name, tokens, tokens == 0)
  known = [*layout, *(f'bert.{name}' for name in layout)]
  tensors, _ = checkpoint_files.unwrapped(tensors, known)
  # Where there are heads, the encoder's names begin with it.
  prefix = 'bert.' if any(name.startswith('bert.') for name in tensors) else ''
  named = {
    name.removeprefix(prefix)
    .replace('LayerNorm.gamma', 'LayerNorm.weight')
    .replace('LayerNorm.beta', 'LayerNorm.bias'): tensor
    for name, tensor in tensors.items()
    if name.startswith(prefix)
  }
  named = {name: named[name] for name in named if not name.startswith(_IGNORED)}
  return convert.fit(named, layout, config)


def _name(path):
  *modules, leaf = path
  kind = 'bias' if leaf == 'bias' else 'weight'
  if not modules[0].startswith('layers_'):
    part = modules[0].replace('layernorm_embedding', 'LayerNorm')
    return f'embeddings.{part}.{kind}'
  layer = modules[0].removeprefix('layers_')
  return f'encoder.layer.{layer}.{_PARTS["/".join(modules[1:])]}.{kind}'
