"""Checkpoints of Hugging Face, to parameters and back, without loss.

Only safetensors files are read: they hold numbers and cannot run code. What is
written loads with `from_pretrained` and gives the same logits; `formats` knows the
names.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.flax
import safetensors.numpy
from flax import traverse_util

from masklearn.io import files
from masklearn.io.lookup import lookup
from masklearn.models import layers
from masklearn.models.formats import BIAS, FORMATS, HEAD, TABLES, Format
from masklearn.types import InputError

WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'  # of a checkpoint in several files


def load(directory: str | pathlib.Path, mask: int):
  """Reads a checkpoint directory: its configuration and its parameters.

  Args:
    directory: holds config.json and model.safetensors, or several files and
      model.safetensors.index.json.
    mask: id of `<mask>`, of T5 `<extra_id_0>`, which the tokenizer knows and
      config.json does not.

  Returns:
    A BartConfig or T5Config, and the tree of parameters, float32.
  """
  hf, tensors = read(directory, 'AutoModelForSeq2SeqLM')
  config = config_from_hf(hf, mask, tied=is_tied(tensors))
  return config, from_hf(tensors, config)


def read(directory: str | os.PathLike, loader: str):
  """The config.json of a checkpoint directory, and its tensors by name.

  Args:
    directory: as for `load`.
    loader: class of transformers that reads the model from a pickle.
  """
  directory = pathlib.Path(directory)
  parts = [directory / WEIGHTS]
  if (directory / INDEX).exists():
    index = _read_json(directory / INDEX)
    if not isinstance(index, dict) or 'weight_map' not in index:
      raise InputError(f'{directory / INDEX} has no weight_map, which names the files.')
    parts = [directory / name for name in sorted(set(index['weight_map'].values()))]
  elif not parts[0].exists() and (directory / 'pytorch_model.bin').exists():
    raise InputError(
      f'{directory} has only pytorch_model.bin, a pickle, which can run code when it '
      'is read; convert it where you trust it: python -c "from transformers import '
      f"{loader} as M; M.from_pretrained('{directory}')"
      f".save_pretrained('{directory}')\""
    )
  hf = _read_json(directory / 'config.json')
  tensors = {}
  for file in parts:
    try:
      tensors |= safetensors.flax.load_file(file)  # which knows bfloat16
    except OSError as error:
      raise InputError(f'{directory} is not a checkpoint: {error}.') from error
    except safetensors.SafetensorError as error:
      raise InputError(f'{file} is damaged: {error}.') from error
  return hf, tensors


def save(
  directory: str | pathlib.Path, config, params, extra: Mapping[str, Any] | None = None
) -> None:
  """Writes config.json and model.safetensors into a directory, each at once.

  Args:
    directory: made if it is not there.
    config: a BartConfig or T5Config.
    params: the tree of parameters.
    extra: keys of config.json that our configuration does not have, as the original
      had them; ours win.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  tensors = to_hf(params, config)
  partial = directory / (WEIGHTS + '.partial')
  safetensors.numpy.save_file(tensors, partial, metadata={'format': 'pt'})
  os.replace(partial, directory / WEIGHTS)
  files.write_json(directory / 'config.json', {**(extra or {}), **config_to_hf(config)})


def config_from_hf(hf: Mapping, mask: int, tied: bool = True):
  """The configuration that a config.json describes.

  Args:
    hf: the file's keys and values.
    mask: id of `<mask>`, of T5 that of the first sentinel.
    tied: whether the output matrix is the embedding; the tensors tell.

  Raises:
    InputError: names every key that is missing or asks for another model than ours.
  """
  family = hf.get('model_type')
  form = lookup(FORMATS, str(family), 'model_type in config.json')
  known = known_fields(hf, form.title, form.config, form.fields, form.allowed)
  return form.config(mask=mask, tied=tied, **known, **form.read(hf))


def known_fields(
  hf: Mapping,
  title: str,
  config: type,
  fields: Mapping[str, str],
  allowed: Mapping[str, tuple],
) -> dict[str, Any]:
  """The fields of a configuration that config.json has under keys of its own.

  Args:
    hf: the file's keys and values.
    title: of the family, for the message.
    config: the configuration's class.
    fields: our field -> the key; one without a default must be there, a whole number.
    allowed: what the file may say of other keys, the default first.

  Raises:
    InputError: names every key that is missing or asks for another model than ours.
  """
  wrong = [
    f'{key} must be {" or ".join(map(repr, values))}, got {hf[key]!r}'
    for key, values in allowed.items()
    if hf.get(key, values[0]) not in values
  ]
  needed = {
    fields[field.name]
    for field in dataclasses.fields(config)
    if field.name in fields and field.default is dataclasses.MISSING
  }
  wrong += [
    f'{key} must be a whole number, got {hf.get(key)!r}'
    for key in sorted(needed)
    if not isinstance(hf.get(key), int)
  ]
  if wrong:
    raise InputError(f'config.json does not describe a {title}: {"; ".join(wrong)}.')
  return {ours: hf[theirs] for ours, theirs in fields.items() if theirs in hf}


def config_to_hf(config) -> dict[str, Any]:
  """The config.json of a configuration."""
  family, form = _form(config)
  return {
    'architectures': [form.architecture],
    'model_type': family,
    'is_encoder_decoder': True,
    **{theirs: getattr(config, ours) for ours, theirs in form.fields.items()},
    **form.write(config),
  }


