"""Hugging Face's formats of each family: its config.json, its tensors' names.

The tree of parameters has BART's names for both. A matrix is stored transposed:

  encoder/layers_0/fc1/kernel  [D, ffn]    model.encoder.layers.0.fc1.weight  [ffn, D]
  shared/embedding             [V', D]     model.shared.weight                [V, D]
  final_logits_bias            [V]         final_logits_bias                  [1, V]

V' is V up to a multiple of 128, see `layers.vocabulary`; the rows behind are zeros.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import linen as nn

from masklearn.models.bart import Bart
from masklearn.models.config_json import FLAG, LAYERS, POSITIVE
from masklearn.models.sizes import BartConfig, T5Config
from masklearn.models.t5 import T5
from masklearn.types import InputError

BIAS = 'final_logits_bias'  # of BART; absent means zeros
HEAD = 'lm_head.weight'
TABLES = ('shared', 'embedding'), ('lm_head', 'embedding')  # with rows of no token


class Format(NamedTuple):
  """A family of Hugging Face's, and what ours is called there."""

  title: str
  architecture: str  # the class that config.json names
  module: type[nn.Module]
  config: type
  fields: Mapping[str, str]  # our field -> the key in config.json; its default is ours
  allowed: Mapping[str, tuple]  # what config.json may say, the default first
  more: Mapping[str, tuple]  # what the keys that `read` looks at may be
  read: Callable[[Mapping], dict[str, Any]]  # the fields that are no single key
  write: Callable[[Any], dict[str, Any]]  # those keys, from our configuration
  shared: str  # the embedding
  copies: tuple[str, ...]  # in some files beside it, in others instead of it
  first: str  # what the decoder reads first if no file says it
  ignored: tuple[str, ...]  # left by older programs
  name: Callable[[tuple[str, ...]], str]  # of the tensor at a path of our tree


def _bart_name(path):
  if path in ((BIAS,), ('lm_head', 'embedding')):
    return {BIAS: BIAS, 'lm_head': HEAD}[path[0]]
  *modules, leaf = (part.replace('layers_', 'layers.') for part in path)
  return '.'.join(['model', *modules, 'bias' if leaf == 'bias' else 'weight'])


# Ours -> theirs, within a layer, whose last part is the encoder's 1 or the decoder's 2.
_T5_PARTS = {
  'self_attn': 'layer.0.SelfAttention',
  'self_attn_layer_norm': 'layer.0.layer_norm',
  'encoder_attn': 'layer.1.EncDecAttention',
  'encoder_attn_layer_norm': 'layer.1.layer_norm',
  'feed_forward': 'layer.{last}.DenseReluDense',
  'feed_forward_layer_norm': 'layer.{last}.layer_norm',
}
_T5_ATTENTION = {'q_proj': 'q', 'k_proj': 'k', 'v_proj': 'v', 'out_proj': 'o'}


def _t5_name(path):
  side, *modules, _ = path
  if modules and modules[0] == 'relative_attention_bias':
    modules = ['block.0.layer.0.SelfAttention.relative_attention_bias']
  elif modules and modules[0].startswith('layers_'):
    layer, part, *rest = modules
    part = _T5_PARTS[part].format(last=1 if side == 'encoder' else 2)
    rest = [_T5_ATTENTION.get(name, name) for name in rest]
    modules = [layer.replace('layers_', 'block.'), part, *rest]
  return '.'.join([side, *modules, 'weight'])


def _read_t5(hf):
  tied = hf.get('tie_word_embeddings', True)
  factor, scaled = hf.get('initializer_factor', 1.0), hf.get('scale_decoder_outputs')
  return {
    'decoder_heads': hf['num_heads'],
    'decoder_ffn': hf['d_ff'],
    'init_std': None if factor == 1 else factor * hf['d_model'] ** -0.5,
    'gated': hf.get('feed_forward_proj', 'relu') == 'gated-gelu',
    'decoder_layers': hf.get('num_decoder_layers') or hf.get('num_layers'),
    # Version 5 of transformers says it; before, an untied output meant version 1.1.
    'scale_output': tied is not False if scaled is None else scaled,
  }


def _write_t5(config):
  encoder = config.encoder_heads, config.encoder_ffn
  decoder = config.decoder_heads, config.decoder_ffn
  if encoder != decoder:
    raise InputError(
      "Hugging Face's T5 has one num_heads and one d_ff: those of encoder and decoder "
      f'must be equal, got {encoder} and {decoder}.'
    )
  return {
    'initializer_factor': config.init_factor,
    'feed_forward_proj': 'gated-gelu' if config.gated else 'relu',
    'num_decoder_layers': config.decoder_layers,
    'scale_decoder_outputs': config.scale_output,
    # Before version 5, the key of scaling and tying alike.
    'tie_word_embeddings': config.scale_output,
  }


FORMATS = {
  'bart': Format(
    title='BART',
    architecture='BartForConditionalGeneration',
    module=Bart,
    config=BartConfig,
    fields={
      'vocab_size': 'vocab_size',
      'width': 'd_model',
      'encoder_layers': 'encoder_layers',
      'decoder_layers': 'decoder_layers',
      'encoder_heads': 'encoder_attention_heads',
      'decoder_heads': 'decoder_attention_heads',
      'encoder_ffn': 'encoder_ffn_dim',
      'decoder_ffn': 'decoder_ffn_dim',
      'max_positions': 'max_position_embeddings',
      'dropout': 'dropout',
      'attention_dropout': 'attention_dropout',
      'activation_dropout': 'activation_dropout',
      'scale_embedding': 'scale_embedding',
      'init_std': 'init_std',
    },
    allowed={
      'activation_function': ('gelu',),
      'add_final_layer_norm': (False,),
      'decoder_layerdrop': (0.0,),
      'encoder_layerdrop': (0.0,),
      'normalize_before': (False,),
      'normalize_embedding': (True,),
      'static_position_embeddings': (False,),
    },
    more={},
    read=lambda hf: {},
    write=lambda config: {
      'activation_function': 'gelu',
      'tie_word_embeddings': config.tied,
    },
    shared='model.shared.weight',
    copies=('model.encoder.embed_tokens.weight', 'model.decoder.embed_tokens.weight'),
    first='eos',
    ignored=('model.encoder.version', 'model.decoder.version'),  # fairseq's
    name=_bart_name,
  ),
  't5': Format(
    title='T5',
    architecture='T5ForConditionalGeneration',
    module=T5,
    config=T5Config,
    fields={
      'vocab_size': 'vocab_size',
      'width': 'd_model',
      'encoder_layers': 'num_layers',
      'encoder_heads': 'num_heads',
      'head_width': 'd_kv',
      'encoder_ffn': 'd_ff',
      'buckets': 'relative_attention_num_buckets',
      'max_distance': 'relative_attention_max_distance',
      'epsilon': 'layer_norm_epsilon',
      'dropout': 'dropout_rate',
    },
    allowed={'feed_forward_proj': ('relu', 'gated-gelu')},
    more={
      'initializer_factor': (POSITIVE, False),
      'num_decoder_layers': (LAYERS, True),
      'scale_decoder_outputs': (FLAG, True),
      'tie_word_embeddings': (FLAG, True),
    },
    read=_read_t5,
    write=_write_t5,
    shared='shared.weight',
    copies=('encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'),
    first='pad',
    ignored=(  # Mesh TensorFlow's, which nothing reads
      'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight',
    ),
    name=_t5_name,
  ),
}
