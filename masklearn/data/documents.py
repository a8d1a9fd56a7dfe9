"""The documents of a corpus in files: found, read and counted, and their problems.

A preparation in one process and one on Beam have this in common.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from masklearn.data import deduplication, formats
from masklearn.io import corpus_files
from masklearn.io.corpus_files import Source
from masklearn.io.lookup import lookup
from masklearn.io.records import Problems, Record
from masklearn.types import InputError, Passage

Reader = Callable[[Source], Iterable[Record]]


class Counts(NamedTuple):
  """How far a preparation is."""

  records: int = 0  # documents and problems
  documents: int = 0
  passages: int = 0  # without the duplicates
  duplicates: int = 0
  bytes: int = 0  # of the documents' texts in UTF-8


def reader(name: str) -> Reader:
  """The reader of a format; an `InputError` names the nearest."""
  return lookup(formats.FORMATS, name, 'format of a corpus')


def find(name: str, path: str | os.PathLike) -> list[Source]:
  """The files of a corpus; an `InputError` where there are none."""
  if not str(path):
    raise InputError(
      f'Corpus {name!r} needs path=FILE, its documents; a folder or a pattern will do.'
    )
  return corpus_files.find(path)


def read(
  reader: Reader, found: Iterable[Source], problems: Problems
) -> Iterator[Passage | None]:
  """Yields the documents of files, and None for each problem, which is added.

  A document with the id of an earlier one is a problem.
  """
  ids = deduplication.Seen()
  for source in found:
    for record in reader(source):
      document = record.value
      if document and not ids.add(deduplication.digest(document.id)):
        document, record = None, repeated(record.place, document.id)
      if not document:
        problems.add(record)
      yield document


def repeated(place, name: str) -> Record:
  """What is wrong with a document whose id an earlier one has."""
  return Record(place, problem=f'id {name!r} occurs before.')
