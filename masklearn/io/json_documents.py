"""JSON documents -> flat records, each with its place: FILE:LINE: data[3].qas[0].

A document is a list of records, or an object that holds them: SQuAD and ROPES under
data > paragraphs > qas, TriviaQA under Data. What an outer object says, such as a
title or a passage, is in each of its records.
"""

import bisect
import functools
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from masklearn.io.records import Record, check_text, json_fault, unique
from masklearn.types import InputError

# The key that tells a document -> the lists to go down through.
LEVELS = {'data': ('data', 'paragraphs', 'qas'), 'Data': ('Data',)}

_STRING_OR_END = re.compile(r'"(?:[^"\\]|\\.)*"|}', re.DOTALL)
_SPACE = re.compile(r'[ \t\r\n]*')
_DECODER = json.JSONDecoder()


class Place(NamedTuple):
  """The place of a record in a document; its line is found when it is asked for."""

  document: 'Document'
  steps: tuple[str | int, ...]

  def __str__(self):
    path = ''.join(f'[{s}]' if isinstance(s, int) else f'.{s}' for s in self.steps)
    try:
      line = self.document.line(self.steps)
    except RecursionError:  # further down here than where it was parsed
      line = 1
    return ': '.join(filter(None, (f'{self.document.path}:{line}', path.lstrip('.'))))


class Document:
  """A JSON document that knows in which line each of its parts begins."""

  def __init__(self, path: str | os.PathLike, data: bytes):
    """Parses all of it.

    Args:
      path: of the file, for messages.
      data: its bytes.

    Raises:
      InputError: not UTF-8, or not JSON; with the line.
    """
    self.path = path
    objects = itertools.count()  # A wrong key says no place: the objects are counted.

    def checked(pairs):
      next(objects)
      return unique(pairs)

    try:
      self.text = data.decode('utf-8-sig')
      self.value = json.loads(self.text, object_pairs_hook=checked)
    except UnicodeDecodeError as error:
      before = error.object[: error.start]
      line, column = before.count(b'\n') + 1, error.start - before.rfind(b'\n')
      raise InputError(f'{path}:{line}: not UTF-8 at byte {column}.') from error
    except json.JSONDecodeError as error:
      raise InputError(
        f'{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}.'
      ) from error
    except (ValueError, RecursionError) as error:
      at = _place(self.text, error, next(objects))
      line = self.text.count('\n', 0, at) + 1
      raise InputError(f'{path}:{line}: not JSON: {json_fault(error)}.') from error

  def records(self) -> Iterator[Record]:
    """Yields every record, flat, or what is wrong with it."""
    escaped = '\\u' in self.text
    for steps, value, problem in _walk(self.value):
      if escaped and not problem:
        try:
          check_text(value)
        except ValueError as error:
          value, problem = None, str(error)
      yield Record(Place(self, steps), value, problem)

  def line(self, steps: tuple[str | int, ...]) -> int:
    """The line, from 1, in which a part of the document begins."""
    at = _SPACE.match(self.text).end()
    for step in steps:
      at = self._children(at)[step]
    return bisect.bisect(self._newlines, at) + 1

  @functools.cached_property
  def _newlines(self) -> list[int]:
    return [match.start() for match in re.finditer('\n', self.text)]

  @functools.lru_cache(maxsize=64)  # noqa: B019 (documents do not outlive a reading)
  def _children(self, at: int) -> dict[str | int, int]:
    """The places of the values of the object or list that begins at `at`."""
    text, found = self.text, {}
    named = text[at] == '{'
    at = _skip(text, at + 1)
    while text[at] not in ']}':
      key: str | int = len(found)
      if named:
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # the colon
      found[key] = at
      at = _skip(text, _DECODER.raw_decode(text, at)[1])
      at = _skip(text, at + 1) if text[at] == ',' else at
    return found


def _place(text, error, objects):
  """The character at which the parser was: a long number, or the end of an object."""
  if isinstance(error, RecursionError):
    return 0
  if 'integer string conversion' in str(error):
    return re.search(r'\d{4301}', text).start()
  ends = (match.start() for match in _STRING_OR_END.finditer(text) if match[0] == '}')
  return next(itertools.islice(ends, objects - 1, None))


def _skip(text, at):
  return _SPACE.match(text, at).end()


def _walk(value):
  """Yields (steps, record, problem)."""
  if isinstance(value, list):
    for i, item in enumerate(value):
      yield from _descend((i,), item, (), {})
    return
  levels = ()
  if isinstance(value, dict):
    held = [key for key in LEVELS if isinstance(value.get(key), list)]
    levels = LEVELS[held[0]] if held else ()
  yield from _descend((), value, levels, {})


def _descend(steps, node, levels, above):
  if not isinstance(node, dict):
    yield steps, None, f'expected a JSON object, got {json.dumps(node):.40}.'
  elif not levels:
    yield steps, {**above, **node}, ''
  elif not isinstance(node.get(levels[0]), list):
    yield steps, None, f'no list {levels[0]!r}.'
  else:
    own = {key: value for key, value in node.items() if key != levels[0]}
    for i, child in enumerate(node[levels[0]]):
      deeper = (*steps, levels[0], i)
      yield from _descend(deeper, child, levels[1:], {**above, **own})
