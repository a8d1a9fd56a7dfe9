"""Checkpoints of Hugging Face, to parameters and back, without loss.

What is written loads with `from_pretrained` and gives the same logits; `formats` knows
the names, `checkpoint_files` the files.
"""

import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import traverse_util

from masklearn.io import files, foreign
from masklearn.io.lookup import lookup
from masklearn.models import checkpoint_files, config_json, layers, token_ids
from masklearn.models.checkpoint_files import CONFIG, WEIGHTS
from masklearn.models.formats import BIAS, FORMATS, HEAD, TABLES, Format
from masklearn.types import InputError, Specials


class Loaded(NamedTuple):
  """What a checkpoint directory holds."""

  config: Any  # a BartConfig or T5Config
  params: Any  # the tree of parameters, float32
  names: tuple[str, ...]  # of the tensors in the file, without a wrapper's prefix
  hf: dict[str, Any]  # config.json
  remarks: tuple[str, ...]  # sentences about what a user may not expect


def load(directory: str | os.PathLike, ids: Specials | None) -> Loaded:
  """Reads a checkpoint directory: its configuration and its parameters.

  Args:
    directory: holds config.json, and model.safetensors or several files and
      model.safetensors.index.json.
    ids: of the tokenizer, which must be those of the files, and which alone knows
      `<mask>`; None where there is none.

  Raises:
    InputError: says what is missing, damaged, contradictory or of another model.
  """
  found = checkpoint_files.read(directory, 'AutoModelForSeq2SeqLM')
  form = _format(found.hf, found.directory)
  tensors, prefix = checkpoint_files.unwrapped(found.tensors, _anchors(form))
  tied = is_tied(tensors)
  config = config_from_hf(found.hf, ids, tied, found.generation, found.directory)
  params = from_hf(tensors, config)
  remarks = [f'The names of the tensors are read without {prefix!r}.'] if prefix else []
  if tied and found.hf.get('tie_word_embeddings') is False and HEAD not in tensors:
    remarks.append(
      f'The output matrix is tied: {CONFIG} says it is not, but there is no {HEAD}, so '
      'it is the embedding.'
    )
  ignored = [name for name in form.ignored if name in tensors]
  if ignored:
    remarks.append(f'Left out, as nothing reads it: {foreign.first(ignored)}.')
  kept = [name for name in tensors if name not in form.ignored]
  return Loaded(config, params, tuple(sorted(kept)), found.hf, tuple(remarks))


def _format(hf, directory) -> Format:
  place = pathlib.PurePath(directory, CONFIG)
  return lookup(FORMATS, str(hf.get('model_type')), f'model_type in {place}')


def _anchors(form):
  """Names by which a family is known, with what comes before them and without."""
  layer = ('layers_0', 'self_attn', 'q_proj', 'kernel')
  inner = [form.name((side, *layer)) for side in ('encoder', 'decoder')]
  names = {form.shared, *form.copies, *inner}
  return names | {name.removeprefix(_prefix(form)) for name in names} | {BIAS, HEAD}


def _prefix(form):
  return form.shared.removesuffix('shared.weight')


def save(
  directory: str | os.PathLike,
  config,
  params,
  extra: Mapping[str, Any] | None = None,
  names: Sequence[str] | None = None,
) -> None:
  """Writes config.json and model.safetensors into a directory, each at once.

  Args:
    directory: made if it is not there.
    config: a BartConfig or T5Config.
    params: the tree of parameters.
    extra: keys of config.json that our configuration does not have, as the original
      had them; ours win. An original that describes this model is written as it was.
    names: of the tensors, see `to_hf`.
  """
  directory, extra = pathlib.Path(directory), dict(extra or {})
  directory.mkdir(parents=True, exist_ok=True)
  tensors = to_hf(params, config, names)
  partial = directory / (WEIGHTS + '.partial')
  safetensors.numpy.save_file(tensors, partial, metadata={'format': 'pt'})
  os.replace(partial, directory / WEIGHTS)
  if not _describes(extra, config):
    extra |= config_to_hf(config)
  files.write_json(directory / CONFIG, extra)


def _describes(hf, config):
  """Whether a config.json is one of this configuration."""
  own = {name: getattr(config, name, None) for name in ('bos', 'pad', 'eos', 'mask')}
  ids = Specials(**own, start=config.decoder_start)
  try:
    found = config_from_hf(hf, ids, config.tied)
  except InputError:
    return False
  return config_to_hf(found) == config_to_hf(config)


