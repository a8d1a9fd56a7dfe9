"""A model on disk, whole: its shape, its parameters and its tokenizer.

  DIR/model.json       family, configuration, what else config.json said, and the names
                       of the tensors that there were
  DIR/params           the parameters
  DIR/tokenizer.json   and other files of the tokenizer, as they came

`from_hf` makes one of a directory of Hugging Face's, `to_hf` the other way round;
neither changes a number, or adds a tensor. Both write all or nothing, and over nothing.
"""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

from masklearn import models, text
from masklearn.io import checkpoint, files, foreign
from masklearn.models import convert
from masklearn.models.formats import FORMATS
from masklearn.types import InputError

# What belongs to a tokenizer, and is carried along untouched.
TOKENIZER = (
  'added_tokens.json', 'merges.txt',
  'special_tokens_map.json', 'spiece.model', 'tokenizer.json',
  'tokenizer_config.json', 'vocab.json', 'sentencepiece.bpe.model', 'tokenizer.model',
  'vocab.txt',
)  # fmt: skip


class Pretrained(NamedTuple):
  """The contents of a directory."""

  model: Any  # a Linen module
  params: Any
  tokenizer: text.Tokenizer | None  # None of a model that was converted without


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
  model, tokenizer = load_shape(directory)
  like = models.param_shapes(model)
  params = checkpoint.restore(pathlib.Path(directory) / 'params', like)
  return Pretrained(model, params, tokenizer)


def load_shape(
  directory: str | os.PathLike,
) -> tuple[Any, text.Tokenizer | None]:
  """The same without the parameters, which lie in `directory/params`."""
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
  if config.mask is None:  # It was converted without a tokenizer.
    return model, None
  tokenizer = text.load_tokenizer(directory)
  start_with(tokenizer, config)
  return model, tokenizer


def start_with(tokenizer: text.Tokenizer, config) -> None:
  """Lets targets begin with what the decoder of a model reads first."""
  tokenizer.specials = tokenizer.specials._replace(start=config.decoder_start)


def from_hf(
  source: str | os.PathLike,
  target: str | os.PathLike,
  tokenizer: str | os.PathLike | None = '',
  say: Callable[[str], None] = lambda line: None,
) -> Any:
  """Reads a directory of Hugging Face's and writes ours; returns the configuration.

  Args:
    source: with config.json, model.safetensors and a fast tokenizer.
    target: must not exist, or be empty.
    tokenizer: file or directory of the tokenizer, '' for that of `source`; None
      converts without one, and nothing can then be trained on what is written.
    say: takes remarks, such as that the output matrix is tied.

  Raises:
    InputError: says what of `source` cannot be used; nothing is written then.
  """
  source = pathlib.Path(source)
  place = pathlib.Path(tokenizer or source)
  used = None if tokenizer is None else _tokenizer(place)
  loaded = convert.load(source, used and used.specials)
  config = loaded.config
  if used is not None:
    beyond = used.tokens_from(config.vocab_size)
    if beyond:
      raise InputError(
        f'This checkpoint has no row for {foreign.first(beyond)}: vocab_size in '
        f'{source / "config.json"} is {config.vocab_size}, the greatest id of the '
        f'tokenizer of {place} {used.size - 1}; they do not belong together.'
      )
    free = config.vocab_size - used.size
    if free:
      say(f'{free} of {config.vocab_size} rows belong to no token of the tokenizer.')
  for remark in loaded.remarks:
    say(remark)
  with files.new_directory(target) as partial:
    checkpoint.save(partial / 'params', loaded.params)
    hf = loaded.hf
    said = {'family': hf['model_type'], 'config': dataclasses.asdict(config)}
    said |= {'huggingface': hf, 'tensors': loaded.names}
    files.write_json(partial / 'model.json', said)
    _carry(source, partial, ('generation_config.json',))
    if used is not None:
      _carry(place, partial, TOKENIZER)  # of a directory; a file may have any name
      if not (partial / 'tokenizer.json').exists():
        used.save(partial / 'tokenizer.json')
  return config


def to_hf(source: str | os.PathLike, target: str | os.PathLike) -> Any:
  """Reads one of our directories and writes Hugging Face's; returns the configuration.

  Args:
    source: as `from_hf` has written it.
    target: must not exist, or be empty.
  """
  source = pathlib.Path(source)
  model, params, _ = load_model(source)
  said = files.read_json(source / 'model.json')
  extra, names = said.get('huggingface', {}), said.get('tensors')
  with files.new_directory(target) as partial:
    convert.save(partial, model.config, params, extra, names)
    _carry(source, partial, (*TOKENIZER, 'generation_config.json'))
  return model.config


def _tokenizer(place):
  try:
    return text.load_tokenizer(place)
  except InputError as error:
    if not place.is_dir() or text.has_vocabulary(place):
      raise
    raise InputError(
      f'{error} Give --tokenizer=PATH if it is elsewhere, --tokenizer=none to convert '
      'without one.'
    ) from error


def _carry(source, target, names):
  for name in names:
    if (source / name).is_file():
      shutil.copyfile(source / name, target / name)
