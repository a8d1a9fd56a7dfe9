"""Files of documents for tests of corpora."""

import gzip
import json

from masklearn.io import record_files


def lines(path, *rows):
  """Writes rows, JSON unless they are bytes or text already, and returns the path."""
  path.parent.mkdir(parents=True, exist_ok=True)
  data = b''.join(encoded(row) + b'\n' for row in rows)
  path.write_bytes(gzip.compress(data) if path.suffix == '.gz' else data)
  return path


def encoded(row):
  """A row as bytes."""
  if isinstance(row, bytes):
    return row
  text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
  return text.encode()


def articles(shared_data):
  """The articles of wikitext-2's test split, {"title", "text"}."""
  path = shared_data / 'corpora' / 'wikitext2_raw_test.jsonl.gz'
  return [record.value for record in record_files.read(path)]
