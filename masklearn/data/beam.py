"""The same preparation on Apache Beam, for corpora that outgrow a machine.

The functions are those of one process. A worker reads a whole file at a time, so a
corpus in many files is read by many; all need `masklearn`, and the directory, under
one path. What is grouped by text for its duplicates is grouped again by where it comes
from, so that the passages are stored in the order of the corpus.

References:
  https://beam.apache.org/documentation/programming-guide/
"""

import argparse
import contextlib
import functools
import io
import pathlib
import shlex
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam import runners
from apache_beam.options import pipeline_options
from apache_beam.runners.portability import portable_runner

from masklearn.data import chunking, deduplication, documents, passage_records, store
from masklearn.io import files, records
from masklearn.io.corpus_files import Source
from masklearn.io.lookup import check_name
from masklearn.text import annotators
from masklearn.types import InputError

BLOCK = 4_096  # documents of a file whose passages are stored together
RESULT = 'pipeline.json'

Order = tuple[int, ...]  # file, document of the file, passage of the document


def run(
  directory: pathlib.Path,
  found: Sequence[Source],
  name: str,
  words: int,
  annotator: str,
  runner: str,
  options: str,
  problems: records.Problems,
) -> tuple[dict[str, int], documents.Counts]:
  """Stores the passages of a corpus, as `prepare.prepare_corpus` has it.

  Args:
    directory: gets the files of passages; every worker writes there.
    found: the files of the corpus, in order.
    name: of their format.
    words: of a passage at most.
    annotator: its name.
    runner: such as 'DirectRunner'.
    options: of the runner, as on a command line.
    problems: gets the problems.

  Returns:
    The number of passages in each file, and the counts.

  Raises:
    InputError: a file cannot be read, or there is no such runner.
  """
  made = _runner(runner)
  given = _options(options, made)
  with beam.Pipeline(runner=made, options=given) as pipeline:
    sources = pipeline | beam.Create([*enumerate(map(tuple, found))]) | beam.Reshuffle()
    read = sources | 'read' >> beam.FlatMap(_read, name).with_outputs(main='documents')
    first = (
      read.documents
      | beam.GroupByKey()
      | 'first of an id' >> beam.FlatMap(_first).with_outputs(main='documents')
    )
    cut = first.documents | 'cut' >> beam.FlatMap(_cut, words)
    fresh = cut | 'drop duplicates' >> beam.CombinePerKey(min)
    blocks = fresh | beam.Map(_block) | 'in order' >> beam.GroupByKey()
    stored = blocks | 'store' >> beam.Map(_store, str(directory), annotator)
    bad = (read.problems, first.problems) | 'problems' >> beam.Flatten()
    found = {
      'documents': first.documents | 'count' >> beam.combiners.Count.Globally(),
      'bytes': first.documents | beam.Map(_size) | beam.CombineGlobally(sum),
      'cut': cut | 'count cuts' >> beam.combiners.Count.Globally(),
      'shards': stored | beam.combiners.ToList(),
      'errors': read.errors | 'list errors' >> beam.combiners.ToList(),
      'bad': bad | 'count problems' >> beam.combiners.Count.Globally(),
      'problems': bad | beam.combiners.Top.Smallest(records.EXAMPLES),
    }
    named = [p | f'name {key}' >> beam.Map(_named, key) for key, p in found.items()]
    every = named | 'all' >> beam.Flatten() | beam.combiners.ToDict()
    every | beam.Map(lambda result: files.write_json(directory / RESULT, result))
  result = files.read_json(directory / RESULT)
  if result['errors']:
    raise InputError(min(result['errors'])[1])
  problems.count = result['bad']
  problems.extend(problem for _, problem in result['problems'])
  shards = dict(sorted(result['shards']))
  passages, read = sum(shards.values()), result['documents']
  return shards, documents.Counts(
    read + problems.count, read, passages, result['cut'] - passages, result['bytes']
  )


