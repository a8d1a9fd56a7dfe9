"""A model on disk, whole: its shape, its parameters and its tokenizer.

  DIR/model.json       family, configuration, and what else config.json said
  DIR/params           the parameters
  DIR/tokenizer.json   and other files of the tokenizer, as they came

`from_hf` makes one of a directory of Hugging Face's, `to_hf` the other way round;
neither changes a number. Both write all or nothing, and over nothing.
"""

import dataclasses
import os
import pathlib
import shutil
from typing import Any, NamedTuple

import jax

from masklearn import models, text
from masklearn.io import checkpoint, files
from masklearn.models import convert
from masklearn.models.formats import FORMATS
from masklearn.types import InputError

# What belongs to a tokenizer or to decoding, and is carried along untouched.
CARRIED = (
  'added_tokens.json', 'generation_config.json', 'merges.txt',
  'special_tokens_map.json', 'spiece.model', 'tokenizer.json',
  'tokenizer_config.json', 'vocab.json',
)  # fmt: skip


class Pretrained(NamedTuple):
  """The contents of a directory."""

  model: Any  # a Linen module
  params: Any
  tokenizer: text.Tokenizer


def is_ours(directory: str | os.PathLike) -> bool:
  """Whether a directory is one of these, and not Hugging Face's."""
  return (pathlib.Path(directory) / 'model.json').is_file()


def load_model(directory: str | os.PathLike) -> Pretrained:
  """The model of a directory that `from_hf` or `experiments.convert` has written.

  Args:
    directory: with model.json, params and a tokenizer.

  Returns:
    The Linen module, its parameters and the tokenizer.

  Raises:
    InputError: names the file that is missing, or that cannot be used.

  >>> load_model('nowhere')
  Traceback (most recent call last):
  masklearn.types.InputError: nowhere/model.json cannot be used: ..
  """
  directory = pathlib.Path(directory)
  try:
    said = files.read_json(directory / 'model.json')
    form = FORMATS[said['family']]
    config = form.config(**said['config'])
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise InputError(f'{directory / "model.json"} cannot be used: {error!r}') from error
  if not (directory / 'params').is_dir():
    raise InputError(f'{directory} has a model.json, but no params beside it.')
  model = form.module(config)
  like = jax.eval_shape(lambda: models.init_params(model, jax.random.key(0)))
  params = checkpoint.restore(directory / 'params', like)
  return Pretrained(model, params, text.load_tokenizer(directory))


def from_hf(source: str | os.PathLike, target: str | os.PathLike) -> Any:
  """Reads a directory of Hugging Face's and writes ours; returns the configuration.

  Args:
    source: with config.json, model.safetensors and a fast tokenizer.
    target: must not exist, or be empty.

  Raises:
    InputError: says what of `source` cannot be used; nothing is written then.
  """
  source = pathlib.Path(source)
  tokenizer = text.load_tokenizer(source)
  config, params = convert.load(source, tokenizer.specials.mask)
  if tokenizer.size > config.vocab_size:
    raise InputError(
      f'The tokenizer of {source} has {tokenizer.size} tokens, the embedding only '
      f'{config.vocab_size} rows; they do not belong together.'
    )
  hf = files.read_json(source / 'config.json')
  with files.new_directory(target) as partial:
    checkpoint.save(partial / 'params', params)
    said = {'family': hf['model_type'], 'config': dataclasses.asdict(config)}
    files.write_json(partial / 'model.json', said | {'huggingface': hf})
    _carry(source, partial)
    if not (partial / 'tokenizer.json').exists():  # older files than that
      tokenizer.save(partial / 'tokenizer.json')
  return config


def to_hf(source: str | os.PathLike, target: str | os.PathLike) -> Any:
  """Reads one of our directories and writes Hugging Face's; returns the configuration.

  Args:
    source: as `from_hf` has written it.
    target: must not exist, or be empty.
  """
  source = pathlib.Path(source)
  model, params, _ = load_model(source)
  extra = files.read_json(source / 'model.json').get('huggingface', {})
  with files.new_directory(target) as partial:
    convert.save(partial, model.config, params, extra)
    _carry(source, partial)
  return model.config


def _carry(source, target):
  for name in CARRIED:
    if (source / name).is_file():
      shutil.copyfile(source / name, target / name)
