"""Tables with a heading -> records by the names of columns; and DPR's questions.

A .tsv has tabs and a .csv commas between its columns. The first line names them: what
is in which column is never guessed. Only DPR's files of questions have no heading, but
a list of answers in the second of two columns, between tabs, whatever their name
(nq-test.qa.csv).

References:
  Karpukhin et al., Dense Passage Retrieval for Open-Domain Question Answering, EMNLP
  2020; https://github.com/facebookresearch/DPR.
"""

import ast
import csv
import itertools
import json
from collections.abc import Iterator
from typing import Any

from masklearn.io import lines
from masklearn.io.records import Line, Record
from masklearn.types import InputError

SEPARATORS = {'.tsv': '\t', '.csv': ','}
QUESTIONS = ['question', 'answers']  # the columns of DPR's files of questions


def records(file: lines.Lines, ending: str, name: str) -> Iterator[Record]:
  """Yields an object for each row; a cell that writes a list becomes one.

  Args:
    file: at its beginning.
    ending: a key of `SEPARATORS`.
    name: what the ids begin with.

  Raises:
    InputError: the first line names no columns.
  """
  texts = map(lines.decode, (line for _, line in file))
  columns, separator = [], SEPARATORS[ending]
  try:
    head = next(texts, '')
  except ValueError as error:
    raise InputError(f'{file.path}:1: {error}') from error
  if _is_question(next(csv.reader([head], delimiter='\t'), [])):
    columns, separator = QUESTIONS, '\t'
  csv.field_size_limit(lines.LINE)  # 128 KiB by default
  rows = csv.reader(itertools.chain([head], texts), delimiter=separator)
  while True:
    place, problem, row = Line(file.path, rows.line_num + 1), '', []
    try:
      row = next(rows)
    except StopIteration:
      return
    except (csv.Error, ValueError) as error:  # the latter of `decode`
      problem = f'{str(error).rstrip(".")}.'
      place = Line(file.path, max(place.number, file.offset.lines))
    if not row and not problem:  # a blank line
      continue
    if not columns:
      columns = _heading(row, place)
    elif problem or len(row) != len(columns):
      wanted = f'{len(columns)} columns are expected, got {len(row)}.'
      yield Record(place, problem=problem or wanted)
    else:
      value = dict(zip(columns, map(_cell, row), strict=True))
      yield Record(place, value, id=f'{name}-{place.number}')


def _heading(row, place) -> list[str]:
  columns = [cell.strip() for cell in row]
  if not all(columns) or len(set(columns)) < len(columns):
    raise InputError(
      f'{place}: a table begins with the names of its columns, all different, got '
      f'{", ".join(columns):.80}.'
    )
  return columns


def _is_question(row):
  return len(row) == 2 and bool(row[0].strip()) and isinstance(_cell(row[1]), list)


def _cell(text: str) -> Any:
  """A list where the cell writes one, as JSON or as Python does; otherwise its text."""
  if not (text.startswith('[') and text.endswith(']')):
    return text
  for parse in (json.loads, ast.literal_eval):
    try:
      found = parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
      continue
    if isinstance(found, list):
      return found
  return text
