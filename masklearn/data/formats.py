"""Documents out of files, one function for each format.

A reader yields a `Record` of a `Passage` for each document, and one with a problem for
whatever cannot be used. An id is the record's own, or the name of its file and the
number of its line.
"""

import codecs
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from masklearn.data import passage_records, wiki
from masklearn.io import lines, record_files, records
from masklearn.io.corpus_files import Source
from masklearn.io.records import Line, Record, text_field
from masklearn.tasks import wikidyk as dyk
from masklearn.types import Passage

LONGEST = 1 << 20  # bytes of a paragraph; the line that goes beyond is its last
HEAD = 1_000  # lines that are looked at to tell the form of a file


def text(source: Source, found: wiki.Lines | None = None) -> Iterator[Record]:
  """Plain text: every paragraph is a document, and ends at a blank line.

  Its lines are joined by a space, as is all white space; the id has the number of the
  first. A paragraph of more than a megabyte ends with the line that makes it so, for
  texts that have a document in each line and no blank ones.

  Args:
    source: the file.
    found: those of its lines that are wanted; all by default.
  """
  return _articles(source, _paragraphs, found)


def json_lines(source: Source, found: wiki.Lines | None = None) -> Iterator[Record]:
  """Our own records, see `passage_records`; arguments as of `text`.

  Read are JSON lines, a JSON document that is a list of them, and Parquet. Where a
  record has no `text`, that of pyserini's `contents` is taken.
  """
  return _parsed(source, lambda *row: [passage_records.parse_passage(*row)], found)


def wikipedia(source: Source) -> Iterator[Record]:
  """Articles or passages of Wikipedia, in the forms that people have them in.

  Which one, a file's first lines tell: `<doc id=".." url=".." title="..">` or a JSON
  object {"id", "title", "text"} of WikiExtractor 1 to 3; the pairs of lines of a cirrus
  dump; KILT's knowledge source; pyserini's {"id", "contents"}; Parquet of the same
  fields; or a table with tabs whose heading names id, text and title, such as DPR's
  psgs_w100.tsv. The group is the title, which is left out where the text begins with
  it; white space is one space. An article without text, such as a redirect, is a
  problem.

  References:
    https://github.com/attardi/wikiextractor
    https://dumps.wikimedia.org/other/cirrussearch/
    https://github.com/castorini/pyserini (JSON collections)
    Karpukhin et al., Dense Passage Retrieval for Open-Domain Question Answering,
    section 4.1 (psgs_w100.tsv). https://arxiv.org/abs/2004.04906
  """
  parquet = record_files.is_parquet(source.path)
  head = b'[' if parquet else _head(source, (b'{', b'[', b'<doc '))
  if head.startswith(b'{"index"'):
    return _of_cirrus(source)
  if head.startswith(b'['):
    return _parsed(source, lambda *record: [wiki.article(*record)])
  if head.startswith(b'{'):
    escaped = wiki.is_escaped(_json_texts(source))
    return _parsed(source, lambda *record: [wiki.article(*record, escaped)])
  if head.startswith(b'<'):
    escaped = wiki.is_escaped(_tagged_texts(source))
    return _articles(source, lambda found: wiki.doc_tags(found, escaped))
  return _articles(source, lambda found: wiki.rows(found, source.path))


def wikitext(source: Source) -> Iterator[Record]:
  """Wikitext-2 and -103, raw, or their articles as JSON lines {"title", "text"}.

  An article begins at a heading ` = Title = `, its group; deeper headings are left out,
  and white space is one space. The marks of its tokenisation (` @-@ `) are kept.

  References:
    Merity et al., Pointer Sentinel Mixture Models, section 4.3.
    https://arxiv.org/abs/1609.07843
  """
  parquet = record_files.is_parquet(source.path)
  if parquet and 'title' not in _first(source):
    # The hub has a line in each row.
    return _articles(source, wiki.wikitext_articles, _row_lines(source))
  if parquet or _head(source, (b'{', b'= ')).startswith(b'{'):
    return _parsed(source, lambda *record: [wiki.wikitext_article(*record)])
  return _articles(source, wiki.wikitext_articles)


