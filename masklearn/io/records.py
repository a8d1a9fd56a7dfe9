"""A record of a file, or what is wrong with it, and the checks of its fields."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from masklearn.io.lines import decode
from masklearn.types import InputError

T = TypeVar('T')
Parse = Callable[[dict[str, Any], str], T]


class Line(NamedTuple):
  """The place of a record in a file of lines."""

  path: str | os.PathLike
  number: int  # from 1

  def __str__(self):
    return f'{self.path}:{self.number}'


class Record(NamedTuple):
  """A value and its place, or what is wrong there."""

  place: Any  # `str` makes FILE:LINE of it, or the like
  value: Any = None  # None if there is a problem
  problem: str = ''
  id: str = ''  # for a value that has none of its own

  @property
  def message(self) -> str:
    """The problem with its place, FILE:LINE: what; '' if there is none."""
    return f'{self.place}: {self.problem}' if self.problem else ''


def json_lines(
  lines: Iterable[tuple[int, bytes]], path: str | os.PathLike, name: str
) -> Iterator[Record]:
  """Yields the JSON object of every line that is not blank.

  Args:
    lines: numbers and bytes, see `lines.Lines`.
    path: of their file.
    name: what the ids begin with.

  >>> list(json_lines([(1, b'{"a": 0}'), (2, b'[]')], 'f', 'f'))[0].value
  {'a': 0}
  """
  for number, data in lines:
    if not data.strip():
      continue
    try:
      value = json_object(data)
    except ValueError as error:
      yield Record(Line(path, number), problem=str(error))
    else:
      yield Record(Line(path, number), value, id=f'{name}-{number}')


def json_object(line: bytes) -> dict[str, Any]:
  """The object of a JSON line.

  Raises:
    ValueError: it is not UTF-8, not JSON, or no object.

  >>> json_object(b'{"text": "Oslo"}')
  {'text': 'Oslo'}
  """
  text = decode(line)
  try:
    record = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'not JSON: {error}.') from error
  if not isinstance(record, dict):
    raise ValueError(f'expected a JSON object, got {text.strip():.40}.')
  if '\\u' in text:  # Nothing but an escape can have made half of a pair.
    check_text(record)
  return record


def check_text(record: Any) -> None:
  """Raises `ValueError` for half of a surrogate pair: legal in JSON, not in UTF-8."""
  try:
    json.dumps(record, ensure_ascii=False).encode()
  except UnicodeEncodeError as error:
    raise ValueError('a text has half of a surrogate pair.') from error


def text_field(record: dict[str, Any], key: str, default: str | None = None) -> str:
  """A string of a record, or `default` where it is absent or null.

  Raises:
    ValueError: it is neither, or it is blank, or there is no default. An `id` may be
      a whole number.

  >>> text_field({'id': 7}, 'id'), text_field({}, 'group', '')
  ('7', '')
  """
  value = record.get(key)
  value = default if value is None else value
  if isinstance(value, int) and not isinstance(value, bool) and key == 'id':
    value = str(value)
  if value is None:
    raise ValueError(f'no {key!r}.')
  if not isinstance(value, str):
    raise ValueError(f'{key!r} must be a string, got {value!r:.40}.')
  if not value.strip() and value != default:
    raise ValueError(f'{key!r} is empty.')
  return value


def collect(
  found: Iterable[Record], parse: Parse[T], name: str
) -> tuple[list[T], list[str]]:
  """`parse(value, default_id)` of every record, and what is wrong with the others.

  A problem reads FILE:LINE: what. A record is bad if it has a problem already, if
  `parse` raises `ValueError`, or if its result has the `id` of an earlier one.

  Args:
    found: the records.
    parse: makes something with an `id` of a value, or None to leave it out.
    name: of what they come from.

  Raises:
    InputError: no record is usable.
  """
  items: dict[str, T] = {}
  problems = []
  for record in found:
    problem, item = record.problem, None
    if not problem:
      try:
        item = parse(record.value, record.id)
      except ValueError as error:
        problem = str(error)
    if item is not None and item.id in items:
      problem = f'id {item.id!r} occurs before.'
    if problem:
      problems.append(record._replace(problem=problem).message)
    elif item is not None:
      items[item.id] = item
  if not items:
    raise no_usable_record(name, len(problems), problems)
  return list(items.values()), problems


def no_usable_record(name: Any, count: int, problems: list[str]) -> InputError:
  """The error where nothing is left of a file or a corpus.

  Args:
    name: of it.
    count: bad records.
    problems: what is wrong with them, or with the first of them.
  """
  first = f', the first at {problems[0]}' if problems else ''
  return InputError(f'{name} has no usable record; {count} are bad{first}')
