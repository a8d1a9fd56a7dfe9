"""Documents out of files, one function for each format.

A reader yields a `Record` of a `Passage` for each document, and one with a problem for
whatever cannot be used. An id is the record's own, or the name of its file and the
number of its line.
"""

import codecs
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from masklearn.data import passage_records, wiki
from masklearn.io import lines, records
from masklearn.io.corpus_files import Source
from masklearn.io.records import Line, Record, text_field
from masklearn.types import Passage

LONGEST = 1 << 20  # bytes of a paragraph; the line that goes beyond is its last
HEAD = 1_000  # lines that are looked at to tell the form of a file


def text(source: Source) -> Iterator[Record]:
  """Plain text: every paragraph is a document, and ends at a blank line.

  Its lines are joined by a space, as is all white space; the id has the number of the
  first. A paragraph of more than a megabyte ends with the line that makes it so, for
  texts that have a document in each line and no blank ones.
  """
  return paragraphs(lines.lines(source.path), source)


def json_lines(source: Source) -> Iterator[Record]:
  """Our own records, see `passage_records`."""
  return passages(lines.lines(source.path), source)


def wikipedia(source: Source) -> Iterator[Record]:
  """Extracts as WikiExtractor writes them, in either form, or DPR's passages.

  Which one, the first of a file's lines tell: a JSON object {"id", "title", "text"},
  `<doc id=".." url=".." title="..">`, or the heading `id<TAB>text<TAB>title`. The group
  is the title, which is left out where the text begins with it; white space is one
  space. An article without text, such as a redirect, is a problem.

  References:
    https://github.com/attardi/wikiextractor (the first two)
    Karpukhin et al., Dense Passage Retrieval for Open-Domain Question Answering,
    section 4.1 (psgs_w100.tsv). https://arxiv.org/abs/2004.04906
  """
  head = _head(source, (b'{', b'<doc ', b'id\t'))
  if head.startswith(b'{'):
    return _json_lines(source, lambda *record: [wiki.article(*record)])
  read = wiki.doc_tags if head.startswith(b'<') else wiki.rows
  return _articles(lines.lines(source.path), source, read)


def wikitext(source: Source) -> Iterator[Record]:
  """Wikitext-2 and -103, raw, or their articles as JSON lines {"title", "text"}.

  An article begins at a heading ` = Title = `, its group; deeper headings are left out,
  and white space is one space. The marks of its tokenisation (` @-@ `) are kept.

  References:
    Merity et al., Pointer Sentinel Mixture Models, section 4.3.
    https://arxiv.org/abs/1609.07843
  """
  if _head(source, (b'{', b'= ')).startswith(b'{'):
    return _json_lines(source, lambda *record: [wiki.wikitext_article(*record)])
  return _articles(lines.lines(source.path), source, wiki.wikitext_articles)


def factbook(source: Source) -> Iterator[Record]:
  """Country profiles {"name", "fields": [["Section > Field", text], ...]} a line.

  Every field is a document, "<name>. <field>: <text>", of the group <name>. A subfield
  keeps the field that it belongs to: "Algeria. Capital, name: Algiers".
  """
  return _json_lines(source, _fields)


def elements(source: Source) -> Iterator[Record]:
  """Chemical elements {"name", "text"} a line: "<name>: <text>", of group <name>."""
  return _json_lines(source, _element)


FORMATS: dict[str, Callable[[Source], Iterator[Record]]] = {
  'text': text,
  'jsonl': json_lines,
  'wikipedia': wikipedia,
  'wikitext': wikitext,
  'factbook': factbook,
  'elements': elements,
}


def paragraphs(found: wiki.Lines, source: Source) -> Iterator[Record]:
  """Yields what `text` does, of numbered lines."""
  return _articles(found, source, _paragraphs)


def passages(found: wiki.Lines, source: Source) -> Iterator[Record]:
  """Yields what `json_lines` does, of numbered lines."""
  return _parsed(found, source, lambda *args: [passage_records.parse_passage(*args)])


def _fields(record: dict[str, Any], default_id: str) -> list[Passage]:
  name, fields = text_field(record, 'name'), record.get('fields')
  if not isinstance(fields, list) or not fields:
    raise ValueError(f"'fields' must be a list of [field, text], got {fields!r:.40}.")
  documents = []
  for i, row in enumerate(fields):
    if not (
      isinstance(row, list) and len(row) == 2 and all(isinstance(x, str) for x in row)
    ):
      raise ValueError(f"'fields' must hold [field, text], got {row!r:.40}.")
    _, *parts = row[0].split(' > ')
    label = ', '.join(dict.fromkeys(parts or [row[0]]))
    body = f'{name}. {label}: {row[1]}'
    documents.append(Passage(f'{default_id}/{i}', body, name))
  return documents


def _element(record: dict[str, Any], default_id: str) -> list[Passage]:
  name, body = (text_field(record, key) for key in ('name', 'text'))
  return [Passage(default_id, f'{name}: {body}', name)]


def _json_lines(
  source: Source, parse: Callable[[dict[str, Any], str], Iterable[Passage]]
) -> Iterator[Record]:
  return _parsed(lines.lines(source.path), source, parse)


def _parsed(found, source, parse) -> Iterator[Record]:
  for record in records.json_lines(found, source.path, source.name):
    if record.problem:
      yield record
      continue
    try:
      documents = parse(record.value, record.id)
    except ValueError as error:
      yield Record(record.place, problem=str(error))
    else:
      for document in documents:
        yield Record(record.place, document)


def _articles(found, source, read: Callable[[wiki.Lines], Iterator[Record]]):
  """Yields the documents of a reader of articles."""
  for number, article, problem, _ in read(found):
    place = Line(source.path, number)
    body = ' '.join(article.text.split()) if article else ''
    if body:
      name = article.id or f'{source.name}-{number}'
      yield Record(place, Passage(name, body, article.title))
    else:
      yield Record(place, problem=problem or "'text' is empty.")


def _paragraphs(found: wiki.Lines) -> Iterator[Record]:
  """Yields paragraphs, each with the number of its first line."""
  body, first, size, problem = [], 0, 0, None
  for number, line in itertools.chain(found, [(0, b'')]):
    blank = not line.strip()
    if not blank:
      first, size = first or number, size + len(line)
      try:
        body.append(lines.decode(line))
      except ValueError as error:
        problem = problem or Record(number, problem=str(error))
    if first and (blank or size > LONGEST):
      yield problem or Record(first, wiki.Article(''.join(body)))
      body, first, size, problem = [], 0, 0, None


def _head(source: Source, forms: tuple[bytes, ...]) -> bytes:
  """The first of the first lines that begins as one of the forms does."""
  first = itertools.islice(lines.lines(source.path), HEAD)
  heads = (line.removeprefix(codecs.BOM_UTF8).lstrip() for _, line in first)
  return next((head for head in heads if head.startswith(forms)), b'')
