"""Checkpoints of Hugging Face, to parameters and back, without loss.

The tree of parameters has the names of the tensors; a matrix is stored transposed:

  encoder/layers_0/fc1/kernel  [D, ffn]    model.encoder.layers.0.fc1.weight  [ffn, D]
  shared/embedding             [V, D]      model.shared.weight                [V, D]
  final_logits_bias            [V]         final_logits_bias                  [1, V]

Only safetensors files are read: they hold numbers and cannot run code.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from masklearn.models.bart import Bart
from masklearn.models.sizes import BartConfig
from masklearn.types import InputError

# Our field -> the key of Hugging Face's config.json. Its default is ours.
FIELDS = {
  'vocab_size': 'vocab_size',
  'width': 'd_model',
  'encoder_layers': 'encoder_layers',
  'decoder_layers': 'decoder_layers',
  'encoder_heads': 'encoder_attention_heads',
  'decoder_heads': 'decoder_attention_heads',
  'encoder_ffn': 'encoder_ffn_dim',
  'decoder_ffn': 'decoder_ffn_dim',
  'max_positions': 'max_position_embeddings',
  'pad': 'pad_token_id',
  'bos': 'bos_token_id',
  'eos': 'eos_token_id',
  'decoder_start': 'decoder_start_token_id',
  'dropout': 'dropout',
  'attention_dropout': 'attention_dropout',
  'activation_dropout': 'activation_dropout',
  'scale_embedding': 'scale_embedding',
  'init_std': 'init_std',
}
# What a config.json may say, but only so: our model has no other.
REQUIRED = {
  'model_type': 'bart',
  'activation_function': 'gelu',
  'add_final_layer_norm': False,
  'decoder_layerdrop': 0.0,
  'encoder_layerdrop': 0.0,
  'normalize_before': False,
  'normalize_embedding': True,
  'static_position_embeddings': False,
  'tie_word_embeddings': True,
}
SHARED = 'model.shared.weight'
COPIES = (  # of SHARED: in some files beside it, in others instead of it
  'model.encoder.embed_tokens.weight',
  'model.decoder.embed_tokens.weight',
  'lm_head.weight',
)
BIAS = 'final_logits_bias'  # absent means zeros
IGNORED = ('model.encoder.version', 'model.decoder.version')  # left from fairseq


def load(directory: str | pathlib.Path, mask: int):
  """Reads a checkpoint directory: its configuration and its parameters.

  Args:
    directory: holds config.json and model.safetensors.
    mask: id of `<mask>`, which the tokenizer knows and config.json does not.

  Returns:
    A BartConfig and the tree of parameters, float32.
  """
  directory = pathlib.Path(directory)
  file = directory / 'model.safetensors'
  if not file.exists() and (directory / 'pytorch_model.bin').exists():
    raise InputError(
      f'{directory} has only pytorch_model.bin, a pickle, which can run code when it '
      'is read; convert it where you trust it: python -c "from transformers import '
      f"BartForConditionalGeneration as B; B.from_pretrained('{directory}')"
      f".save_pretrained('{directory}')\""
    )
  try:
    hf = json.loads((directory / 'config.json').read_text(encoding='utf-8'))
    tensors = safetensors.numpy.load_file(file)
  except OSError as error:
    raise InputError(f'{directory} is not a checkpoint: {error}.') from error
  except json.JSONDecodeError as error:
    raise InputError(f'{directory / "config.json"} is not JSON: {error}.') from error
  except safetensors.SafetensorError as error:
    raise InputError(f'{file} is damaged: {error}.') from error
  config = config_from_hf(hf, mask)
  return config, from_hf(tensors, config)


def config_from_hf(hf: Mapping, mask: int) -> BartConfig:
  """The configuration that a config.json describes.

  Args:
    hf: the file's keys and values.
    mask: id of `<mask>`.

  Raises:
    InputError: names every key that is missing or asks for another model than ours.
  """
  wrong = [
    f'{key} must be {value!r}, got {hf[key]!r}'
    for key, value in REQUIRED.items()
    if hf.get(key, value) != value
  ]
  needed = {
    FIELDS[field.name]
    for field in dataclasses.fields(BartConfig)
    if field.name in FIELDS and field.default is dataclasses.MISSING
  }
  wrong += [
    f'{key} must be a whole number, got {hf.get(key)!r}'
    for key in sorted(needed)
    if not isinstance(hf.get(key), int)
  ]
  if wrong:
    raise InputError(f'config.json does not describe a BART: {"; ".join(wrong)}.')
  known = {ours: hf[theirs] for ours, theirs in FIELDS.items() if theirs in hf}
  return BartConfig(mask=mask, **known)


def from_hf(tensors: Mapping[str, np.ndarray], config: BartConfig):
  """Parameters from tensors by name, as float32.

  Takes the tensors of `BartForConditionalGeneration` and those of `BartModel`,
  whose names lack `model.` and which have no `final_logits_bias`.

  Raises:
    InputError: names every tensor that is missing, unknown or of another shape than
      the configuration's, and every copy of the embedding that differs from it.
  """
  if not any(name.startswith('model.') for name in tensors):
    tensors = {
      name if name in (BIAS, *COPIES) else f'model.{name}': tensor
      for name, tensor in tensors.items()
    }
  tensors = {name: tensors[name] for name in tensors if name not in IGNORED}
  copies = {name: tensors.pop(name) for name in COPIES if name in tensors}
  for copy in copies.values():
    tensors.setdefault(SHARED, copy)
  tensors.setdefault(BIAS, np.zeros((1, config.vocab_size), np.float32))

  layout, flat, wrong = _layout(config), {}, []
  for name in sorted(layout.keys() | tensors.keys()):
    path, shape = layout.get(name, ((), ()))
    if name not in tensors:
      wrong.append(f'{name} is missing')
    elif name not in layout:
      wrong.append(f'{name} is unknown')
    elif tensors[name].shape != shape:
      wrong.append(f'{name} has shape {tensors[name].shape}, not {shape}')
    else:
      flat[path] = jnp.asarray(_ours(path, tensors[name].astype(np.float32)))
  wrong += [
    f'{name} differs from {SHARED}'
    for name, copy in copies.items()
    if not np.array_equal(copy, tensors[SHARED])
  ]
  if wrong:
    raise InputError(f'The tensors do not fit the model: {"; ".join(wrong)}.')
  return traverse_util.unflatten_dict(flat)


def to_hf(params, config: BartConfig) -> dict[str, np.ndarray]:
  """The tensors that `BartForConditionalGeneration.save_pretrained` writes.

  Without the copies of the embedding, which `from_pretrained` ties again.
  """
  flat = traverse_util.flatten_dict(params)
  return {
    name: np.ascontiguousarray(_theirs(path, np.asarray(flat[path])))
    for name, (path, _) in _layout(config).items()
  }


def _layout(config):
  """Name -> path in our tree and shape in theirs, of every tensor of the model."""
  tokens = jnp.zeros((1, 1), jnp.int32)
  tree = jax.eval_shape(
    Bart(config).init, jax.random.key(0), tokens, tokens == 0, tokens
  )
  flat = traverse_util.flatten_dict(tree['params'])
  empty = {path: np.empty(leaf.shape, np.bool_) for path, leaf in flat.items()}
  return {_name(path): (path, _theirs(path, empty[path]).shape) for path in flat}


def _name(path):
  if path == (BIAS,):
    return BIAS
  *modules, leaf = (part.replace('layers_', 'layers.') for part in path)
  return '.'.join(['model', *modules, 'bias' if leaf == 'bias' else 'weight'])


def _ours(path, tensor):
  if path == (BIAS,):
    return tensor[0]  # [1, V] -> [V]
  return tensor.T if path[-1] == 'kernel' else tensor


def _theirs(path, tensor):
  if path == (BIAS,):
    return tensor[None]  # [V] -> [1, V]
  return tensor.T if path[-1] == 'kernel' else tensor
