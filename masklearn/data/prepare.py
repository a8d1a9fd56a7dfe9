"""A corpus prepared once: read, chunked, deduplicated, annotated and stored.

A preparation that was interrupted resumes at the next file of passages, and gives what
it would have given without the interruption. Memory does not grow with
the corpus, but for the fingerprints of passages and of ids (see `deduplication`).

DIRECTORY/, beside what `store` has:
  source.json    what is being prepared, and how
  00000.json     how far the documents of 00000.passages and of all before it went
"""

import itertools
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from masklearn.data import chunking, deduplication, documents, passage_records, store
from masklearn.data.documents import Counts
from masklearn.data.store import Store
from masklearn.io import files
from masklearn.io.corpus_files import Source
from masklearn.io.records import Problems, no_usable_record
from masklearn.text import annotators
from masklearn.types import InputError, Passage

EVERY = 10.0  # seconds between progress messages
AT_ONCE = 512  # passages that are annotated between two looks at `stopped`


def prepare_corpus(
  directory: str | os.PathLike,
  *,
  name: str,
  path: str | os.PathLike,
  words: int = 100,
  annotator: str = 'rules',
  runner: str = '',
  beam: str = '',
  say: Callable[[str], None] = lambda line: None,
  stopped: Callable[[], bool] = lambda: False,
) -> Store:
  """The passages of a corpus, prepared in `directory`.

  Of passages that are equal but for case and white space the first stays, in the order
  of files, lines and cuts. The store's `summary` has `documents`, `passages`,
  `duplicates`, `problems` (how many), `examples` of them as FILE:LINE: what, `bytes` of
  text, and `megabytes_per_second` of the call that finished it.

  Args:
    directory: of the store. One that is finished is read, whatever has become of the
      files; one that is not is continued, or begun again if the files have changed.
    name: a key of `formats.FORMATS`.
    path: a file, a folder or a pattern; see `corpus_files` and `lines`.
    words: of a passage at most; 0 for whole documents. See `chunking.chunk`.
    annotator: of salient spans, see `annotators.make`.
    runner: of Apache Beam, which gives the same passages in the same order; '' needs
      none, and runs in this process.
    beam: options of that runner, as on its command line.
    say: takes progress messages.
    stopped: whether to stop now, asked at every passage; what is not yet in a file of
      passages is made again. A runner is not interrupted.

  Raises:
    KeyboardInterrupt: `stopped` said so.
    InputError: a name is unknown, a file cannot be read, there is no usable record, or
      the directory holds passages that were prepared otherwise.
  """
  directory = pathlib.Path(directory)
  options = {'name': name, 'path': str(path), 'words': words, 'annotator': annotator}
  if os.path.lexists(directory / 'store.json'):
    return _finished(directory, options)
  if not (directory / 'source.json').exists() and files.filled(directory):
    raise InputError(
      f'{directory} has files in it that no preparation made. Give the corpus a '
      'directory of its own.'
    )
  reader, annotate = documents.reader(name), annotators.make(annotator)
  if words < 0:
    raise InputError(f'words must be 0 for whole documents or more, got {words}.')
  found = documents.find(name, path)
  claim = options | {'runner': runner, 'files': list(map(_identity, found))}
  began = time.monotonic()
  problems = Problems()
  if runner:
    begin(directory, claim)
    try:
      shards, counts = _pipeline().run(
        directory, found, name, words, annotator, runner, beam, problems
      )
      fresh = counts.bytes
    except InputError:
      shutil.rmtree(directory)  # Nothing of it would be used again.
      raise
  else:
    stream = documents.read(reader, found, problems)
    made = _run(directory, claim, stream, words, annotate, say, stopped)
    shards, counts, fresh = made
  if not counts.documents:
    shutil.rmtree(directory, ignore_errors=True)
    raise no_usable_record(path, problems)
  summary = {**options, **counts._asdict(), 'problems': problems.count}
  del summary['records']
  rate = fresh / 1e6 / max(time.monotonic() - began, 1e-9)
  summary |= {'examples': list(problems), 'megabytes_per_second': round(rate, 3)}
  return store.finish(directory, shards, summary)


