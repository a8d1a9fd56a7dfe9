"""Ids of special tokens, on which two config files and the tokenizer must agree.

Hugging Face trains with those of config.json, decodes with those of
generation_config.json, and encodes with those of the tokenizer. Ours has one of each.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from masklearn.io.foreign import shown
from masklearn.models.checkpoint_files import CONFIG, GENERATION
from masklearn.types import InputError, Specials

# Our field -> the key in the files.
KEYS = {
  'pad': 'pad_token_id',
  'bos': 'bos_token_id',
  'eos': 'eos_token_id',
  'decoder_start': 'decoder_start_token_id',
}
# What a decoder is made to write first, and last, and which of ours it must be.
_FORCED = {'forced_bos_token_id': 'bos', 'forced_eos_token_id': 'eos'}


def agreed(
  hf: Mapping[str, Any],
  generation: Mapping[str, Any],
  ids: Specials | None,
  vocab_size: int,
  first: str,
  directory: str | pathlib.PurePath = '',
) -> dict[str, int | None]:
  """The id of each of `KEYS`, None for `bos` where the model has none.

  Args:
    hf: what config.json says.
    generation: what generation_config.json says.
    ids: of the tokenizer; None where there is none.
    vocab_size: V.
    first: what the decoder reads first where no file says it: 'pad', T5's, or 'eos'.
    directory: of the files, for messages.

  Raises:
    InputError: two of them have different ids, all are silent, or one is no token.
  """
  files = {CONFIG: hf, GENERATION: generation}
  # A T5 has no use for <s>, whatever its files say.
  keys = {ours: key for ours, key in KEYS.items() if ours != 'bos' or first != 'pad'}
  said: dict[str, dict[str, int]] = {ours: {} for ours in KEYS}
  for ours, key in keys.items():
    for name, values in files.items():
      value = _id(values.get(key), key, vocab_size, pathlib.PurePath(directory, name))
      if value is not None:
        said[ours][name] = value
    own = getattr(ids, ours, None) if ours != 'decoder_start' else None
    if own is not None:
      said[ours]['the tokenizer'] = own
    _check_same(key, said[ours], directory)
  found = {ours: next(iter(values.values()), None) for ours, values in said.items()}
  if found['decoder_start'] is None:
    found['decoder_start'] = found[first]
  silent = [key for ours, key in keys.items() if found[ours] is None]
  if silent:
    raise InputError(
      f'{pathlib.PurePath(directory, CONFIG)} has no {" and no ".join(silent)}, and '
      'there is no tokenizer to say it.'
    )
  for key, ours in _FORCED.items():
    for name, values in files.items():
      path = pathlib.PurePath(directory, name)
      value = _id(values.get(key), key, vocab_size, path)
      if value not in (None, found[ours]):
        rule = (
          'null' if found[ours] is None else f'{KEYS[ours]}, {found[ours]}, or null'
        )
        raise InputError(
          f'{key} in {path} must be {rule}, as targets are trained so; got {value}.'
        )
  return found


def _id(value, key, vocab_size, path):
  """An id as a file has it; a list of one is one."""
  if isinstance(value, list) and len(value) == 1:
    value = value[0]
  if value is None:
    return None
  if not isinstance(value, int) or isinstance(value, bool) or value not in range(
    vocab_size
  ):  # fmt: skip
    raise InputError(
      f'{key} in {path} must be the id of one token, from 0 to {vocab_size - 1}, got '
      f'{shown(value)}.'
    )
  return value


def _check_same(key, said, directory):
  if len(set(said.values())) > 1:
    places = [
      f'{value} in {place if " " in place else pathlib.PurePath(directory, place)}'
      for place, value in said.items()
    ]
    raise InputError(
      f'{key} must be the same everywhere, got {", ".join(places)}: one of them is of '
      'another model.'
    )
