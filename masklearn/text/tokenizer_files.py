"""Tokenizers in files: ours, and those that come with a published model."""

import contextlib
import importlib.util
import logging
import os
import pathlib
import re
from collections.abc import Iterator

import tokenizers

from masklearn.io import foreign
from masklearn.text.tokenizer import MARKS, Tokenizer
from masklearn.types import InputError

# The vocabularies of older programs, the files of each, and whose they are.
VOCABULARIES = (
  (('spiece.model',), 'T5'),
  (('sentencepiece.bpe.model',), 'mBART'),
  (('tokenizer.model',), 'UMT5'),
  (('vocab.json', 'merges.txt'), 'BART'),
  (('vocab.txt',), 'BERT'),
)
# What else tells how such a vocabulary is used.
SETTINGS = ('added_tokens.json', 'special_tokens_map.json', 'tokenizer_config.json')
_NAME = re.compile(r'[\w.-]+(/[\w.-]+)?')  # of a tokenizer on Hugging Face's hub
_LARGEST = 2**24  # ids; an embedding of so many rows fits no machine


def load_tokenizer(path: str | os.PathLike) -> Tokenizer:
  """Reads `tokenizer.json`, from a file or a directory; or a Hugging Face name.

  A name, or a directory of older files without `tokenizer.json`, goes through
  `transformers.AutoTokenizer`, which needs its hub or its cache for a name, and
  sentencepiece for spiece.model.

  Args:
    path: file, directory or name.

  Raises:
    InputError: names what is missing, damaged, or cannot be read; also a vocabulary
      that has no words, which AutoTokenizer makes where it finds none.
  """
  file = pathlib.Path(path)
  if file.is_dir():
    if not os.path.lexists(file / 'tokenizer.json'):
      return _checked(_read_directory(file), path)
    file = file / 'tokenizer.json'
  if os.path.lexists(file):
    return _checked(_read_json(file), file)
  if not _NAME.fullmatch(str(path)):
    raise InputError(f'No tokenizer at {path}: there is no such file or directory.')
  return _checked(_read_name(str(path)), path)


def has_vocabulary(directory: str | os.PathLike) -> bool:
  """Whether a directory has a tokenizer, of any kind, whole or damaged."""
  names = {'tokenizer.json', *(name for files, _ in VOCABULARIES for name in files)}
  return any(os.path.lexists(pathlib.Path(directory) / name) for name in names)


def _checked(backend: tokenizers.Tokenizer, path) -> Tokenizer:
  """The tokenizer, unless its vocabulary cannot be used."""
  ids = backend.get_vocab()
  tokens = set(ids) - {'<unk>', '[UNK]', *MARKS[0], *MARKS[1]}
  if not any(re.sub('<extra_id_[0-9]+>|[▁Ġ#]', '', token) for token in tokens):
    raise InputError(
      f'The tokenizer at {path} has no words: its vocabulary is empty but for special '
      'tokens.'
    )
  last = max(ids, key=ids.__getitem__)
  if ids[last] >= _LARGEST:
    raise InputError(
      f'The tokenizer at {path} is damaged: the id of {last!r} must be below '
      f'{_LARGEST}, got {ids[last]}.'
    )
  try:
    return Tokenizer(backend)
  except InputError as error:
    raise InputError(f'{path}: {error}') from error


def _read_json(file):
  foreign.check(file)
  try:
    content = file.read_text(encoding='utf-8')
  except (OSError, UnicodeDecodeError) as error:
    raise InputError(f'{file} is no tokenizer: {error}.') from error
  try:
    return tokenizers.Tokenizer.from_str(content)
  except BaseException as error:  # of Rust, also panics
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
      raise
    foreign.read_object(file)  # It says so if this is no JSON.
    raise InputError(
      f'{file} is no tokenizer that tokenizers {tokenizers.__version__} can read: '
      f'{error}. It is damaged, or of a newer version.'
    ) from error


def _read_directory(directory):
  for needed, _ in VOCABULARIES:
    there = [name for name in needed if os.path.lexists(directory / name)]
    if there:
      break
  else:
    known = [f'{" with ".join(names)} ({whose})' for names, whose in VOCABULARIES]
    found = sorted(path.name for path in directory.iterdir())
    raise InputError(
      f'{directory} has no vocabulary: expected tokenizer.json, '
      f'{", ".join(known[:-1])} or {known[-1]}; it has '
      f'{foreign.first(found, 6) or "no files"}.'
    )
  for name in needed:
    foreign.check(directory / name)  # what is missing, too
  settings = {
    name: foreign.read_object(directory / name)
    for name in (*SETTINGS, 'config.json')
    if os.path.lexists(directory / name)
  }
  if needed[0].endswith('.model'):
    _check_sentencepiece(directory / needed[0])
  else:
    _check_marks(directory / needed[0], settings)
  if needed[0] == 'vocab.json':
    _check_merges(directory)
  return _from_transformers(directory, local_files_only=True)