def is_tied(tensors: Mapping[str, np.ndarray]) -> bool:
  """Whether the output matrix is the embedding, whatever config.json says."""
  if HEAD not in tensors:
    return True
  embeddings = [
    tensors[name]
    for form in FORMATS.values()
    for name in (form.shared, *form.copies)
    if name in tensors
  ]
  # A file with the output matrix alone has left out what is the same.
  return not embeddings or any(np.array_equal(tensors[HEAD], e) for e in embeddings)


def from_hf(tensors: Mapping[str, np.ndarray], config):
  """Parameters from tensors by name, as float32.

  Takes the tensors of the models for generation and, where the output is tied,
  those of the bare `BartModel` and `T5Model`.

  Args:
    tensors: by Hugging Face's names; BART's may lack `model.`.
    config: a BartConfig or T5Config.

  Raises:
    InputError: names every tensor that is missing, unknown or of another shape than
      the configuration's, and every copy of the embedding that differs from it.
  """
  _, form = _form(config)
  prefix = form.shared.removesuffix('shared.weight')
  if not any(name.startswith(prefix) for name in tensors):
    tensors = {
      name if name in (BIAS, HEAD) else prefix + name: tensor
      for name, tensor in tensors.items()
    }
  tensors = {name: tensors[name] for name in tensors if name not in form.ignored}
  names = (*form.copies, HEAD) if config.tied else form.copies
  copies = {name: tensors.pop(name) for name in names if name in tensors}
  for copy in copies.values():
    tensors.setdefault(form.shared, copy)
  expected = _layout(config)
  if BIAS in expected:
    tensors.setdefault(BIAS, np.zeros(expected[BIAS][1], np.float32))
  different = [
    f'{name} differs from {form.shared}'
    for name, copy in copies.items()
    if not np.array_equal(copy, tensors[form.shared])
  ]
  return fit(tensors, expected, config, different)


def fit(tensors: Mapping, expected: Mapping, config, wrong: Sequence[str] = ()):
  """The tree of parameters, float32, of tensors by name.

  Args:
    tensors: by Hugging Face's names, NumPy arrays.
    expected: those that there must be, from `layout`.
    config: the model's.
    wrong: what else is wrong with the tensors.

  Raises:
    InputError: names every tensor that is missing, unknown or of another shape.
  """
  flat, unfit = {}, []
  for name in sorted(expected.keys() | tensors.keys()):
    path, shape = expected.get(name, ((), ()))
    if name not in tensors:
      unfit.append(f'{name} is missing')
    elif name not in expected:
      unfit.append(f'{name} is unknown')
    elif tensors[name].shape != shape:
      unfit.append(f'{name} has shape {tensors[name].shape}, not {shape}')
    else:
      flat[path] = jnp.asarray(_ours(path, tensors[name].astype(np.float32), config))
  if unfit or wrong:
    problems = '; '.join([*unfit, *wrong])
    raise InputError(f'The tensors do not fit the model: {problems}.')
  return traverse_util.unflatten_dict(flat)


def to_hf(params, config) -> dict[str, np.ndarray]:
  """The tensors by Hugging Face's names, as `save_pretrained` writes them.

  Copies of the embedding are left out where `from_pretrained` ties them again.
  """
  _, form = _form(config)
  flat = traverse_util.flatten_dict(params)
  tensors = {
    name: np.ascontiguousarray(_theirs(path, np.asarray(flat[path]), config))
    for name, (path, _) in _layout(config).items()
  }
  if not config_to_hf(config)['tie_word_embeddings']:
    names = (*form.copies, HEAD) if config.tied else form.copies
    tensors |= {name: tensors[form.shared].copy() for name in names}
  return tensors


def _form(config) -> tuple[str, Format]:
  for family, form in FORMATS.items():
    if isinstance(config, form.config):
      return family, form
  raise TypeError(f'Not the configuration of a model: {config!r}.')


def _layout(config):
  _, form = _form(config)
  tokens = jnp.zeros((1, 1), jnp.int32)
  return layout(form.module(config), form.name, tokens, tokens == 0, tokens)


def layout(model, name, *inputs) -> dict[str, tuple]:
  """Name -> path in our tree and shape in theirs, of every tensor of a model.

  Args:
    model: a Linen module.
    name: `name(path)` is the tensor's.
    *inputs: of the model.
  """
  tree = jax.eval_shape(model.init, jax.random.key(0), *inputs)['params']
  return {
    name(path): (path, _theirs(path, np.empty(x.shape, np.bool_), model.config).shape)
    for path, x in traverse_util.flatten_dict(tree).items()
  }


def _ours(path, tensor, config):
  if path == (BIAS,):
    return tensor[0]  # [1, V] -> [V]
  if path in TABLES:
    more = layers.padded_size(config.vocab_size) - config.vocab_size
    return np.pad(tensor, ((0, more), (0, 0)))
  return tensor.T if path[-1] == 'kernel' else tensor


def _theirs(path, tensor, config):
  if path == (BIAS,):
    return tensor[None]  # [V] -> [1, V]
  if path in TABLES:
    return tensor[: config.vocab_size]
  return tensor.T if path[-1] == 'kernel' else tensor


def _read_json(file):
  try:
    return json.loads(file.read_text(encoding='utf-8'))
  except OSError as error:
    raise InputError(f'{file.parent} is not a checkpoint: {error}.') from error
  except ValueError as error:  # not JSON, or not even UTF-8
    raise InputError(f'{file} is not JSON: {error}.') from error