def factbook(source: Source) -> Iterator[Record]:
  """Country profiles {"name", "fields": [["Section > Field", text], ...]} a line.

  Every field is a document, "<name>. <field>: <text>", of the group <name>. A subfield
  keeps the field that it belongs to: "Algeria. Capital, name: Algiers".
  """
  return _parsed(source, _fields)


def elements(source: Source) -> Iterator[Record]:
  """Chemical elements {"name", "text"} a line: "<name>: <text>", of group <name>."""
  return _parsed(source, _element)


def wikidyk(source: Source) -> Iterator[Record]:
  """The facts of WikiDYK, each a document and a group; see `tasks.wikidyk`.

  Paraphrases of facts, which some of the published files have, are not read.
  """
  return _parsed(source, lambda *record: [dyk.passage(*record)])


FORMATS: dict[str, Callable[[Source], Iterator[Record]]] = {
  'text': text,
  'jsonl': json_lines,
  'wikipedia': wikipedia,
  'wikitext': wikitext,
  'factbook': factbook,
  'elements': elements,
  'wikidyk': wikidyk,
}


def _fields(record: dict[str, Any], default_id: str) -> list[Passage]:
  name, fields = text_field(record, 'name'), record.get('fields')
  if not isinstance(fields, list) or not fields:
    raise ValueError(f"'fields' must be a list of [field, text], got {fields!r:.40}.")
  documents = []
  for i, row in enumerate(fields):
    match row:
      case [str(field), str(body)]:
        _, *parts = field.split(' > ')
        label = ', '.join(dict.fromkeys(parts or [field]))
        documents.append(Passage(f'{default_id}/{i}', f'{name}. {label}: {body}', name))
      case _:
        raise ValueError(f"'fields' must hold [field, text], got {row!r:.40}.")
  return documents


def _element(record: dict[str, Any], default_id: str) -> list[Passage]:
  name, body = (text_field(record, key) for key in ('name', 'text'))
  return [Passage(default_id, f'{name}: {body}', name)]


def _parsed(source, parse, found=None) -> Iterator[Record]:
  """Yields `parse(value, default_id)`, documents, of every record."""
  if found:
    every = records.json_lines(found, source.path, source.name)
  else:
    every = record_files.read(source.path, source.name)
  for record in every:
    if record.problem:
      yield record
      continue
    try:
      documents = parse(record.value, record.id)
    except ValueError as error:
      yield record._replace(value=None, problem=str(error))
    else:
      for document in documents:
        yield Record(record.place, document)


def _of_cirrus(source) -> Iterator[Record]:
  """Yields articles of {"index": {"_id"}} and the object in the line after it."""
  action: dict[str, Any] = {}

  def article(record, default_id):
    nonlocal action
    if record.keys() == {'index'}:
      action = record['index'] if isinstance(record['index'], dict) else {}
      return []
    made = wiki.article(record | {'id': action.get('_id')}, default_id)
    action = {}
    return [made]

  return _parsed(source, article)


def _json_texts(source) -> Iterator[str]:
  """The texts of the first of a file's JSON objects."""
  for record in itertools.islice(record_files.read(source.path), HEAD):
    text = record.value.get('text') if record.value else None
    if isinstance(text, str):
      yield text


def _tagged_texts(source) -> Iterator[str]:
  """The first lines of text of a file of <doc>."""
  for _, line in itertools.islice(lines.lines(source.path), 10 * HEAD):
    if not line.startswith((b'<doc ', b'</doc>')):
      yield line.decode('utf-8', 'replace')


def _first(source) -> dict[str, Any]:
  record = next(record_files.read(source.path), None)
  return record.value if record else {}


def _row_lines(source) -> wiki.Lines:
  for number, record in enumerate(record_files.read(source.path), start=1):
    yield number, str(record.value.get('text') or '').encode()


def _articles(source, read: Callable[[wiki.Lines], Iterator[Record]], found=None):
  """Yields the documents of a reader of articles."""
  for number, article, problem, _ in read(found or lines.lines(source.path)):
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
  with lines.Lines(source.path) as file:
    if b'[' in forms and file.peek().lstrip().startswith(b'['):
      return b'['  # The line may be the whole document.
    first = itertools.islice(file, HEAD)
    heads = (line.removeprefix(codecs.BOM_UTF8).lstrip() for _, line in first)
    return next((head for head in heads if head.startswith(forms)), b'')
