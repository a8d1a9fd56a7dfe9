"""What kind of record is this? Its fields tell; and readers of fields that many share.

Benchmarks come in several shapes: as they were published, as others have converted
them, and as the Hugging Face hub has them. A record has the shape of all whose fields
it has the most of.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from masklearn.types import Example, Span

# What it is called -> the fields that tell it, in flat records (see `documents`).
SHAPES = {
  'an NQ-open record': ('question', 'answer'),
  'a WebQuestions record': ('utterance', 'targetValue'),
  'a WebQuestions record of YodaQA': ('qText', 'answers'),
  'a WebQuestions record of the hub': ('url', 'question', 'answers'),
  'a TriviaQA record': ('Question', 'QuestionId'),
  'a TriviaQA record of the hub': ('question', 'question_id', 'answer'),
  'a KILT record': ('id', 'input'),
  'a KILT record without input': ('id', 'output'),
  'an id of KILT': ('id',),
  'a SQuAD record': ('context', 'question', 'answers'),
  'a QED record': ('question_text', 'paragraph_text', 'original_nq_answers'),
  'a ROPES record': ('background', 'situation', 'question'),
  'a WIQA record': ('question', 'metadata'),
  'a WIQA record of the hub': ('question_stem', 'question_para_step', 'choices'),
  'a QuaRTz record': ('question', 'answerKey', 'para'),
  'a CNN/DailyMail record': ('article', 'highlights'),
  'a PreSumm record': ('src', 'tgt'),
  'an XSum record': ('document', 'summary'),
  'a SciTLDR record': ('source', 'target', 'paper_id'),
  "a question of task 'jsonl'": ('source', 'target'),
}

KILT = ('a KILT record', 'a KILT record without input', 'an id of KILT')

Parser = Callable[[dict[str, Any], str], Example]


def by_shape(parsers: Mapping[str, Parser]) -> Parser:
  """Returns a parser that takes records of several shapes, and names all others.

  Args:
    parsers: a key of `SHAPES` -> what makes an example of such a record.
  """

  def parse(record: dict[str, Any], default_id: str) -> Example:
    fit = [name for name, fields in SHAPES.items() if record.keys() >= set(fields)]
    # Of two that fit alike, one that is wanted; of two more, the first.
    best = max(fit, key=lambda name: (len(SHAPES[name]), name in parsers), default='')
    if best in parsers:
      return parsers[best](record, default_id)
    near = max(parsers, key=lambda name: len(record.keys() & set(SHAPES[name])))
    missing = [field for field in SHAPES[near] if field not in record]
    if not best and 0 < len(missing) < len(SHAPES[near]):
      raise ValueError(f'no {missing[0]!r}.')
    found = f'this looks like {best}' if best else f'got fields {list(record)!s:.80}'
    wanted = ' or '.join(f'{name} ({", ".join(SHAPES[name])})' for name in parsers)
    raise ValueError(f'{found}, expected {wanted}.')

  return parse


def strings(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
  """Returns the different strings of a list that are not blank.

  Raises:
    ValueError: it is no list of strings.
  """
  values = record.get(key)
  if values is None:
    raise ValueError(f'no {key!r}.')
  if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
    raise ValueError(f'{key!r} must be a list of strings, got {values!r:.40}.')
  return tuple(dict.fromkeys(value for value in values if value.strip()))


def answers(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
  """The same, of a list that must have one."""
  found = strings(record, key)
  if not found:
    raise ValueError(f'{key!r} has no answer.')
  return found


def objects(record: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
  """Returns the objects of a list, or of columns, as the hub has it.

  [{"a": 1, "b": 2}, ..] and {"a": [1, ..], "b": [2, ..]} are the same.

  Raises:
    ValueError: it is neither.
  """
  value = record.get(key)
  if isinstance(value, dict):
    columns = list(value.values())
    if all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
      rows = zip(*columns, strict=True)
      return [dict(zip(value, row, strict=True)) for row in rows]
  elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
    return value
  if value is None:
    raise ValueError(f'no {key!r}.')
  raise ValueError(f'{key!r} must be a list of objects, got {value!r:.40}.')


def spans(context: str, places: Iterable[tuple[int, str]]) -> tuple[Span, ...]:
  """Returns where the answers stand that are said to begin at some characters.

  Args:
    context: the text.
    places: (first character, answer).

  Raises:
    ValueError: the text has something else there.
  """
  found = {}
  for start, answer in places:
    if type(start) is not int:
      raise ValueError(f'an answer must start at a whole number, got {start!r:.40}.')
    end = start + len(answer)
    if start < 0 or context[start:end] != answer:
      there = context[max(start, 0) : max(end, 0)]
      raise ValueError(
        f'answer {answer!r:.40} is not at character {start} of the context, which has '
        f'{there!r:.40} there.'
      )
    found[Span(start, end)] = None
  return tuple(found)


def occurrences(context: str, texts: Sequence[str]) -> tuple[Span, ...]:
  """Returns every place where one of the texts stands as whole words, in order."""
  found = set()
  for text in texts:
    # Between two characters of a word there is no end of it.
    pattern = rf'(?<!\w){re.escape(text)}(?!\w)'
    found |= {Span(*match.span()) for match in re.finditer(pattern, context)}
  return tuple(sorted(found))
