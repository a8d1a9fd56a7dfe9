"""A file of texts -> a file of what a policy hides of each, in one pass.

An output line is the JSON object {"id", "text", "spans": [[start, end, probability],
...], "source", "target"}, in the order of the input; a document of more tokens than a
passage may have is several lines, X/0, X/1 and so on. Offsets count characters of
`text`. A span's probability is the one that a draw hides its tokens, their mean, see
`sampling.inclusion`.

Memory does not grow with the file: passages are read, masked and written in groups, and
after each the file's state is saved, from which an interrupted run goes on. It then
writes what it would have written anyway, to the byte.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import masklearn
from masklearn import text
from masklearn.data import stream
from masklearn.io import files
from masklearn.io.lines import Offset
from masklearn.io.progress import Progress
from masklearn.masking import infill
from masklearn.masking.apply import ROWS, Hidden, Masker, choose
from masklearn.policies import statistics
from masklearn.text import collocations
from masklearn.types import InputError, Passage

GROUP = 16 * ROWS  # passages that are written together, or a few more
SAID = 20  # documents that cannot be used, of which each is said; others are counted
VIEWED = 24  # passages that are shown
DRAWS = 200  # of each, for the probabilities that are shown


@dataclasses.dataclass(frozen=True)
class Order:
  """What is to be done; the fields are the flags of `experiments.mask`."""

  policy: str  # name or directory
  input: str  # JSON lines or, if it ends with .txt, plain text; plain or .gz
  output: str
  tokenizer: str = ''
  rate: float | None = None
  seed: int = 0
  format: str = 't5'
  target: str = 'spans'
  annotator: str = ''
  reference: str = ''
  collocations: str = ''  # file; '' counts them on the input
  length: int = 254  # tokens of a passage


class Counts(NamedTuple):
  """What was done so far, and where in the input it ended."""

  offset: int = 0  # bytes, uncompressed
  line: int = 0
  records: int = 0
  skipped: int = 0  # records
  passages: int = 0
  spans: int = 0
  lost_spans: int = 0  # for which T5 has no sentinel
  words: int = 0
  hidden_words: int = 0

  def __str__(self):
    lost = f'; {self.lost_spans} spans without a sentinel stay shown'
    return (
      f'{self.passages} passages of {self.records - self.skipped} records, '
      f'{self.spans} spans, {self.hidden_words / max(self.words, 1):.1%} of the words'
      f'; {self.skipped} records skipped{lost if self.lost_spans else ""}'
    )


def run(order: Order, progress: Progress) -> Counts:
  """Masks a file, or what is left of it.

  Args:
    order: what is to be done.
    progress: shows how far it is, and each record that cannot be used.

  Raises:
    InputError: what is asked for does not exist or does not fit; the input cannot be
      read or has nothing usable; the output is there and something else made it.
    KeyboardInterrupt: `progress.stop` was set; what is done is saved.
  """
  infill.check(order.format, order.target)
  if pathlib.Path(order.output).resolve() == pathlib.Path(order.input).resolve():
    raise InputError(f'Input and output are the same file, {order.input}.')
  with stream.Documents(order.input):  # before anything is made
    pass
  masker, about = _masker(order, progress)
  with files.ResumableFile(order.output, about, Counts()._asdict()) as out:
    counts = Counts(**out.state)
    if out.done:
      progress.say(f'{order.output} is finished: nothing to do')
      return counts
    counts = _mask_all(order, masker, out, counts, progress)
    if not counts.passages:
      out.discard()
      raise InputError(f'{order.input} has no usable record; {counts.skipped} are bad.')
    out.finish()
  return counts


def viewed(order: Order, progress: Progress) -> list[dict[str, Any]]:
  """The first passages of a finished output, for `report.viewer`.

  Their tokens' probabilities are frequencies among `DRAWS` draws of the policy; beside
  them stands the draw that the output has.
  """
  with open(order.output, encoding='utf-8') as lines:
    rows = [json.loads(line) for line in itertools.islice(lines, VIEWED)]
  masker, _ = _masker(order, progress)
  # Out of the input once more, as they may have annotations there.
  with stream.Documents(order.input) as documents:
    pieces = itertools.chain.from_iterable(g.pieces for g in _groups(documents, masker))
    passages = list(itertools.islice(pieces, len(rows)))
  tokens = [masker.encode(row['text']).offsets for row in rows]
  width = -(-max(map(len, tokens)) // 8) * 8
  batch = masker.batch(passages, width, len(rows))
  chosen, key = masker.chosen, jax.random.key(order.seed)
  shares = statistics.hidden(
    chosen.policy, chosen.theta, key, batch, DRAWS, len(rows)
  ).probability
  return [
    {
      'id': row['id'],
      'text': row['text'],
      'tokens': [list(pair) for pair in offsets],
      'policies': {
        chosen.name: share[: len(offsets)].astype(float).tolist(),
        'one draw': [
          float(any(a < end and start < b for a, b, _ in row['spans']))
          for start, end in offsets
        ],
      },
    }
    for row, offsets, share in zip(rows, tokens, shares, strict=True)
  ]


def _masker(order, progress) -> tuple[Masker, dict[str, Any]]:
  """The policy, ready, and all that decides what it writes."""
  about = dataclasses.asdict(order)
  del about['output']
  options = {k: about[k] for k in ('rate', 'tokenizer', 'annotator', 'reference')}
  chosen = choose(order.policy, form=order.format, **options)
  found, path = None, order.collocations
  size = os.stat(order.input)
  about |= {'input size': size.st_size, 'input time': size.st_mtime_ns}
  if chosen.joins and path:
    found = collocations.read(path)
  elif chosen.joins:
    # A name that belongs to this input, as another's would be as good to read.
    of_input = order.input, size.st_size, size.st_mtime_ns
    path = f'{order.output}.{_digest(of_input)}.collocations'
    found = collocations.load_or_count(path, _passages(order.input, progress))
  elif path:
    raise InputError(f'The policy {chosen.name!r} has no use for collocations.')
  masker = Masker(chosen, order.seed, order.length, order.format, found)
  about |= {'rate': chosen.rate, 'annotator': chosen.annotator, 'collocations': path}
  # What the name of a directory or of a tokenizer does not tell: what is in it.
  parts = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(chosen.theta)]
  if isinstance(chosen.tokenizer, text.Tokenizer):
    parts.append(chosen.tokenizer.to_json())
  about |= {'contents': _digest((found, parts)), 'version': masklearn.__version__}
  return masker, about


def _digest(value) -> str:
  return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _passages(path, progress) -> Iterator[Passage]:
  with stream.Documents(path) as documents:
    shown = _start(progress, 'counting collocations of', documents, 0)
    for number, item in enumerate(documents):
      if number % 1000 == 0:
        shown.update(documents.position // 1000, note=f'{number} records')
        if progress.stop.is_set():
          raise KeyboardInterrupt
      if item.value:
        yield item.value
    shown.update(documents.size // 1000 + 1)


def _start(progress, what, documents, offset):
  """The progress on a file, in kilobytes, as many as a bar has room for."""
  total = documents.size // 1000 + 1
  name = f'{what} {documents.path.name}'
  return progress.start(name, total, min(offset // 1000, total), 'kB')


def _mask_all(order, masker, out, counts, progress) -> Counts:
  offset = Offset(counts.offset, counts.line)
  with stream.Documents(order.input, offset) as documents:
    shown = _start(progress, 'masking', documents, counts.offset)
    waiting = None
    for group in itertools.chain(_groups(documents, masker), [None]):
      begun = None
      if group:
        # The device draws for one group while the next is read.
        numbers = np.array(group.numbers, np.int32).reshape(-1, 2)
        begun = group, masker.start(group.pieces, numbers), documents.position
      if waiting:
        counts = _write(order, out, counts, *waiting[:2], progress)
        shown.update(waiting[2] // 1000, note=f'{counts.passages} passages')
        if progress.stop.is_set() and group:
          raise KeyboardInterrupt
      waiting = begun
    shown.update(documents.size // 1000 + 1)
  return counts


@dataclasses.dataclass
class _Group:
  """Passages that are written together."""

  pieces: list[Passage] = dataclasses.field(default_factory=list)
  # Line of the document, and part of it.
  numbers: list[tuple[int, int]] = dataclasses.field(default_factory=list)
  problems: list[str] = dataclasses.field(default_factory=list)
  records: int = 0
  skipped: int = 0
  behind: Offset | None = None


def _groups(documents: stream.Documents, masker: Masker) -> Iterator[_Group]:
  """Groups that depend on the place where the first begins, and on nothing else."""
  group = _Group()
  for item in documents:
    parts, wrong = [], [f'skipped {item.message}']
    if item.value:
      parts, wrong, long = masker.cut(item.value)
      wrong = [f'skipped {item.place}: {w}' for w in wrong]
      if long:
        wrong.append(f'{item.place}: a word is too long, and is cut.')
    group.pieces += parts
    group.numbers += [(item.place.number, k) for k in range(len(parts))]
    group.problems += wrong
    group.records += 1
    group.skipped += not parts
    group.behind = documents.offset
    if len(group.pieces) >= GROUP or group.records >= 8 * GROUP:
      yield group
      group = _Group()
  if group.records:
    yield group


def _write(order, out, counts, group, finish, progress) -> Counts:
  found = finish()
  # A line for each of a million would take ten times as long as all the rest.
  left = max(0, SAID - counts.skipped)
  for problem in group.problems[:left]:
    progress.say(problem)
  if len(group.problems) > left > 0:
    progress.say('skipped more, which are counted')
  counts = Counts(
    *group.behind,
    counts.records + group.records,
    counts.skipped + group.skipped,
    counts.passages + len(found),
    counts.spans + sum(len(h.spans) for h in found),
    counts.lost_spans + sum(h.lost_spans for h in found),
    counts.words + sum(h.words for h in found),
    counts.hidden_words + sum(h.hidden_words for h in found),
  )
  out.add((_line(hidden, order) for hidden in found), counts._asdict())
  return counts


def _line(hidden: Hidden, order: Order) -> str:
  source, target = hidden.pair(order.format, order.target)
  line = {'id': hidden.passage.id, 'text': hidden.passage.text, 'spans': hidden.spans}
  line |= {'source': source, 'target': target}
  return json.dumps(line, ensure_ascii=False) + '\n'
