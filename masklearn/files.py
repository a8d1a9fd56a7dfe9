"""JSON, JSON lines and directories on disk, written whole or not at all."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from masklearn.types import InputError


@contextlib.contextmanager
def new_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """A directory to fill beside `path`, which takes its place when all went well.

  Raises:
    InputError: `path` holds something already.
  """
  path = pathlib.Path(path)
  if path.exists() and not (path.is_dir() and not any(path.iterdir())):
    raise InputError(f'{path} is there already; give a directory that is new.')
  partial = path.with_name(f'{path.name}.partial')
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    yield partial
    os.replace(partial, path)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


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
