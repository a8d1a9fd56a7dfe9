"""Annotators find the salient spans of a passage: names, dates, numbers.

An annotator takes passages and yields the spans of each, in order and without
overlap. It is chosen by name: `rules`, `corpus`, `none`, or `spacy:MODEL`.

References:
  Guu et al., REALM: Retrieval-Augmented Language Model Pre-Training, section 3.4
  (named entities and dates as salient spans). https://arxiv.org/abs/2002.08909
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

from masklearn.io.lookup import check_name
from masklearn.text import segmentation
from masklearn.types import InputError, Passage, Span

Annotator = Callable[[Iterable[Passage]], Iterator[tuple[Span, ...]]]

BATCH = 128  # passages that spaCy reads at once
# Characters that it reads at once: for as many it takes a gigabyte, and a text of more
# than a million it refuses.
PIECE = 100_000
FEW = 16  # first words of sentences to look for in a text, one after the other
# Of a spaCy model; entities need none of them.
UNUSED = (
  'tagger', 'parser', 'senter', 'morphologizer', 'attribute_ruler', 'lemmatizer',
  'textcat',
)  # fmt: skip

_UPPER = ''.join(c for c in map(chr, range(0x250)) if c.isupper())  # Latin capitals
_MONTH = (
  '(?:January|February|March|April|May|June|July|August|September|October|November|'
  'December)'
)
# The rest of a name whose capital has been read.
_NAME = r"(?:[\w.\-]|['’](?!s\b))*"
# All begin with a capital or a digit. To look for that one character first is several
# times as fast as to try three alternatives everywhere; what follows looks back at it.
_SALIENT = re.compile(
  rf'[{_UPPER}\d](?:'
  rf'(?P<DATE>(?:(?<=\d)\d? {_MONTH}|(?<!\w[{_UPPER}])(?<=[ADFJMNOS])'
  r'(?:(?<=J)(?:anuary|une|uly)|(?<=F)ebruary|(?<=M)(?:arch|ay)|(?<=A)(?:pril|ugust)|'
  r'(?<=S)eptember|(?<=O)ctober|(?<=N)ovember|(?<=D)ecember))'
  r'(?: \d{1,2})?(?:,? \d{4})?\b)'
  rf'|(?P<NAME>(?<=[{_UPPER}])(?<!\w[{_UPPER}]){_NAME}'
  rf"(?: (?:(?:of|de|del|da|do|du|la|le|al|the) |d['’])*[{_UPPER}]{_NAME})*)"
  r'|(?P<NUMBER>(?<=\d)[\d,.]*%?))'
)
_DATE = re.compile(
  rf'\b(?:(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? )?{_MONTH}'
  r'(?: \d{1,2}(?:st|nd|rd|th)?)?(?:,? \d{4})?'
  r'|\d{4}-\d{2}-\d{2}|(?:1\d|20)\d\d(?:s|[–-]\d{2,4})?)\b'
)


def make(name: str) -> Annotator:
  """The annotator of that name, ready to be used.

  Args:
    name: 'rules', names, dates and numbers by `salient_by_rules`; 'corpus', the spans
      that the corpus came with; 'none', nothing; or 'spacy:MODEL', by `spacy`.

  Raises:
    InputError: there is none, or it is not installed.
  """
  check(name)
  kind, _, model = name.partition(':')
  return ANNOTATORS[kind](*filter(None, [model]))


def check(name: str) -> None:
  """Raises an `InputError` if no annotator has this name; loads none."""
  kind, colon, model = name.partition(':')
  check_name(ANNOTATORS, kind, 'annotator')
  wanted = kind == 'spacy'  # Only spaCy takes a model.
  if (bool(colon), bool(model)) != (wanted, wanted):
    raise InputError(
      'An annotator is rules, corpus, none or spacy:MODEL, such as '
      f'spacy:en_core_web_sm; got {name!r}.'
    )


def salient_by_rules(passage: Passage) -> tuple[Span, ...]:
  """Dates, capitalised runs and numbers: what can be found without a model.

  The first word of a sentence is capitalised whatever it is. Alone, it counts only
  if the passage has it capitalised elsewhere.
  """
  body = passage.text
  bounds = passage.sentences or segmentation.sentences(body)
  firsts = {start for start, _ in bounds}
  counts: dict[str, bool] = {}  # of first words
  inner: set[str] = (
    set()
  )  # all that begin no sentence, where there are many first words
  spans = []
  for start, end in bounds:
    for match in _SALIENT.finditer(body, start, end):
      first, last = match.span()
      kind = match.lastgroup
      while body[last - 1] in '.,-':
        last -= 1
      if kind == 'NAME' and first in firsts:
        found = body[first:last]
        if found not in counts:
          if len(counts) == FEW:
            inner = {body[a:b] for a, b in segmentation.words(body) if a not in firsts}
          counts[found] = ' ' in found or (
            found in inner if len(counts) >= FEW else _is_inner(found, body, firsts)
          )
        if not counts[found]:
          continue
      spans.append(Span(first, last, kind))
  return tuple(spans)


def dates(body: str) -> list[Span]:
  """Days, months with or without a year, years and decades of a text.

  >>> [span[:2] for span in dates('From May 1945 to the 1960s.')]
  [(5, 13), (21, 26)]
  """
  return [Span(*match.span(), 'DATE') for match in _DATE.finditer(body)]


def spacy(model: str) -> Annotator:
  """Entities of a spaCy model, and the `dates` that it misses.

  Args:
    model: name of an installed Python package that is one, such as en_core_web_sm.

  Raises:
    InputError: spaCy or the model is not installed, or finds no entities.
  """
  nlp = _load(model)

  def annotate(passages):
    passages, ahead = itertools.tee(passages)
    pieces = ((p.text[a:b], a) for p in ahead for a, b in _readable(p.text))
    docs = itertools.chain.from_iterable(
      nlp.pipe(some, batch_size=BATCH, as_tuples=True) for some in _batches(pieces)
    )
    for passage in passages:
      found = []
      for _ in _readable(passage.text):
        doc, at = next(docs)
        found += [Span(at + e.start_char, at + e.end_char, e.label_) for e in doc.ents]
      yield _with_dates(passage.text, found)

  return annotate


def _readable(body: str) -> Iterator[tuple[int, int]]:
  """Yields the characters of parts that spaCy can read: all, or whole sentences.

  Where one has more than `PIECE` characters, it is cut between words.
  """
  start, end = 0, 0
  if len(body) > PIECE:
    for _, last in segmentation.sentences(body):
      if last - start > PIECE and end > start:
        yield start, end
        start = end
      while last - start > PIECE:
        behind = body.rfind(' ', start, start + PIECE) + 1 or start + PIECE
        yield start, behind
        start = behind
      end = last
  yield start, len(body)


def _batches(pieces: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
  """Yields some pieces at a time, as many as spaCy reads at once."""
  some, size = [], 0
  for piece in pieces:
    if len(some) == BATCH or size + len(piece[0]) > PIECE:
      yield some
      some, size = [], 0
    some.append(piece)
    size += len(piece[0])
  yield some


def _with_dates(body: str, spans: list[Span]) -> tuple[Span, ...]:
  """The spans, and the dates that touch none of them."""
  taken = bytearray(len(body))
  for start, end, _ in spans:
    taken[start:end] = b'1' * (end - start)
  missed = [span for span in dates(body) if not any(taken[span.start : span.end])]
  return tuple(sorted([*spans, *missed]))


@functools.cache
def _load(model: str):
  try:
    import spacy as library  # Slow to import, and an extra.
  except ImportError as error:
    raise InputError(
      "Annotators 'spacy:MODEL' need spaCy: pip install 'masklearn[spacy]'."
    ) from error
  # A path would be read as well, and a folder can name code that is to be run.
  if not model.isidentifier():
    raise InputError(f'A spaCy model is the name of a package, got {model!r}.')
  try:
    nlp = library.load(model, exclude=UNUSED)
  except OSError as error:
    installed = ', '.join(sorted(library.util.get_installed_models()))
    raise InputError(
      f'No spaCy model {model!r} is installed; it is a Python package, for `python -m '
      f'spacy download {model}` or for pip. Installed: {installed or "none"}.'
    ) from error
  if not {'ner', 'entity_ruler'} & set(nlp.pipe_names):
    raise InputError(
      f'The spaCy model {model!r} finds no entities: its parts are '
      f'{", ".join(nlp.pipe_names) or "none"}.'
    )
  return nlp


def _is_inner(word: str, body: str, firsts: set[int]) -> bool:
  """Whether a word of a text is this one, but at the start of no sentence."""
  at = body.find(word)
  while at >= 0:
    if at not in firsts:
      # No word has a space in it, so those from one space to the next are enough.
      start, end = body.rfind(' ', 0, at) + 1, body.find(' ', at)
      near = body[start : end if end >= 0 else len(body)]
      if (at - start, at - start + len(word)) in segmentation.words(near):
        return True
    at = body.find(word, at + 1)
  return False


def _each(find: Callable[[Passage], tuple[Span, ...]]) -> Callable[[], Annotator]:
  return lambda: lambda passages: map(find, passages)


ANNOTATORS: dict[str, Callable[..., Annotator]] = {
  'rules': _each(salient_by_rules),
  'corpus': _each(lambda passage: passage.spans),
  'none': _each(lambda passage: ()),
  'spacy': spacy,
}
