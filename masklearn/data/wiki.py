"""Articles in the forms that dumps of Wikipedia come in.

The readers take numbered lines, see `lines.Lines`, and yield a `Record` of an `Article`
for each article, whose place is the number of its first line.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from masklearn.io.lines import decode
from masklearn.io.records import Record, text_field
from masklearn.types import InputError, Passage

Lines = Iterable[tuple[int, bytes]]

# The columns of a table of passages, and other names that each goes by.
COLUMNS = {
  'id': ('id', '_id', 'pid', 'docid'),
  'text': ('text', 'passage', 'contents'),
  'title': ('title',),
}
# A title may have quotes in it: what ends a value is the next name, or the end.
_ATTRIBUTE = re.compile(r'\s(\w+)="(.*?)"(?=\s+\w+="|\s*>\s*$)')
_BARE = re.compile(r'[<>]|&(?!(?:amp|lt|gt);)')  # what escaping leaves nowhere
_ESCAPED = re.compile(r'&(amp|lt|gt);')
_PART = re.compile(r'Section::::|BULLET::::-?\s*')  # of KILT's paragraphs
_TITLE = re.compile(r' ?= (?!= )(.*[^=\s]) = ?$')  # of an article
_SECTION = re.compile(r' ?= = .* = = ?$')


class Article(NamedTuple):
  """The parts of an article."""

  text: str
  title: str = ''
  id: str = ''  # '' where it has none


def article(record: dict[str, Any], default_id: str, escaped: bool = False) -> Passage:
  """The document of a JSON object: WikiExtractor's, cirrus's, pyserini's or KILT's.

  Args:
    record: {"title", "text"}, an object of pyserini's, whose "contents" begin with the
      title, or of KILT's knowledge source.
    default_id: for one that has none.
    escaped: whether WikiExtractor has escaped the text, see `is_escaped`.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  if 'wikipedia_title' in record:
    return _of_kilt(record, default_id)
  if 'contents' in record and 'text' not in record:
    title, _, body = text_field(record, 'contents').lstrip().partition('\n')
    title = title.strip()
    if len(title) > 1 and title[0] == title[-1] == '"':
      title = title[1:-1]
  else:
    title, body = text_field(record, 'title'), text_field(record, 'text')
  body = unescape(body) if escaped else body
  title = html.unescape(title)  # In a dump it is, and nobody has changed that.
  body = _without_title(body, title)
  return Passage(text_field(record, 'id', default_id), _filled(body), title)


def is_escaped(texts: Iterable[str]) -> bool:
  """Whether WikiExtractor 3 may have written these, where &, < and > are all escaped.

  What versions 1 and 2 write has bare ones, sooner or later.
  """
  return not any(map(_BARE.search, texts))


def unescape(text: str) -> str:
  """A text with &amp;, &lt; and &gt; undone, once, unless it has bare ones, too."""
  if _BARE.search(text):
    return text
  return _ESCAPED.sub(lambda match: html.unescape(match[0]), text)


def _of_kilt(record, default_id) -> Passage:
  """An article of KILT's knowledge source; headings are left out.

  References:
    https://github.com/facebookresearch/KILT#kilt-knowledge-source
  """
  rows = record.get('text')
  if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
    raise ValueError(f"'text' must be a list of paragraphs, got {rows!r:.40}.")
  title = text_field(record, 'wikipedia_title')
  rows = [row for row in rows if not row.startswith('Section::::')]
  body = '\n'.join(_PART.sub('', row, count=1).strip() for row in rows)
  ident = record.get('wikipedia_id', record.get('_id'))
  name = text_field({'id': ident}, 'id', default_id)
  return Passage(name, _filled(_without_title(body, title)), title)


