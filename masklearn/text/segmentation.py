"""Words and sentences of a text, as characters [start, end): no tokenizer needed.

No word cuts a grapheme, what a reader takes for one character: a letter with its
combining marks, an emoji of several parts, a flag.

References:
  Unicode Standard Annex 29, Text Segmentation: grapheme clusters, and rule WB4, by
  which invisible format characters belong to what they follow.
  https://unicode.org/reports/tr29
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

import regex

from masklearn.types import Span

LONGEST = 100  # graphemes of a word; a longer one is several
_RUN = 1000  # characters without white space in `spaced`; addresses have hundreds
_MARKS = 64  # characters of a grapheme; texts have up to ten, jokes thousands

_WORD = re.compile(r"\d[\d,.]*\d|\w(?:[\w'’.\-]*\w)?|[^\w\s]")
_SENTENCE_END = re.compile(
  r'[.!?](["”\')\]]*)\s+(?=["“\'(\[]?[A-Z0-9])'
  # Of scripts without capitals, some of which have no spaces either.
  r'|[。！？｡؟۔।॥]+([」』”’）)\]]*)\s*'
)
_LONG = re.compile(rf'(?<!\S)\S{{{LONGEST + 1}}}')
_LONG_RUN = re.compile(
  rf'\w{{{LONGEST + 1},}}|[^\w\s]{{{LONGEST + 1},}}|\s{{{LONGEST + 1},}}'
)
_ABBREVIATION = re.compile(r'\b(?:[A-Z]|St|Mt|Mr|Mrs|Ms|Dr|Gen|No|vs|ca|approx)\.$')
_LONGEST_ABBREVIATION = len('approx.')

_FORMAT = r'\p{Word_Break=Format}'
_EXTENDS = r'[\p{Grapheme_Cluster_Break=Extend}\p{Grapheme_Cluster_Break=ZWJ}]'
_SPACE = r'[\s\x1c-\x1f]'  # what `str.isspace` says
_GRAPHEME = regex.compile(
  rf'{_SPACE}|{_FORMAT}*+(?!{_SPACE})\X(?:{_FORMAT}{_EXTENDS}*+)*+|{_FORMAT}++'
)
# Letters of scripts that have no spaces between words: Chinese, Japanese but for
# katakana, and those of South-East Asia, such as Thai.
_UNSPACED = r'[\p{Han}\p{Hiragana}\p{Line_Break=Complex_Context}--\p{N}]'
_IS_UNSPACED = regex.compile(_UNSPACED, regex.V1)
_BREAKS = 'Extend', 'ZWJ', 'SpacingMark', 'Prepend', 'Regional_Indicator', 'L', 'V', 'T'
# What can make a grapheme of several characters, or a word of one.
_JOINS = regex.compile(
  '|'.join(
    [_FORMAT, _UNSPACED, *(rf'\p{{Grapheme_Cluster_Break={b}}}' for b in _BREAKS)]
  ),
  regex.V1,
)
_PLAIN = '\u0300'  # Below it, only the soft hyphen is one of these.
_ALONE = '\0'  # stands for a letter that is a word, as marks are


def words(text: str) -> list[tuple[int, int]]:
  """Characters of each word: letters and digits with inner ' . -, or one mark.

  Every character but white space is in one. Invisible characters, such as soft hyphens
  and joiners, belong to what is before them. In scripts without spaces between words
  (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each letter is a word, but katakana is
  read as other letters are. A word has at most `LONGEST` graphemes, and a longer one is
  cut.

  >>> text = "N'Djamena (U.S.) paid Guinea-Bissau 3,450.5."
  >>> [text[a:b] for a, b in words(text)]
  ["N'Djamena", '(', 'U.S', '.', ')', 'paid', 'Guinea-Bissau', '3,450.5', '.']
  """
  bounds, bases = _bases(text)
  found = [match.span() for match in _WORD.finditer(bases)]
  if any(last - first > LONGEST for first, last in found):
    found = [
      (start, min(start + LONGEST, last))
      for first, last in found
      for start in range(first, last, LONGEST)
    ]
  return [(bounds[a][0], bounds[b - 1][1]) for a, b in found] if bounds else found


def long_words(text: str) -> int:
  """How many words of a text have more than `LONGEST` graphemes, and are cut."""
  if not _LONG.search(text):
    return 0
  found = _WORD.finditer(_bases(text)[1])
  return sum(match.end() - match.start() > LONGEST for match in found)


def graphemes(text: str) -> list[tuple[int, int]]:
  """Characters of each grapheme, white space being one each.

  >>> graphemes('e\u0301a')
  [(0, 2), (2, 3)]
  """
  return _bases(text)[0] or [(i, i + 1) for i in range(len(text))]


def spaced(text: str) -> list[tuple[int, int]]:
  """Characters of each part between white space: words with the marks beside them.

  Letters that are words of their own are so here too, and what has more than a thousand
  characters is cut between words.

  >>> text = 'In Kyoto (京都).'
  >>> [text[a:b] for a, b in spaced(text)]
  ['In', 'Kyoto', '(', '京', '都', ').']
  """
  parts = [match.span() for match in re.finditer(r'\S+', text)]
  if not _IS_UNSPACED.search(text) and all(b - a <= _RUN for a, b in parts):
    return parts
  parts = []
  open_end = False  # whether the next word may join the last part
  for start, end in words(text):
    alone = _IS_UNSPACED.match(text, start) is not None
    beside = open_end and not alone and parts[-1][1] == start
    if beside and end - parts[-1][0] <= _RUN:
      parts[-1] = parts[-1][0], end
    else:
      parts.append((start, end))
      open_end = not alone
  return parts


def sentences(text: str) -> list[tuple[int, int]]:
  """Characters of each sentence, by rule: a full stop, a space and a capital.

  A full stop of Chinese, Japanese, Arabic, Urdu or Hindi needs neither.

  >>> sentences('Mt. Etna is "high". On 6 August it had 3,450.5 m.')
  [(0, 19), (20, 49)]
  """
  bounds, start = [], 0
  for match in _SENTENCE_END.finditer(text):
    stop, last = match.span(match.lastindex)
    if _ABBREVIATION.search(text, max(start, stop - _LONGEST_ABBREVIATION), stop):
      continue
    bounds.append((start, last))
    start = match.end()
  if text[start:].strip():
    bounds.append((start, len(text.rstrip())))
  return bounds


def occurrences(text: str, phrases: Iterable[str]) -> dict[str, tuple[Span, ...]]:
  """Every place where a phrase begins and ends as `words` do, in its case.

  A letter and its accent are one, whether they are one character or two: both are
  compared in Unicode's normalization form C.

  Args:
    text: where to look.
    phrases: what to look for; the places of one may overlap those of another.

  Returns:
    Phrase -> its spans, in order.

  >>> occurrences('Guinea-Bissau borders Guinea.', ['Guinea'])
  {'Guinea': (Span(start=22, end=28, label=''),)}
  """
  bounds = words(text)
  composed, moved = _composed(text)
  starts = {moved(start): start for start, _ in bounds}
  ends = {moved(end): end for _, end in bounds}
  found = {}
  for phrase in dict.fromkeys(phrases):
    wanted = unicodedata.normalize('NFC', phrase)
    spans, at = [], composed.find(wanted) if wanted else -1
    while at >= 0:
      if at in starts and at + len(wanted) in ends:
        spans.append(Span(starts[at], ends[at + len(wanted)]))
      at = composed.find(wanted, at + 1)
    found[phrase] = tuple(spans)
  return found


def bounded(text: str) -> Iterator[str]:
  """Yields a text in pieces without long runs of letters, of marks or of white space.

  They have no word of more than `LONGEST` characters, so that a tokenizer learns from
  them in a time that grows as the text does. A text without such a run is one piece.

  >>> [len(piece) for piece in bounded('On ' + 'x' * 250)]
  [103, 100, 50]
  """
  at = 0
  for run in _LONG_RUN.finditer(text):
    for cut in range(run.start() + LONGEST, run.end(), LONGEST):
      yield text[at:cut]
      at = cut
  yield text[at:]


def _bases(text: str) -> tuple[list[tuple[int, int]], str]:
  """The graphemes of a text, and one character for each, which says what it is.

  No graphemes, and the text, where each character is one.
  """
  if not text or (max(text) < _PLAIN and '\xad' not in text) or not _JOINS.search(text):
    return [], text
  bounds, bases = [], []
  for match in _GRAPHEME.finditer(text):
    whole, (start, end) = match.group(), match.span()
    # Of several, what makes it a letter or a digit, if anything does.
    base = whole if end - start == 1 else next(filter(str.isalnum, whole), whole[0])
    for first in range(start, end, _MARKS):
      bounds.append((first, min(first + _MARKS, end)))
      bases.append(base)
  return bounds, _IS_UNSPACED.sub(_ALONE, ''.join(bases))


def _composed(text: str):
  """The text in form C, and character -> character of it, where a grapheme begins."""
  if unicodedata.is_normalized('NFC', text):
    return text, lambda at: at
  parts, places, size = [], {}, 0
  for start, end in graphemes(text):
    places[start] = size
    parts.append(unicodedata.normalize('NFC', text[start:end]))
    size += len(parts[-1])
  places[len(text)] = size
  return ''.join(parts), places.__getitem__