def _runner(name: str):
  try:
    return runners.create_runner(name)
  except (AttributeError, ImportError, ValueError) as error:
    raise InputError(
      'A runner is one of Beam, such as DirectRunner, FlinkRunner, SparkRunner or '
      f'DataflowRunner, got {name!r}: {error}'
    ) from error


def _options(given: str, runner) -> pipeline_options.PipelineOptions:
  """The options, all known: Beam itself only warns of others, and goes on without."""
  try:
    words = shlex.split(given)
  except ValueError as error:
    raise InputError(f'Options of Beam cannot be read: {error}: {given!r}.') from error
  known = set()
  for group in (pipeline_options.PipelineOptions, *_groups()):
    parser = argparse.ArgumentParser(add_help=False)
    if '_add_argparse_args' in vars(group):
      group._add_argparse_args(parser)
    known.update(parser._option_string_actions)
  # A portable runner asks its server, which has options of its own.
  if not isinstance(runner, portable_runner.PortableRunner):
    for word in words:
      if word.startswith('--'):
        check_name(sorted(known), word.partition('=')[0], 'option of Beam')
  said = io.StringIO()
  try:
    with contextlib.redirect_stderr(said):  # argparse shows all that there are
      made = pipeline_options.PipelineOptions(words)
      made.get_all_options()
  except SystemExit as error:
    reason = said.getvalue().strip().rpartition('error: ')[2]
    raise InputError(f'Options of Beam cannot be read: {reason}.') from error
  return made


def _groups():
  found = [pipeline_options.PipelineOptions]
  for group in found:
    found += group.__subclasses__()
  return found


def _read(indexed: tuple[int, tuple[str, str]], name: str) -> Iterator:
  """Yields (id, (order, place, document)), and what is wrong beside it."""
  index, source = indexed[0], Source(*indexed[1])
  try:
    for i, record in enumerate(documents.reader(name)(source)):
      if document := record.value:
        place, data = str(record.place), passage_records.encode(document)
        yield document.id, ((index, i), place, data)
      else:
        yield beam.TaggedOutput('problems', ((index, i), record.message))
  except InputError as error:
    # A runner would try again, and at last say it in words of its own.
    yield beam.TaggedOutput('errors', (index, str(error)))


def _first(grouped: tuple[str, Iterable]) -> Iterator:
  """Yields (order, document, bytes of text) of the first document of an id."""
  name, found = grouped
  (order, _, data), *others = sorted(found)
  yield order, data, len(passage_records.decode(data).text.encode())
  for order, place, _ in others:
    message = documents.repeated(place, name).message
    yield beam.TaggedOutput('problems', (order, message))


def _size(document: tuple[Order, bytes, int]) -> int:
  return document[2]


def _cut(document: tuple[Order, bytes, int], words: int) -> Iterator:
  """Yields (fingerprint, (order, passage))."""
  order, data, _ = document
  for i, passage in enumerate(chunking.chunk(passage_records.decode(data), words)):
    mark = deduplication.fingerprint(passage.text).to_bytes(8)
    yield mark, ((*order, i), passage_records.encode(passage))


def _block(passage: tuple[bytes, tuple[Order, bytes]]):
  order, data = passage[1]
  return (order[0], order[1] // BLOCK), (order, data)


def _store(
  block: tuple[tuple[int, int], Iterable], directory: str, annotator: str
) -> tuple[str, int]:
  """Writes one file; twice if a worker is tried again, with the same in it."""
  numbers, found = block
  passages = [passage_records.decode(data) for _, data in sorted(found)]
  salient = _annotator(annotator)(passages)
  rows = [
    passage_records.encode(passage, spans)
    for passage, spans in zip(passages, salient, strict=True)
  ]
  name = store.shard_name(*numbers)
  return name, store.write_shard(pathlib.Path(directory) / name, rows)


_annotator = functools.cache(annotators.make)


def _named(value, key: str):
  return key, value