def wikitext_article(record: dict[str, Any], default_id: str) -> Passage:
  """The document of an article of wikitext, {"title", "text"}.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  lines = text_field(record, 'text').split('\n')
  body = ' '.join(line for line in lines if not _SECTION.match(line))
  title = text_field(record, 'title', '')
  return Passage(text_field(record, 'id', default_id), _filled(body), title)


def doc_tags(lines: Lines, escaped: bool = False) -> Iterator[Record]:
  """Yields the articles of `<doc id=".." url=".." title=".."> text </doc>`.

  Attributes come in any order, and there may be more of them (revid=".."). For
  `escaped` see `is_escaped`.
  """
  unclosed = '<doc ..> without </doc>.'
  start, title, name, body, problem = 0, '', '', [], None
  for number, line in lines:
    try:
      text = decode(line)
    except ValueError as error:
      problem = problem or Record(number, problem=str(error))
      text = line.decode('utf-8', 'replace')
    if text.startswith('<doc '):
      if start:
        yield Record(start, problem=unclosed)
      start, problem, body = number, None, []
      opened = dict(_ATTRIBUTE.findall(text))
      if opened.get('id') and 'title' in opened:
        name, title = opened['id'], html.unescape(opened['title'])
      else:
        reason = f'expected <doc id=".." url=".." title="..">, got {text.strip():.60}'
        problem = Record(number, problem=reason)
    elif not start:
      if text.strip():
        reason = f'text outside of <doc>: {text.strip():.40}'
        yield Record(number, problem=reason)
    elif text.rstrip() == '</doc>':
      found = ''.join(body)
      found = _without_title(unescape(found) if escaped else found, title)
      yield problem or Record(start, Article(found, title, name))
      start = 0
    else:
      body.append(text)
  if start:
    yield Record(start, problem=unclosed)


def columns(heading: str) -> list[str]:
  r"""The keys of `COLUMNS` in the order of a table's first line.

  Raises:
    ValueError: one of them is missing, or there is another column.

  >>> columns('id\ttitle\ttext')
  ['id', 'title', 'text']
  """
  names = heading.strip('\r\n').split('\t')
  plain = [name.strip().casefold() for name in names]
  found = [next((k for k, v in COLUMNS.items() if name in v), '') for name in plain]
  if sorted(found) != sorted(COLUMNS):
    raise ValueError(
      f'expected JSON, <doc ..>, or a first line that names the columns {_WANTED} '
      f'between tabs, in any order, got {", ".join(names):.80}.'
    )
  return found


_WANTED = ', '.join(COLUMNS)


def rows(lines: Lines, path: str) -> Iterator[Record]:
  """Yields the passages of a table with tabs, whose first line names its columns.

  Raises:
    InputError: it does not; `path` is that of the file.
  """
  order: list[str] = []
  for number, line in lines:
    try:
      text = decode(line).rstrip('\r\n')
      if not order and text.strip():
        order = columns(text)
        continue
    except ValueError as error:
      if not order:  # Which column is which is not guessed.
        raise InputError(f'{path}:{number}: {error}') from error
      yield Record(number, problem=str(error))
      continue
    if not text.strip():
      continue
    cells = text.split('\t')
    # A tab within a text is the text's.
    more, at = len(cells) - len(order), order.index('text')
    if more > 0:
      cells[at : at + more + 1] = ['\t'.join(cells[at : at + more + 1])]
    row = dict(zip(order, map(_unquoted, cells), strict=False))
    if len(row) == len(order) and all(row.values()):
      yield Record(number, Article(row['text'], row['title'], row['id']))
    else:
      reason = f'expected {", ".join(order)} between tabs, got {text.strip():.40}'
      yield Record(number, problem=reason)


def wikitext_articles(lines: Lines) -> Iterator[Record]:
  """Yields the articles of a file of wikitext, each with the line of its heading."""
  start, title, body, problem = 0, '', [], None
  for number, line in lines:
    try:
      text = decode(line).rstrip('\r\n')
    except ValueError as error:
      problem = problem or Record(number, problem=str(error))
      text = ''
    heading = _TITLE.match(text)
    if heading:
      if start:
        yield problem or Record(start, Article(' '.join(body), title))
      start, title, body, problem = number, heading[1], [], None
    elif not _SECTION.match(text):
      start = start or (number if text.strip() or problem else 0)
      body.append(text)
  if start:
    yield problem or Record(start, Article(' '.join(body), title))


def _without_title(body: str, title: str) -> str:
  """A text that does not begin with a line that is its title."""
  first, _, rest = body.lstrip().partition('\n')
  return rest if title and first.strip() == title.strip() else body


def _filled(body: str) -> str:
  body = ' '.join(body.split())
  if not body:
    raise ValueError("'text' is empty.")
  return body


def _unquoted(field: str) -> str:
  """A field without the quotes that a writer of CSV puts around some."""
  if len(field) > 1 and field[0] == field[-1] == '"':
    return field[1:-1].replace('""', '"')
  return field
