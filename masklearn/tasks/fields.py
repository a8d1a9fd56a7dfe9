"""The fields of a record tell its kind; readers of fields that many kinds share.

A benchmark comes in several kinds of records: as it was published, as others have
converted it, and as the Hugging Face hub has it. A record is of the kind all of whose
fields it has; of several such kinds, the one with the most fields.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from masklearn.io.records import answer_text, note, text_field
from masklearn.types import Example, Span

# Kind of record -> the fields that tell it, in flat records, see `io.json_documents`.
KINDS = {
  'an NQ-open record': ('question', 'answer'),
  'a question with answers': ('question', 'answers'),
  'a DPR record': ('question', 'answers', 'positive_ctxs'),
  'a FiD record': ('question', 'answers', 'ctxs'),
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
  'a WikiDYK record': ('fact', 'eval'),
  "a question of task 'jsonl'": ('source', 'target'),
}

KILT = ('a KILT record', 'a KILT record without input', 'an id of KILT')

Parser = Callable[[dict[str, Any], str], Example]


def by_kind(parsers: Mapping[str, Parser]) -> Parser:
  """A parser of records of several kinds, which names the kind of any other.

  Args:
    parsers: a key of `KINDS` -> what makes an example of such a record.
  """

  def parse(record: dict[str, Any], default_id: str) -> Example:
    fit = [name for name, fields in KINDS.items() if record.keys() >= set(fields)]
    # Of two that fit alike, one that is wanted; of two more, the first.
    best = max(fit, key=lambda name: (len(KINDS[name]), name in parsers), default='')
    if best in parsers:
      return parsers[best](record, default_id)
    near = max(parsers, key=lambda name: len(record.keys() & set(KINDS[name])))
    missing = [field for field in KINDS[near] if field not in record]
    if not best and 0 < len(missing) < len(KINDS[near]):
      raise ValueError(f'no {missing[0]!r}.')
    found = f'this looks like {best}' if best else f'got fields {list(record)!s:.80}'
    wanted = ' or '.join(f'{name} ({", ".join(KINDS[name])})' for name in parsers)
    raise ValueError(f'{found}, expected {wanted}.')

  return parse


def reader(
  source: str, targets: str, *, id: str = 'id', group: str = '', many: bool = True
) -> Parser:
  """A parser of records that have the fields of an example under other names.

  Args:
    source: the field of the question.
    targets: that of a list of answers, or of one text.
    id: that of the id, which a record may lack.
    group: that of the group, which a record may lack; '' for none.
    many: whether `targets` is a list.
  """

  def parse(record: dict[str, Any], default_id: str) -> Example:
    return Example(
      id=text_field({'id': record.get(id)}, 'id', default_id),
      source=text_field(record, source),
      targets=answers(record, targets) if many else (text_field(record, targets),),
      group=text_field(record, group, '') if group else '',
    )

  return parse


def strings(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
  """The different texts of a list; what is blank or null is left out, which is noted.

  Raises:
    ValueError: it is no list of strings and numbers.

  >>> strings({'names': ['Oslo', ' ', 'Oslo', 'Bergen', 1969]}, 'names')
  ('Oslo', 'Bergen', '1969')
  """
  values = record.get(key)
  if values is None:
    raise ValueError(f'no {key!r}.')
  if not isinstance(values, list):
    raise ValueError(f'{key!r} must be a list of strings, got {values!r:.40}.')
  return different((f'{key}[{i}]', value) for i, value in enumerate(values))


def different(named: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
  """The different texts of values with their names, by the same rules.

  >>> different([('a', 'Oslo'), ('b', None), ('c', 7)])
  ('Oslo', '7')
  """
  found = {}
  for name, value in named:
    text = '' if value is None else answer_text(value, name)
    if text.strip():
      found[text] = None
    else:
      note(f'{name} is {"null" if value is None else "blank"} and is left out.')
  return tuple(found)


def answers(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
  """The `strings` of a list that must have one."""
  found = strings(record, key)
  if not found:
    raise ValueError(f'{key!r} has no answer.')
  return found


def answer_rows(
  rows: Iterable[Mapping[str, Any]], key: str, text: str = 'text'
) -> list[tuple[Mapping[str, Any], str]]:
  """The objects that say an answer, each with its text, by the rules of `strings`.

  Args:
    rows: the objects.
    key: where they were, for messages.
    text: the field of the answer.
  """
  found = []
  for i, row in enumerate(rows):
    if text not in row:
      raise ValueError(f'no {text!r} in {key}[{i}].')
    for answer in different([(f'{key}[{i}].{text}', row[text])]):
      found.append((row, answer))
  return found


def dpr(record: dict[str, Any], default_id: str) -> Example:
  """The question of DPR's training files; the group is the title of the first passage.

  References:
    https://github.com/facebookresearch/DPR#retriever-input-data-format
  """
  titles = (row.get('title') for row in objects(record, 'positive_ctxs'))
  title = next(titles, None)
  example = reader('question', 'answers')(record, default_id)
  group = title if isinstance(title, str) else ''
  return dataclasses.replace(example, group=group)


def fid(record: dict[str, Any], default_id: str) -> Example:
  """The question of Fusion-in-Decoder's files; `target`, if any, is trained on.

  References:
    https://github.com/facebookresearch/FiD#data-format
  """
  example = reader('question', 'answers')(record, default_id)
  named = [('target', record['target'])] if 'target' in record else []
  targets = dict.fromkeys([*different(named), *example.targets])
  return dataclasses.replace(example, targets=tuple(targets))


# The forms of open-domain question answering that name their answers alike.
ANSWERED: dict[str, Parser] = {
  'an NQ-open record': reader('question', 'answer'),
  'a question with answers': reader('question', 'answers'),
  'a DPR record': dpr,
  'a FiD record': fid,
}


def objects(record: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
  """The objects of a list; or of columns, as the hub has lists of objects.

  Raises:
    ValueError: it is neither.

  >>> objects({'answers': {'text': ['Oslo'], 'start': [0]}}, 'answers')
  [{'text': 'Oslo', 'start': 0}]
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
  """The spans of answers that are said to begin at some characters.

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
