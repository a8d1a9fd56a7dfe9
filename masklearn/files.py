"""JSON and JSON lines on disk, written whole or not at all."""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes beside `path`, then renames: a reader sees the old file or the new."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # One name: what a killed process left half written, the next one writes over.
  partial = path.with_name(f'{path.name}.partial')
  partial.write_text(text, encoding='utf-8')
  os.replace(partial, path)


def write_json(path: str | os.PathLike, value: Any) -> None:
  """Writes one JSON value, indented for a reader."""
  write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + '\n')


def read_json(path: str | os.PathLike) -> Any:
  """Returns what `write_json` wrote."""
  return json.loads(pathlib.Path(path).read_text(encoding='utf-8'))


def write_jsonl(path: str | os.PathLike, rows: Iterable[Mapping]) -> None:
  """Writes one JSON object a line."""
  lines = (json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
  write_text(path, ''.join(lines))


def read_jsonl(path: str | os.PathLike) -> list[dict]:
  """Returns what `write_jsonl` wrote."""
  text = pathlib.Path(path).read_text(encoding='utf-8')
  return [json.loads(line) for line in text.split('\n') if line]
