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
from masklearn.types import Passage

Lines = Iterable[tuple[int, bytes]]

HEADING = ('id', 'text', 'title')  # of the columns of DPR's passages
_DOC = re.compile(r'<doc id="([^"]*)"(?: url="[^"]*")? title="(.*)">\s*$')
_TITLE = re.compile(r' ?= (?!= )(.*[^=\s]) = ?$')  # of an article
_SECTION = re.compile(r' ?= = .* = = ?$')


class Article(NamedTuple):
  """The parts of an article."""

  text: str
  title: str = ''
  id: str = ''  # '' where it has none


def article(record: dict[str, Any], default_id: str) -> Passage:
  """The document of one of WikiExtractor's JSON objects.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  title = text_field(record, 'title')
  body = _without_title(text_field(record, 'text'), title)
  return Passage(text_field(record, 'id', default_id), _filled(body), title)


def wikitext_article(record: dict[str, Any], default_id: str) -> Passage:
  """The document of an article of wikitext, {"title", "text"}.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  lines = text_field(record, 'text').split('\n')
  body = ' '.join(line for line in lines if not _SECTION.match(line))
  title = text_field(record, 'title', '')
  return Passage(text_field(record, 'id', default_id), _filled(body), title)


def doc_tags(lines: Lines) -> Iterator[Record]:
  """Yields the articles of `<doc id=".." url=".." title=".."> text </doc>`."""
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
      if opened := _DOC.match(text):
        name, title = opened[1], html.unescape(opened[2])
      else:
        reason = f'expected <doc id=".." url=".." title="..">, got {text.strip():.60}'
        problem = Record(number, problem=reason)
    elif not start:
      if text.strip():
        reason = f'text outside of <doc>: {text.strip():.40}'
        yield Record(number, problem=reason)
    elif text.rstrip() == '</doc>':
      found = _without_title(''.join(body), title)
      yield problem or Record(start, Article(found, title, name))
      start = 0
    else:
      body.append(text)
  if start:
    yield Record(start, problem=unclosed)


def rows(lines: Lines) -> Iterator[Record]:
  """Yields the passages of a file of tab-separated `HEADING`."""
  for number, line in lines:
    try:
      text = decode(line).rstrip('\r\n')
    except ValueError as error:
      yield Record(number, problem=str(error))
      continue
    if not text.strip() or (number == 1 and tuple(text.split('\t')) == HEADING):
      continue
    # A tab within a text is the text's: the others are the first and the last.
    name, _, rest = text.partition('\t')
    body, tab, title = rest.rpartition('\t')
    if name and tab and title:
      yield Record(number, Article(_unquoted(body), _unquoted(title), name))
    else:
      reason = 'expected JSON, <doc ..> or id, text and title between tabs, got '
      yield Record(number, problem=f'{reason}{text.strip():.40}')


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