def _pipeline():
  try:
    from masklearn.data import beam  # Slow to import, and an extra.
  except ImportError as error:
    raise InputError(
      "A corpus with a runner needs Apache Beam: pip install 'masklearn[beam]'."
    ) from error
  return beam


def begin(directory: pathlib.Path, claim: Mapping[str, Any]) -> None:
  """Makes a directory that nothing but this preparation has files in.

  What is there is what another has begun: `prepare_corpus` has made sure.
  """
  shutil.rmtree(directory, ignore_errors=True)
  files.write_json(directory / 'source.json', claim)


def _identity(source: Source) -> list:
  status = os.stat(source.path)
  return [source.path, status.st_size, status.st_mtime_ns]


def _finished(directory: pathlib.Path, options: Mapping[str, Any]) -> Store:
  made = Store(directory)
  for key, value in options.items():
    if made.summary.get(key) != value:
      raise InputError(
        f'{directory} holds passages of another preparation: {key} is '
        f'{made.summary.get(key)!r} there and {value!r} here. Give this one a '
        'directory of its own.'
      )
  return made


def _run(directory, claim, stream, words, annotate, say, stopped):
  """Prepares what is left in this process.

  Returns:
    The number of passages in each file, the counts, and the bytes of text that this
    call added.
  """
  seen, shards, counts = deduplication.Seen(), {}, Counts()
  path = directory / 'source.json'
  if path.exists():
    with files.remade(directory):
      if files.read_object(path) == claim:
        shards, counts = _done(directory, seen)
  before, said = counts.bytes, time.monotonic()
  for _ in itertools.islice(stream, counts.records):
    _check(stopped)  # Problems and ids are those of the whole corpus.
  if shards:
    say(f'{directory}: goes on after {counts.documents:,} documents')
  while True:
    counts, fresh = _next(stream, words, seen, counts, stopped)
    if not fresh:
      return shards, counts, counts.bytes - before
    if not shards:
      begin(directory, claim)
    path = directory / store.shard_name(len(shards))
    rows = _annotated(fresh, annotate, stopped)
    shards[path.name] = store.write_shard(path, rows)
    files.write_json(path.with_suffix('.json'), counts._asdict())
    _check(stopped)
    if time.monotonic() - said > EVERY:
      said = time.monotonic()
      say(
        f'{directory}: {counts.documents:,} documents, {counts.passages:,} passages, '
        f'{counts.bytes / 1e6:,.0f} MB'
      )


def _annotated(passages, annotate, stopped) -> Iterator[bytes]:
  """Yields passages with their salient spans."""
  for start in range(0, len(passages), AT_ONCE):
    _check(stopped)
    part = passages[start : start + AT_ONCE]
    for passage, salient in zip(part, annotate(part), strict=True):
      yield passage_records.encode(passage, salient)


def _check(stopped):
  if stopped():
    raise KeyboardInterrupt


def _next(stream, words, seen, counts, stopped) -> tuple[Counts, list[Passage]]:
  """The counts after the next documents, and the passages of one file."""
  read, used, passages, repeats, size = counts
  fresh: list[Passage] = []
  for document in stream:
    _check(stopped)
    read += 1
    if document:
      used += 1
      size += len(document.text.encode())
      for passage in chunking.chunk(document, words):
        _check(stopped)
        if seen.add(deduplication.fingerprint(passage.text)):
          fresh.append(passage)
        else:
          repeats += 1
    if len(fresh) >= store.SHARD:
      break
  return Counts(read, used, passages + len(fresh), repeats, size), fresh


def _done(directory, seen):
  """The files and counts that an earlier call has finished; fills `seen`."""
  shards, counts = {}, Counts()
  while True:
    path = directory / store.shard_name(len(shards))
    if not path.with_suffix('.json').exists():
      return shards, counts
    marker = path.with_suffix('.json')
    said = files.read_object(marker, Counts._fields)
    if any(type(said[name]) is not int for name in Counts._fields):
      raise InputError(f'{marker} is damaged: its counts must be whole numbers.')
    counts = Counts(*(said[name] for name in Counts._fields))
    shards[path.name] = 0
    with store.reading(directory):
      for passage in store.read_shard(path):
        seen.add(deduplication.fingerprint(passage.text))
        shards[path.name] += 1
