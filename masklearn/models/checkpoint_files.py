"""The files of a checkpoint of Hugging Face's: config.json, weights, special tokens.

Only safetensors files are read: they hold numbers and cannot run code.
"""

import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import safetensors
import safetensors.flax

from masklearn.io import foreign
from masklearn.types import InputError

CONFIG, GENERATION = 'config.json', 'generation_config.json'
WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'  # of a checkpoint in several files
_FLOATS = ('F32', 'BF16', 'F16')  # each number of these is one of float32
# Weights that cannot be read, by how their names end, and what to do.
_PICKLE = (
  'a pickle, which can run code when it is read; convert it where you trust it: python '
  "-c \"from transformers import {loader} as M; M.from_pretrained('{directory}')"
  ".save_pretrained('{directory}')\""
)
_OTHERS = {
  'pytorch_model.bin': _PICKLE,
  'pytorch_model.bin.index.json': _PICKLE.replace('a pickle', 'pickles', 1),
  'adapter_model.safetensors': 'an adapter and no model; merge it into its model first',
  '.h5': "TensorFlow's; save the model as safetensors",
  '.msgpack': "Flax's; save the model as safetensors",
  '.safetensors': f'not called {WEIGHTS}; rename it if it holds the whole model',
}
# What libraries put into names: compilation, and training on several devices.
_WRAPPERS = re.compile(
  r'(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.'
)


class Checkpoint(NamedTuple):
  """What a directory says of a model, and its tensors."""

  directory: pathlib.Path
  hf: dict[str, Any]  # config.json
  generation: dict[str, Any]  # generation_config.json, {} where there is none
  tensors: dict[str, Any]  # by their names in the file


def read(directory: str | os.PathLike, loader: str) -> Checkpoint:
  """Reads a checkpoint directory.

  Weights are those that transformers takes: the single file if it is there, or else
  those of the index.

  Args:
    directory: holds config.json, and model.safetensors or several files and
      model.safetensors.index.json.
    loader: class of transformers that reads the model from a pickle.

  Raises:
    InputError: names the file that is missing, damaged, or of another kind.
  """
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise InputError(f'{directory} is no directory of a checkpoint.')
  hf = foreign.read_object(directory / CONFIG)
  generation = {}
  if os.path.lexists(directory / GENERATION):
    generation = foreign.read_object(directory / GENERATION)
  tensors = {}
  for file in _weights(directory, loader):
    tensors |= _read_tensors(file)
  return Checkpoint(directory, hf, generation, tensors)


def _weights(directory, loader):
  """The files of the tensors, all of them there."""
  if os.path.lexists(directory / WEIGHTS):
    return [directory / WEIGHTS]
  if not os.path.lexists(directory / INDEX):
    raise InputError(_no_weights(directory, loader))
  index = directory / INDEX
  parts = foreign.read_object(index).get('weight_map')
  if not isinstance(parts, dict) or not parts:
    raise InputError(f'{index} has no weight_map, which names the files.')
  for name, part in parts.items():
    # A name alone: a path could lead anywhere.
    if not isinstance(part, str) or pathlib.PurePath(part).name != part:
      raise InputError(
        f'{index} must name a file beside it for {name}, got {foreign.shown(part)}.'
      )
  files = sorted(set(parts.values()))
  missing = [name for name in files if not os.path.lexists(directory / name)]
  if missing:
    raise InputError(
      f'{directory} lacks {len(missing)} of the {len(files)} files of '
      f'{INDEX}: {foreign.first(missing)}.'
    )
  return [directory / name for name in files]


def _no_weights(directory, loader):
  found = sorted(path.name for path in directory.iterdir())
  for end, what in _OTHERS.items():
    for name in found:
      if name.endswith(end):
        what = what.format(loader=loader, directory=directory)
        return f'{directory} has no {WEIGHTS}; it has {name}, {what}.'
  return (
    f'{directory} is not a checkpoint: expected {WEIGHTS}, or {INDEX} and its files; '
    f'it has {foreign.first(found, 6) or "no files"}.'
  )


def _read_tensors(file):
  foreign.check(file)
  try:
    with safetensors.safe_open(file, 'numpy') as opened:
      dtypes = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118 (no mapping)
    # Positions of a BERT are whole numbers, which nothing reads.
    other = [
      name for name, dtype in dtypes.items()
      if dtype not in _FLOATS and not name.endswith('position_ids')
    ]  # fmt: skip
    if other:
      raise InputError(
        f'{file} must hold numbers of {", ".join(_FLOATS)}, which become float32 '
        f'unchanged; {foreign.first(other)} of {dtypes[other[0]]}: a quantized model, '
        'or one of another precision.'
      )
    return safetensors.flax.load_file(file)  # which knows bfloat16
  except (OSError, MemoryError) as error:
    raise InputError(f'{file} cannot be read: {error}.') from error
  except safetensors.SafetensorError as error:
    raise InputError(f'{file} is damaged, or cut off: {error}.') from error


def unwrapped(
  tensors: Mapping[str, Any], known: Iterable[str]
) -> tuple[dict[str, Any], str]:
  """Tensors by names without what a wrapper has put in front, such as `module.`.

  Args:
    tensors: by the names in the file.
    known: names of tensors of the model.

  Returns:
    The tensors, and what all names have lost, '' for nothing.

  >>> unwrapped({'module.a.weight': 1, 'module.b.weight': 2}, ['a.weight', 'b.weight'])
  ({'a.weight': 1, 'b.weight': 2}, 'module.')
  """
  known, lost = set(known), ''
  named = {_WRAPPERS.sub('', name): tensor for name, tensor in tensors.items()}
  if named.keys() != tensors.keys() and len(named) == len(tensors):
    lost, tensors = _WRAPPERS.search('.'.join(tensors)).group(), named
  one = next(iter(tensors), '')
  prefixes = [one[: dot.end()] for dot in re.finditer(r'\.', one)]
  prefixes = ['', *(p for p in prefixes if all(n.startswith(p) for n in tensors))]

  def fitting(prefix):
    return sum(name.removeprefix(prefix) in known for name in tensors)

  prefix = max(prefixes, key=fitting)  # of equals the shortest
  named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
  return named, prefix + lost


def stray_prefix(names: Iterable[str], missing: Iterable[str]) -> str:
  """What stands before some of the `missing` names in `names`; '' for nothing."""
  missing = set(missing)
  for name in names:
    for dot in re.finditer(r'\.', name):
      if name[dot.end() :] in missing:
        return name[: dot.end()]
  return ''
