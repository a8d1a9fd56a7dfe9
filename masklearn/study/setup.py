"""The corpus, tokenizer and model of a study: made once, and read by every stage.

DIRECTORY/
  tokenizer.json
  passages.jsonl problems.json   of a generated corpus
  documents/ passages/           of one in files: two stores, before and after the cuts
                                 that the model's length asks for
  passages.tokens                of the passages, until `load_or_encode` has read them
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from masklearn import data, models, text
from masklearn.data import array_files
from masklearn.io import checksums, files
from masklearn.io.lookup import check_name
from masklearn.models import pretrained
from masklearn.text import collocations
from masklearn.types import InputError, Passage

STORED = pathlib.Path('documents', 'store.json')
TOKENS = 'passages.tokens'
OWN = 'tokenizer.json', 'passages.jsonl', 'problems.json'


@dataclasses.dataclass(frozen=True)
class Setup:
  """The corpus, its tokenizer, and the model."""

  passages: Sequence[Passage]  # in memory, or a `data.Store`
  problems: tuple[str, ...]  # records that could not be used, or the first of them
  skipped: int  # how many there are
  tokenizer: text.Tokenizer
  model: Any  # a Linen module
  # Where the parameters of a published model are; None for one that is to be trained.
  params: pathlib.Path | None = None

  @functools.cached_property
  def groups(self) -> tuple[str, ...]:
    """What each passage is about; a store is read for it once."""
    return tuple(passage.group for passage in self.passages)


def prepare(
  directory: str | os.PathLike,
  *,
  seed: int,
  name: str,
  longest: int,
  tokenizer: str,
  vocabulary: int,
  model: Mapping[str, Any],
  entities: int = 0,
  say: Callable[[str], None] = lambda line: None,
  stopped: Callable[[], bool] = lambda: False,
  **corpus_options,
) -> Setup:
  """Reads the corpus and its tokenizer, or makes them.

  Args:
    directory: gets the corpus and tokenizer.json.
    seed: of a generated corpus.
    name: a key of `data.CORPORA`.
    longest: tokens of a passage at most; longer ones are cut into several.
    tokenizer: a file, directory or Hugging Face name; '' is that of a published model,
      or trains one on the corpus.
    vocabulary: size of a trained one.
    entities: of the first so many groups, each word of the name is a token.
    model: arguments of `models.make_model`, but for vocabulary and tokens; with
      `checkpoint`, a directory of `pretrained.from_hf`, the others must fit it.
    say: takes progress messages.
    stopped: whether to stop; see `data.prepare_corpus`.
    **corpus_options: arguments of the corpus, or of `data.prepare_corpus`.
  """
  directory, options = pathlib.Path(directory), dict(model)
  checkpoint = options.pop('checkpoint', '')
  if checkpoint:
    published = published_model(checkpoint, tokenizer, **options)
    tokenizer = checkpoint
  own = directory / 'tokenizer.json'
  _check(directory)

  def tokens(passages: Iterable[Passage]) -> text.Tokenizer:
    if not own.exists():
      sizes = vocabulary, entities
      _tokenizer(tokenizer, passages, *sizes, model['name'], stopped).save(own)
    return text.load_tokenizer(own)

  def fitted(documents: Iterable[Passage], used: text.Tokenizer) -> Iterator[Passage]:
    encoded = data.fit_passages(_until(stopped, documents), used.encode, longest)
    return array_files.hand_on(directory / TOKENS, encoded)

  if name in data.FORMATS:
    prepared = data.prepare_corpus(
      directory / 'documents', name=name, say=say, stopped=stopped, **corpus_options
    )
    used, summary = tokens(prepared), prepared.summary
    if (directory / 'passages' / 'store.json').exists():
      passages = data.Store(directory / 'passages')
    else:
      passages = data.write_store(directory / 'passages', fitted(prepared, used))
    problems, skipped = summary['examples'], summary['problems']
  else:
    made = directory / 'passages.jsonl'
    if made.exists():
      passages, problems = _generated(directory)
      used = tokens(passages)
    else:
      documents, problems = data.load_documents(name, seed, **corpus_options)
      used = tokens(documents)
      passages = tuple(fitted(documents, used))
      files.write_json(directory / 'problems.json', problems)
      data.write_passages(made, passages)  # last: its presence says that all is there
    passages, skipped = tuple(passages), len(problems)
  _note_checksums(directory)
  if checkpoint:
    pretrained.start_with(used, published[0].config)
  else:
    net = models.make_model(vocab_size=used.size, ids=used.specials, **options)
    published = net, None
  return Setup(passages, tuple(problems), skipped, used, *published)


def units(directory: str | os.PathLike, passages: Sequence[Passage]) -> Callable:
  """The `Collocations.units` of a corpus, counted once; in its directory."""
  path = pathlib.Path(directory) / 'collocations.json'
  with files.remade(path):
    if path.exists():
      checksums.check(path.parent, [path.name])
    found = collocations.load_or_count(path, passages)
  if path.name not in checksums.read(path.parent):
    checksums.add(path.parent, [path.name])
  return found.units


def summary(directory: str | os.PathLike) -> dict[str, Any]:
  """The counts of `prepare`: documents, passages, duplicates, problems and more.

  Of a generated corpus, passages and problems.
  """
  directory = pathlib.Path(directory)
  if (directory / STORED).exists():
    return data.Store(directory / 'documents').summary
  passages, problems = _generated(directory)
  return {'passages': len(passages), 'problems': len(problems)}


def _generated(directory):
  """The passages of a generated corpus, and the records that could not be used."""
  path = directory / 'problems.json'
  with files.remade(directory):
    if not path.exists():
      raise InputError(f'{path} is missing.')
    problems = files.read_json(path)
    if not isinstance(problems, list) or not all(isinstance(p, str) for p in problems):
      raise InputError(f'{path} is damaged: it must hold a list of strings.')
    return data.read_passages(directory / 'passages.jsonl'), problems


def _check(directory):
  """Makes the directory, or compares its own files with their checksums."""
  directory.mkdir(parents=True, exist_ok=True)
  with files.remade(directory):
    checksums.check(directory, OWN)


def _note_checksums(directory):
  listed = checksums.read(directory)
  if new := [n for n in OWN if n not in listed and (directory / n).exists()]:
    checksums.add(directory, new)


def _tokenizer(name, passages, vocabulary, entities, family, stopped):
  if name:
    return text.load_tokenizer(name)
  texts = (passage.text for passage in passages)
  made = text.train_tokenizer(texts, vocabulary, family, stopped)
  groups = {}
  for passage in passages:
    if len(groups) == entities:
      break
    groups.setdefault(passage.group)
  return text.with_words(made, groups) if groups else made


def _until(stopped, passages):
  for passage in passages:
    if stopped():
      raise KeyboardInterrupt
    yield passage


def published_model(checkpoint, tokenizer, name, size, **changes):
  """The module of a published model, with fields changed; and its parameters' place.

  Args:
    checkpoint: directory of the model.
    tokenizer: must be empty, as the model has one.
    name: the family that the config names.
    size: not used, as the checkpoint has one.
    **changes: fields of the model's configuration that no parameter depends on.

  Raises:
    InputError: the checkpoint cannot be trained, or is another model.
  """
  if tokenizer:
    raise InputError(
      'A published model has the tokenizer that it was trained with: leave '
      f'config.corpus.tokenizer empty, got {tokenizer!r}.'
    )
  del size  # The checkpoint has one.
  model, own = pretrained.load_shape(checkpoint)
  if own is None:
    raise InputError(
      f'{checkpoint} has no tokenizer: it was converted with --tokenizer=none. Convert '
      'it with one to train it.'
    )
  family = type(model).__name__.lower()
  if family != name:
    said = f'{checkpoint} holds a {family}, but config.model.name is {name!r}.'
    raise InputError(said)
  fields = {field.name for field in dataclasses.fields(model.config)}
  for field in changes.keys() - fields:
    check_name(sorted(fields), field, f'field of a {name}')
  net = type(model)(dataclasses.replace(model.config, **changes))
  if models.param_shapes(net) != models.param_shapes(model):
    raise InputError(
      f'The model at {checkpoint} has another shape than config.model asks for: leave '
      f'out {", ".join(sorted(changes))}, as far as they change it.'
    )
  return net, pathlib.Path(checkpoint) / 'params'
