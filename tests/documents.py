"""Files of documents for tests of corpora."""

import gzip
import json


def lines(path, *rows):
  """Writes rows, JSON unless they are bytes or text already, and returns the path."""
  path.parent.mkdir(parents=True, exist_ok=True)
  texts = [row if isinstance(row, bytes) else encoded(row) for row in rows]
  data = b''.join(text + b'\n' for text in texts)
  path.write_bytes(gzip.compress(data) if path.suffix == '.gz' else data)
  return path


def encoded(row):
  """A row as bytes."""
  text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
  return text.encode()


def articles(shared_data):
  """The articles of wikitext-2's test split, {"title", "text"}."""
  with gzip.open(shared_data / 'corpora' / 'wikitext2_raw_test.jsonl.gz') as file:
    return [json.loads(line) for line in file]
