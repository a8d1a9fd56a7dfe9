"""Corpora by name: documents as they are, generated or out of files."""

import functools
import inspect
import itertools
import os
from collections.abc import Callable

from masklearn.data import documents
from masklearn.data.formats import FORMATS
from masklearn.io import records
from masklearn.io.lookup import lookup
from masklearn.tasks import facts, people, world
from masklearn.types import Passage

# Documents, and problems: the first of them; `records.Problems` has the count.
Loaded = tuple[list[Passage], list[str]]


def load_documents(name: str, seed: int, **kwargs) -> Loaded:
  """The documents of a corpus of `CORPORA`, and its problems.

  A problem is a record that was skipped, as FILE:LINE: what; report and count them.
  """
  return lookup(CORPORA, name, 'corpus')(seed=seed, **kwargs)


def corpus_options(name: str) -> tuple[str, ...]:
  """The names of the arguments that a corpus has, besides `seed`.

  >>> corpus_options('world'), corpus_options('jsonl')
  (('copies', 'told'), ('path', 'words', 'annotator', 'runner', 'beam'))
  """
  if name in FORMATS:
    return 'path', 'words', 'annotator', 'runner', 'beam'  # of `prepare_corpus`
  arguments = inspect.signature(lookup(CORPORA, name, 'corpus')).parameters
  return tuple(key for key in arguments if key != 'seed')


def _generated(passages: Callable[..., list[Passage]]) -> Callable[..., Loaded]:
  """A corpus that needs no file; its arguments are those of `passages`."""

  @functools.wraps(passages)
  def loaded(seed, **options):
    return passages(seed, **options), []

  return loaded


def _from_files(name: str, seed: int, path: str | os.PathLike = '') -> Loaded:
  del seed  # The files are what they are.
  found = map(documents.reader(name), documents.find(name, path))
  every = itertools.chain.from_iterable(found)
  return records.collect(every, lambda document, _: document, str(path))


# Those of `FORMATS` have `path`, a file, folder or pattern.
CORPORA: dict[str, Callable[..., Loaded]] = {
  'world': _generated(world.passages),
  'people': _generated(people.passages),
  'facts': _generated(facts.passages),
  **{name: functools.partial(_from_files, name) for name in FORMATS},
}
