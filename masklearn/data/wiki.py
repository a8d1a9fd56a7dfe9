"""Articles in the forms that dumps of Wikipedia come in.

The readers of lines yield (line, title, id, text); the id is '' where there is none,
and in place of a text that cannot be used there is a `ValueError`.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

from masklearn.io import reading, sources
from masklearn.types import Passage

Article = tuple[int, str, str, str | ValueError]

HEADING = ('id', 'text', 'title')  # of the columns of DPR's passages
_DOC = re.compile(r'<doc id="([^"]*)"(?: url="[^"]*")? title="(.*)">\s*$')
_TITLE = re.compile(r' ?= (?!= )(.*[^=\s]) = ?$')  # of an article
_SECTION = re.compile(r' ?= = .* = = ?$')


def article(record: dict[str, Any], default_id: str) -> Passage:
  """The document of one of WikiExtractor's JSON objects.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  title = reading.text_field(record, 'title')
  body = _without_title(reading.text_field(record, 'text'), title)
  return Passage(reading.text_field(record, 'id', default_id), _filled(body), title)


def wikitext_article(record: dict[str, Any], default_id: str) -> Passage:
  """The document of an article of wikitext, {"title", "text"}.

  Raises:
    ValueError: a field is missing, or there is no text.
  """
  lines = reading.text_field(record, 'text').split('\n')
  body = ' '.join(line for line in lines if not _SECTION.match(line))
  title = reading.text_field(record, 'title', '')
  return Passage(reading.text_field(record, 'id', default_id), _filled(body), title)


def doc_tags(lines: Iterable[bytes]) -> Iterator[Article]:
  """Yields the articles of `<doc id=".." url=".." title=".."> text </doc>`."""
  start, title, name, body = 0, '', '', []
  problem = None
  for number, line in enumerate(lines, start=1):
    try:
      text = sources.decode(line)
    except ValueError as error:
      problem = problem or (number, title, name, error)
      text = line.decode('utf-8', 'replace')
    if text.startswith('<doc '):
      if start:
        yield start, title, name, ValueError('<doc ..> without </doc>.')
      start, problem, body = number, None, []
      opened = _DOC.match(text)
      name, title = opened.groups() if opened else ('', '')
      title = html.unescape(title)
      if not opened:
        reason = f'expected <doc id=".." url=".." title="..">, got {text.strip():.60}'
        problem = number, title, name, ValueError(reason)
    elif not start:
      if text.strip():
        yield number, '', '', ValueError(f'text outside of <doc>: {text.strip():.40}')
    elif text.rstrip() == '</doc>':
      found = _without_title(''.join(body), title)
      yield problem or (start, title, name, found)
      start = 0
    else:
      body.append(text)
  if start:
    yield start, title, name, ValueError('<doc ..> without </doc>.')


def rows(lines: Iterable[bytes]) -> Iterator[Article]:
  """Yields the passages of a file of tab-separated `HEADING`."""
  for number, line in enumerate(lines, start=1):
    name, title = '', ''
    try:
      text = sources.decode(line).rstrip('\r\n')
      if not text.strip() or (number == 1 and tuple(text.split('\t')) == HEADING):
        continue
      # A tab within a text is the text's: the others are the first and the last.
      name, _, rest = text.partition('\t')
      body, tab, title = rest.rpartition('\t')
      if not (name and tab and title):
        raise ValueError(
          'expected JSON, <doc ..> or id, text and title between tabs, got '
          f'{text.strip():.40}'
        )
      yield number, _unquoted(title), name, _unquoted(body)
    except ValueError as error:
      yield number, title, name, error


def wikitext_articles(lines: Iterable[bytes]) -> Iterator[Article]:
  """Yields the articles of a file of wikitext, each with the line of its heading."""
  start, title, body, problem = 0, '', [], None
  for number, line in enumerate(lines, start=1):
    try:
      text = sources.decode(line).rstrip('\r\n')
    except ValueError as error:
      problem = problem or (number, title, '', error)
      text = ''
    heading = _TITLE.match(text)
    if heading:
      if start:
        yield problem or (start, title, '', ' '.join(body))
      start, title, body, problem = number, heading[1], [], None
    elif not _SECTION.match(text):
      start = start or (number if text.strip() or problem else 0)
      body.append(text)
  if start:
    yield problem or (start, title, '', ' '.join(body))


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