def _check_sentencepiece(file):
  if importlib.util.find_spec('sentencepiece') is None:
    raise InputError(
      f'{file} needs sentencepiece, which is not installed: pip install '
      "'masklearn[sentencepiece]'."
    )
  try:
    from sentencepiece import sentencepiece_model_pb2
  except Exception as error:  # of a protobuf that does not fit, too
    why = ' '.join(str(error).split())
    raise InputError(
      f'{file} needs another sentencepiece or protobuf: {why}'
    ) from error
  model = sentencepiece_model_pb2.ModelProto()
  try:
    model.ParseFromString(file.read_bytes())
    whole = model.HasField('trainer_spec') and model.HasField('normalizer_spec')
  except Exception as error:
    raise InputError(f'{file} is damaged: no model of sentencepiece.') from error
  if not whole:  # They come last.
    raise InputError(f'{file} is damaged: a model of sentencepiece that is cut off.')


def _check_marks(file, settings):
  """Refuses a vocabulary without its special tokens, which transformers would add."""
  if file.suffix == '.json':
    marks, tokens = MARKS[0], set(foreign.read_object(file))
  else:
    try:
      marks, tokens = MARKS[1], set(file.read_text(encoding='utf-8').split('\n'))
    except UnicodeDecodeError as error:
      raise InputError(f'{file} is no text: {error}.') from error
  tokens |= settings.get('added_tokens.json', {}).keys()
  more = settings.get('tokenizer_config.json', {}).get('added_tokens_decoder', {})
  if isinstance(more, dict):
    tokens |= {t.get('content') for t in more.values() if isinstance(t, dict)}
  missing = [name for name in marks if name not in tokens]
  if missing:
    raise InputError(
      f'{file} has no {" and no ".join(missing)}: it is cut off, or of another family.'
    )


def _check_merges(directory):
  """Refuses merges.txt that is cut off: words would fall to pieces, silently."""
  vocabulary = foreign.read_object(directory / 'vocab.json')
  try:
    lines = (directory / 'merges.txt').read_text(encoding='utf-8').splitlines()
  except UnicodeDecodeError as error:
    raise InputError(f'{directory / "merges.txt"} is no text: {error}.') from error
  merged = {''.join(pair) for line in lines if len(pair := line.split(' ')) == 2}
  wanted = [t for t in vocabulary if len(t) > 1 and not re.fullmatch('<.*>', t)]
  missing = [token for token in wanted if token not in merged]
  # A few stand in published vocabularies that nothing makes, such as madeupword0000.
  if len(missing) > max(4, len(wanted) // 20):
    raise InputError(
      f'{directory / "merges.txt"} is damaged: nothing in it makes {len(missing)} of '
      f'the {len(wanted)} tokens of several characters in vocab.json, such as '
      f'{missing[0]!r}.'
    )


def _read_name(name):
  try:
    return _from_transformers(name)
  except InputError as error:
    raise InputError(
      f'No tokenizer at {name}: expected tokenizer.json, a directory with it, or the '
      f'name of a Hugging Face tokenizer that is reachable. {error}'
    ) from error


def _from_transformers(path, **options):
  import transformers  # Slow to import, and most runs have a tokenizer.json.

  with _collected('transformers') as said:
    try:
      loaded = transformers.AutoTokenizer.from_pretrained(
        str(path), trust_remote_code=False, **options
      )
    except BaseException as error:  # of any kind: also Rust's panics
      if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise
      # What it said before it fell back on something else is the cause.
      why = ' '.join([*said, str(error)])
      raise InputError(
        f'transformers cannot read the tokenizer at {path}: {" ".join(why.split())}'
      ) from error
  if not loaded.is_fast:
    raise InputError(f'Only fast tokenizers keep offsets; {path} is not one.')
  return loaded.backend_tokenizer


@contextlib.contextmanager
def _collected(name: str) -> Iterator[list[str]]:
  """The warnings of a library, in place of their lines on stderr."""
  said: list[str] = []
  logger, handler = logging.getLogger(name), logging.Handler()
  handler.emit = lambda record: said.append(record.getMessage())
  before, logger.handlers = logger.handlers, [handler]
  try:
    yield said
  finally:
    logger.handlers = before