def config_from_hf(
  hf: Mapping[str, Any],
  ids: Specials | None,
  tied: bool = True,
  generation: Mapping[str, Any] | None = None,
  directory: str | os.PathLike = '',
):
  """The configuration that a config.json describes.

  Args:
    hf: the file's keys and values.
    ids: of the tokenizer; None where there is none.
    tied: whether the output matrix is the embedding; the tensors tell.
    generation: what generation_config.json says.
    directory: of the files, for messages.

  Raises:
    InputError: names every key that is missing or asks for another model than ours, or
      a token that is one thing here and another there.
  """
  form, path = _format(hf, directory), pathlib.PurePath(directory, CONFIG)
  known = config_json.fields(
    hf, form.title, form.config, form.fields, form.allowed, form.more, path
  )
  size = known['vocab_size']
  tokens = token_ids.agreed(hf, generation or {}, ids, size, form.first, directory)
  if form.first == 'pad':
    del tokens['bos']  # which T5 does not have
  mask = None if ids is None else ids.mask
  if mask is not None and mask >= size:
    name = '<extra_id_0>' if ids.sentinels else '<mask>'
    raise InputError(
      f'This checkpoint has no row for {name}: vocab_size in {path} is {size}, and it '
      f'is token {mask} of the tokenizer.'
    )
  try:
    return form.config(mask=mask, tied=tied, **tokens, **known, **form.read(hf))
  except InputError as error:
    raise InputError(f'{path} does not describe a {form.title}: {error}') from error


def config_to_hf(config) -> dict[str, Any]:
  """The config.json of a configuration."""
  family, form = _form(config)
  return {
    'architectures': [form.architecture],
    'model_type': family,
    'is_encoder_decoder': True,
    **{theirs: getattr(config, ours) for ours, theirs in form.fields.items()},
    **{
      key: getattr(config, ours)
      for ours, key in token_ids.KEYS.items()
      if hasattr(config, ours)
    },
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
  prefix = _prefix(form)
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
  flat: dict[tuple, Any] = {}
  shapes, numbers = [], []
  for name in sorted(expected.keys() & tensors.keys()):
    path, shape = expected[name]
    tensor = tensors[name]
    if tensor.shape != shape:
      shapes.append(f'{name} {tensor.shape}, not {shape}')
      continue
    found = np.asarray(tensor).astype(np.float32)
    if not np.isfinite(found).all():
      numbers.append(f'{name} (of {tensor.dtype})')
    flat[path] = jnp.asarray(_ours(path, found, config))
  missing = sorted(expected.keys() - tensors.keys())
  unknown = sorted(tensors.keys() - expected.keys())
  problems = {
    'missing are': missing,
    'unknown are': unknown,
    'of another shape are': shapes,
    'not finite are': numbers,
  }
  said = [f'{what} {foreign.first(which)}' for what, which in problems.items() if which]
  prefix = checkpoint_files.stray_prefix(unknown, missing)
  if prefix:
    said.append(f'some names begin with {prefix!r} and others do not')
  if said or wrong:
    raise InputError(f'The tensors do not fit the model: {"; ".join([*said, *wrong])}.')
  return traverse_util.unflatten_dict(flat)


def to_hf(params, config, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
  """The tensors by Hugging Face's names, as `save_pretrained` writes them.

  Args:
    params: the tree of parameters.
    config: a BartConfig or T5Config.
    names: those to write, as `load` has found them. None for those that
      `save_pretrained` writes: copies of the embedding are left out where
      `from_pretrained` ties them again.
  """
  _, form = _form(config)
  flat = traverse_util.flatten_dict(params)
  tensors = {
    name: np.ascontiguousarray(_theirs(path, np.asarray(flat[path]), config))
    for name, (path, _) in _layout(config).items()
  }
  copies = (*form.copies, HEAD) if config.tied else form.copies
  if names is None:
    tied = config_to_hf(config)['tie_word_embeddings']
    more = () if tied else copies
    return tensors | {name: tensors[form.shared].copy() for name in more}
  written = {}
  for name in names:
    whole = name if name in (BIAS, HEAD) else _prefix(form) + name
    whole = name if name in tensors or name in copies else whole
    written[name] = tensors[whole] if whole in tensors else tensors[form.shared].copy()
  if BIAS in tensors and BIAS not in written and tensors[BIAS].any():
    written[BIAS] = tensors[BIAS]
  return written


def _form(config) -> tuple[str, Format]:
  for family, form in FORMATS.items():
    if isinstance(config, form.config):
      return family, form
  raise TypeError(f'Not the configuration of a model: {config!r}.')


@functools.lru_cache(maxsize=8)  # Tracing a model takes longer than reading one.
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
    name(path): (
      path,
      _theirs(path, np.broadcast_to(False, x.shape), model.config).shape,
    )
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
