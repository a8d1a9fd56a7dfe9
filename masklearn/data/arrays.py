"""Passages and questions as arrays, and arrays as an endless run of batches."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

import grain.python as grain
import jax
import numpy as np

from masklearn import text
from masklearn.text import annotators
from masklearn.types import Batch, Corrupted, Example, InputError, Passage, Span


def encode_passages(
  passages: Sequence[Passage],
  tokenizer: text.Tokenizer,
  annotator: str = 'rules',
  asked: frozenset[str] = frozenset(),
  max_length: int = 254,
  units: Callable[[Passage], list[tuple[int, int]]] | None = None,
  at_least: int = 0,
  encodings: Sequence[text.Encoding] | None = None,
) -> Batch:
  """All passages as one `Batch` of numpy arrays [P, L].

  Args:
    passages: what to encode; `chunking.split_passages` has made them short enough.
    tokenizer: text to tokens.
    annotator: finds the salient spans of passages that bring none, see
      `annotators.make`; '' leaves all passages without salient spans.
    asked: labels of the passages' spans that answer the task's questions.
    max_length: tokens that the model can read, without <s> and </s>.
    units: a passage's collocations and the words between them, in order, such as
      `Collocations.units`; None for none.
    at_least: L, if the `width` of the longest passage is less.
    encodings: the tokens of each passage, where they are known.

  Raises:
    InputError: a passage is longer than `max_length` tokens.
  """
  encodings = encodings or [tokenizer.encode(p.text) for p in passages]
  lengths = [len(e.ids) for e in encodings]
  worst = int(np.argmax(lengths))
  if lengths[worst] > max_length:
    raise InputError(
      f'Passage {passages[worst].id!r} has {lengths[worst]} tokens; the model reads '
      f'at most {max_length}. Split the corpus into shorter passages.'
    )
  shape = len(passages), max(width(lengths[worst], max_length), at_least)
  tokens = np.full(shape, tokenizer.specials.pad, np.int32)
  word, sentence, salient = (np.zeros(shape, np.int32) for _ in range(3))
  salients = _salient(passages, annotator)
  collocation = np.zeros(shape, np.int32) if units else None
  rows = zip(passages, encodings, salients, strict=True)
  for row, (passage, encoding, found) in enumerate(rows):
    n = lengths[row]
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    tokens[row, :n] = encoding.ids
    word[row, :n] = _index(offsets, text.words(passage.text))
    bounds = passage.sentences or text.sentences(passage.text)
    sentence[row, :n] = _index(offsets, bounds)
    salient[row, :n] = _mark(offsets, found)
    if units:
      number = _index(offsets, units(passage))
      collocation[row, :n] = np.where(np.diff(number, prepend=-1) > 0, 1, 2)
  valid = np.arange(shape[1]) < np.array(lengths)[:, None]
  asks = asked_tokens(passages, encodings, asked, shape[1])
  return Batch(tokens, valid, word, sentence, salient, asks, collocation)


def asked_tokens(
  passages: Sequence[Passage],
  encodings: Sequence[text.Encoding],
  asked: frozenset[str],
  length: int,
) -> np.ndarray:
  """Marks of the tokens that answer a task's questions, [P, L] int32, as in `Batch`.

  Args:
    passages: with their spans.
    encodings: the tokens of each.
    asked: labels of the spans that answer the task's questions.
    length: L.
  """
  asks = np.zeros((len(passages), length), np.int32)
  for row, passage, encoding in zip(asks, passages, encodings, strict=True):
    spans = [span for span in passage.spans if span.label in asked]
    row[: len(encoding.ids)] = _mark(encoding.offsets, spans)
  return asks


def width(longest: int, max_length: int) -> int:
  """The tokens of a row for passages of at most `longest` tokens.

  >>> width(61, 254), width(253, 254)
  (64, 254)
  """
  # Multiples of 8: fewer shapes are fewer compilations.
  return min(-(-longest // 8) * 8, max_length)


def encode_examples(
  examples: Sequence[Example],
  tokenizer: text.Tokenizer,
  max_length: int = 256,
  beside: Sequence[Example] = (),
  hidden: bool = False,
) -> Corrupted:
  """Questions and their first answers as numpy arrays [P, S] and [P, T].

  Source and target are `<s> .. </s>`, and the decoder starts from `</s>`, as BART
  is fine-tuned; or `.. </s>` and `<pad>`, as T5 is. What is longer than `max_length`
  loses its end, and how many do is logged.

  Args:
    examples: what to encode.
    tokenizer: text to tokens.
    max_length: tokens of a source or target at most, <s> and </s> included.
    beside: further questions that the arrays must be wide enough for. All questions of
      a task give its splits one shape in every seed, compiled once.
    hidden: whether an answer is a hidden span, as in pre-training with the format
      'spans': its marker ends the question and begins the answer.
  """
  ids = tokenizer.specials
  marker = [ids.mask] if hidden else []
  room = max_length - 2 - len(marker)

  def rows(what, texts, before=(), behind=()):
    found = [tokenizer.encode(t).ids for t in texts]
    cut = sum(len(tokens) > room for tokens in found[: len(examples)])
    if cut:
      logging.warning(
        '%d of %d %s are longer than %d tokens and lose their end.',
        cut, len(examples), what, max_length,
      )  # fmt: skip
    kept = [[*before, *tokens[:room], *behind] for tokens in found]
    return _rows(kept, ids)[: len(examples)]

  both = [*examples, *beside]
  source = rows('questions', (e.source for e in both), behind=marker)
  # What has no known answer can be asked all the same.
  answers = (e.targets[0] if e.targets else '' for e in both)
  target = rows('answers', answers, before=marker)
  start = ids.decoder_start
  decoder_input = np.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=start)
  weight = (target != ids.pad).astype(np.float32)
  return Corrupted(source, source != ids.pad, decoder_input, target, weight)


def take(arrays, index):
  """Rows `index` of every array of a tree."""
  return jax.tree.map(lambda array: array[index], arrays)


def batches(arrays, batch_size: int, seed: int) -> grain.MapDataset:
  """Batches without end, each a shuffled slice of `arrays`.

  Batch i depends on `seed` and i alone, so a resumed run repeats none and skips
  none. Every epoch has an order of its own; a batch may span two epochs.
  """
  rows = len(jax.tree.leaves(arrays)[0])
  order = grain.MapDataset.source(range(rows)).seed(seed).shuffle().repeat()
  return order.batch(batch_size).map(lambda index: take(arrays, index))


def filled(rows: int, batch_size: int) -> np.ndarray:
  """The numbers of all rows in batches [N, batch_size]; the last one starts over.

  One shape serves any number of rows; results are cut to `rows` afterwards.

  >>> filled(5, 2).tolist()
  [[0, 1], [2, 3], [4, 0]]
  >>> filled(2, 4).tolist()
  [[0, 1, 0, 1]]
  """
  count = -(-rows // batch_size)
  return (np.arange(count * batch_size) % rows).reshape(count, batch_size)


def _salient(passages: Iterable[Passage], annotator: str) -> Iterator[tuple[Span, ...]]:
  """Yields the salient spans of each passage, its own or those that are found."""
  annotate = None
  for passage in passages:
    if not annotator or passage.salient is not None:
      yield passage.salient if annotator else ()
      continue
    annotate = annotate or annotators.make(annotator)
    yield from annotate([passage])


def _rows(sequences: Iterable[list[int]], ids) -> np.ndarray:
  """Sequences between the `Specials` that begin and end one, padded."""
  begin = [] if ids.bos is None else [ids.bos]
  sequences = [[*begin, *s, ids.eos] for s in sequences]
  out = np.full((len(sequences), max(map(len, sequences))), ids.pad, np.int32)
  for row, sequence in zip(out, sequences, strict=True):
    row[: len(sequence)] = sequence
  return out


def _index(offsets, bounds):
  """Which of `bounds` each token [n, 2] lies in, numbered without gaps.

  Two that a token has characters of are one: neither can be hidden alone.
  """
  at = np.array([start for start, _ in bounds])
  starts, ends = offsets[:, 0], np.maximum(offsets[:, 1] - 1, offsets[:, 0])
  first, last = (
    np.maximum(np.searchsorted(at, found, side='right') - 1, 0)
    for found in (starts, ends)
  )
  joined = np.zeros(len(at) + 1, np.int64)  # whether to the one before it
  for a, b in zip(first[last > first], last[last > first], strict=True):
    joined[a + 1 : b + 1] = 1
  number = first - np.cumsum(joined)[first]
  # Tokens follow each other; only those that share a character could stand back.
  return np.unique(np.maximum.accumulate(number), return_inverse=True)[1]


def _mark(offsets, spans):
  """0 outside, 1 on the first token of a span, 2 on its others."""
  marks = np.zeros(len(offsets), np.int32)
  if spans:
    starts, ends = np.array(offsets).T
    # A space that is a token of its own has no characters, but a place. The bytes of a
    # character are tokens with the same offsets, and none ends before another.
    ends = np.maximum(ends, starts + 1)
    first = np.searchsorted(ends, [s for s, *_ in spans], side='right')
    behind = np.searchsorted(starts, [e for _, e, _ in spans], side='left')
    for a, b in zip(first, behind, strict=True):
      marks[a:b] = 2
      marks[a : min(a + 1, b)] = 1
  return marks
