"""Documents -> passages with annotations, generated or from files, and on disk.

`load` gives documents as they are, `prepare` the passages of a corpus that may be
larger than memory: read, cut, freed of duplicates, annotated and stored.
"""

import functools
import os
from collections.abc import Callable

from masklearn import tasks
from masklearn.corpus.cutting import cut, fit, split
from masklearn.corpus.formats import FORMATS
from masklearn.corpus.preparing import Problems, documents, find, prepare, reader
from masklearn.corpus.records import passage, read, read_jsonl, write
from masklearn.corpus.store import Store
from masklearn.corpus.store import write as write_store
from masklearn.tasks import people, world
from masklearn.types import Passage


def load(name: str, seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  """Returns the documents of a corpus of `CORPORA`, and its problems.

  A problem is a record that was skipped, as FILE:LINE: what; report and count them.
  """
  return tasks.lookup(CORPORA, name, 'corpus')(seed=seed, **kwargs)


def _world(seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  return world.passages(seed, **kwargs), []


def _people(seed: int, **kwargs) -> tuple[list[Passage], list[str]]:
  return people.passages(seed, **kwargs), []


def _from_files(
  name: str, seed: int, path: str | os.PathLike = ''
) -> tuple[list[Passage], list[str]]:
  del seed  # The files are what they are.
  problems = Problems(kept=None)
  stream = documents(reader(name), find(name, path), problems)
  found = [document for document in stream if document]
  if not found:
    raise problems.refuse(path)
  return found, problems.first


# Those of `FORMATS` have `path`, a file, folder or pattern.
CORPORA: dict[str, Callable[..., tuple[list[Passage], list[str]]]] = {
  'world': _world,
  'people': _people,
  **{name: functools.partial(_from_files, name) for name in FORMATS},
}

__all__ = [
  'CORPORA', 'FORMATS', 'Store', 'cut', 'fit', 'load', 'passage', 'prepare', 'read',
  'read_jsonl', 'split', 'write', 'write_store',
]  # fmt: skip
