"""A record of a file, or what is wrong with it, and the checks of its fields."""

import contextvars
import difflib
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from masklearn.io.lines import decode
from masklearn.types import InputError

EXAMPLES = 1_000  # problems whose text is remembered; all are counted

T = TypeVar('T')
Parse = Callable[[dict[str, Any], str], T]

# What `note` was told of the record that `collect` is at.
_NOTES = contextvars.ContextVar[list[str] | None]('notes', default=None)


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


class Problems(list[str]):
  """The first records that could not be used, FILE:LINE: what; all are counted.

  Attributes:
    count: of all of them.
    notes: what was left out or changed in records that were used, the first of it.
    noted: how often that happened.
  """

  def __init__(self):
    super().__init__()
    self.count, self.notes, self.noted = 0, [], 0

  def add(self, record: Record) -> None:
    """Counts a record that has a problem."""
    self.count += 1
    if len(self) < EXAMPLES:  # To find the line of the others would take its time.
      self.append(record.message)

  def note(self, place: Any, notes: Iterable[str]) -> None:
    """Counts what `records.note` was told of a record."""
    for said in notes:
      self.noted += 1
      if len(self.notes) < EXAMPLES:
        self.notes.append(f'{place}: {said}')


def note(said: str) -> None:
  """Says of the record that `collect` is at what is left out or changed in it."""
  notes = _NOTES.get()
  if notes is not None:
    notes.append(said)


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
    record = json.loads(text, object_pairs_hook=unique)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'not JSON: {json_fault(error)}.') from error
  if not isinstance(record, dict):
    raise ValueError(f'expected a JSON object, got {text.strip():.40}.')
  if '\\u' in text:  # Nothing but an escape can have made half of a pair.
    check_text(record)
  return record


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """The object of these keys and values; `ValueError` if a key occurs twice."""
  made = dict(pairs)
  if len(made) < len(pairs):
    keys = [key for key, _ in pairs]
    raise ValueError(f'{max(keys, key=keys.count)!r:.40} occurs twice in an object')
  return made


def json_fault(error: Exception) -> str:
  """What the parser of JSON found, in a few words."""
  if isinstance(error, RecursionError):
    return 'brackets within brackets, too deep'
  if 'integer string conversion' in str(error):  # a limit of Python's
    return 'a number of more than 4,300 digits'
  return str(error)


def check_text(record: Any) -> None:
  """Raises `ValueError` for half of a surrogate pair: legal in JSON, not in UTF-8."""
  try:
    json.dumps(record, ensure_ascii=False).encode()
  except UnicodeEncodeError as error:
    raise ValueError('a text has half of a surrogate pair.') from error
  except RecursionError as error:
    raise ValueError('brackets within brackets, too deep.') from error


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


def answer_text(value: Any, key: str) -> str:
  """An answer as text: a string as it is, a number as JSON writes it, which is noted.

  Raises:
    ValueError: it is anything else, or no finite number.

  >>> answer_text(1969, 'targets[0]'), answer_text(1969.0, 'targets[0]')
  ('1969', '1969')
  """
  if isinstance(value, str):
    return value
  if isinstance(value, int | float) and not isinstance(value, bool):
    if not math.isfinite(value):
      raise ValueError(f'{key} must be text or a number, got {value}.')
    whole = isinstance(value, float) and value.is_integer()
    text = str(int(value) if whole else value)
    note(f'{key} is the number {text:.40}, read as text.')
    return text
  raise ValueError(f'{key} must be a string, got {value!r:.40}.')


def check_keys(record: dict[str, Any], known: tuple[str, ...]) -> None:
  """Notes a key that is almost one of `known`, which the record lacks."""
  for key in record:
    if key in known:
      continue
    if (near := _nearly(key, known)) and near not in record:
      note(f'{key!r} is no field and is left out; did you mean {near!r}?')


@functools.lru_cache(1 << 10)
def _nearly(key: str, known: tuple[str, ...]) -> str:
  plain = key.strip('_ ').casefold()[:40]
  # What begins otherwise is rarely a slip, and a flood of keys must cost little.
  near = [k for k in known if k[:1] == plain[:1] and abs(len(k) - len(plain)) < 3]
  return ''.join(difflib.get_close_matches(plain, near, n=1, cutoff=0.8))


def collect(
  found: Iterable[Record], parse: Parse[T], name: str
) -> tuple[list[T], Problems]:
  """`parse(value, default_id)` of every record, and what is wrong with the others.

  A problem reads FILE:LINE: what. A record is bad if it has a problem already, if
  `parse` raises `ValueError`, or if its result has the `id` of an earlier one.

  Args:
    found: the records.
    parse: makes something with an `id` of a value, or None to leave it out; what it
      leaves out of a record or changes in it, it tells `note`.
    name: of what they come from.

  Raises:
    InputError: no record is usable.
  """
  items: dict[str, T] = {}
  problems = Problems()
  notes: list[str] = []
  for record in found:
    problem, item = record.problem, None
    if not problem:
      token = _NOTES.set(notes)
      try:
        item = parse(record.value, record.id)
      except ValueError as error:
        problem = str(error)
        notes.clear()
      finally:
        _NOTES.reset(token)
    if notes:
      problems.note(record.place, notes)
      notes.clear()
    if item is not None and item.id in items:
      problem = f'id {item.id!r:.80} occurs before.'
    if problem:
      problems.add(record._replace(problem=problem))
    elif item is not None:
      items[item.id] = item
  if not items:
    raise no_usable_record(name, problems)
  return list(items.values()), problems


def no_usable_record(name: Any, problems: Problems) -> InputError:
  """The error where nothing is left of a file or a corpus."""
  first = f', the first at {problems[0]}' if problems else ''
  return InputError(f'{name} has no usable record; {problems.count} are bad{first}')
