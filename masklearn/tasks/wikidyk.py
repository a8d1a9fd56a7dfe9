r"""WikiDYK: facts that a model is to learn, and questions of several kinds about each.

A record is a fact, {"fact": "that .. ?", "case_id"?: .., "eval": {KIND: {"prompt",
"answer"}, ..}}, where an answer is a text or a list of them; other fields, such as its
date or its page of Wikipedia, are not read. This is the format that the published code
reads; the data themselves were not at hand.

References:
  Zhang et al., Bidirectional LMs are Better Knowledge Memorizers? A Benchmark for
  Real-world Knowledge Injection, ACL 2026, https://arxiv.org/abs/2505.12306;
  https://github.com/zhang-yu-wei/WikiDYK (src/eval_qa_accelerate.py, src/utils).
"""

import hashlib
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

from masklearn.io.lookup import check_name
from masklearn.io.records import Record, json_object, text_field
from masklearn.tasks import benchmark, fields
from masklearn.text.segmentation import occurrences
from masklearn.types import Example, InputError, Passage, Span, Task

# What a question is about: the statement itself; what it implies; the same in other
# words; what follows with something known before; something else that was known. The
# published code also asks the last two, where a fact has them; the paper names five.
KINDS = (
  'reliability', 'generality', 'paraphrase', 'portability', 'locality',
  'counterfactual', 'factual',
)  # fmt: skip
ANSWER = 'answer'  # the label of spans of a fact that answer its questions
PROMPT = '{}\nAnswer:'  # the published one

# Of YWZBrandon/wikidyk_exp, for which the published scripts ask.
_FILE = 'wikidyk2022-2025_01082025_gpt-4o_evalv2_pages_formatted_combined_v2.json'
WIKIDYK = benchmark.Official(
  hub_id='YWZBrandon/wikidyk',
  config='default',
  revision='main',
  splits={'train': 'test'},  # all questions are a test: nothing is trained on them
  files=({'train': _FILE},),
  pattern='data/{split}-*.parquet',
  metric='match',
)


def wikidyk(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  r"""WikiDYK: what does a model know of facts that it was trained on as text?

  Source: "question \n Answer:", with a line break. Targets: the answers. Label: the
  kind of question, of `KINDS`. Context: the fact as a statement, with the places of
  answers that stand in it. Group: the fact. Metric: match, whether an answer is part of
  the prediction. There is one official split, for tests: facts are split here, so that
  questions about some can be trained on; the corpus has the statements of all.

  References:
    Zhang et al., 2026, https://arxiv.org/abs/2505.12306.
  """
  return benchmark.task('wikidyk', seed, WIKIDYK, parse, parts=questions, **where)


def statement(fact: str) -> str:
  """A fact without the words that make a question of it; '' if nothing is left.

  >>> statement('that  Oslo is the capital of Norway?')
  'Oslo is the capital of Norway'
  """
  # The published code drops four characters, also those of "thatched".
  said = re.sub(r'^that\b', '', ' '.join(fact.split()))
  return said.removesuffix('?').strip()


class Place(NamedTuple):
  """The place of a question in a record."""

  record: Any
  kind: str

  def __str__(self):
    return f'{self.record}: eval.{self.kind}'


def questions(record: Record) -> Iterator[Record]:
  """Yields a record of a fact once for each of its questions, with that one alone.

  A kind that is null is one that the fact does not have, as in Parquet.
  """
  value = record.value
  if record.problem or 'eval' not in value:
    yield record  # `parse` says what is wrong with it
    return
  try:
    asked = _asked(value)
  except ValueError as error:
    yield record._replace(value=None, problem=str(error))
    return
  for kind, question in asked.items():
    one = value | {'eval': {kind: question}}
    yield record._replace(place=Place(record.place, kind), value=one)


def passage(record: dict[str, Any], default_id: str) -> Passage:
  """The statement of a record, with the answers to its questions as spans.

  Those that stand in it literally, but for questions about something else; where two
  overlap, that of the first of `KINDS`, and of its first answer. A question that cannot
  be used has none: the task says what is wrong with it.

  Raises:
    ValueError: there is no fact.
  """
  del default_id  # The task finds the same name in a file of another name.
  ident, said = _fact(record)
  spans: list[Span] = []
  for kind in KINDS:
    try:
      targets = _targets(_asked(record).get(kind), kind)
    except ValueError:
      continue
    for span in _places(said, kind, targets):
      if all(span.end <= s.start or s.end <= span.start for s in spans):
        spans.append(span._replace(label=ANSWER))
  return Passage(ident, said, ident, tuple(sorted(spans)))


def _question(record: dict[str, Any], default_id: str) -> Example:
  """The example of a record with one question."""
  del default_id
  ident, said = _fact(record)
  ((kind, question),) = record['eval'].items()
  targets = _targets(question, kind)
  places = _places(said, kind, targets)
  return Example(
    id=f'{ident}-{kind}',
    source=PROMPT.format(text_field(question, 'prompt').strip()),
    targets=targets,
    group=ident,
    label=kind,
    context=said,
    answer_spans=tuple(sorted(set(places))),
    evidence=ANSWER if places else '',
  )


def _fact(record):
  """The name of a fact, and its statement."""
  said = statement(text_field(record, 'fact'))
  if not said:
    raise ValueError(f"'fact' says nothing, got {record['fact']!r:.40}.")
  digest = hashlib.blake2s(said.encode(), digest_size=8).hexdigest()
  return text_field({'id': record.get('case_id')}, 'id', digest), said


def _asked(record) -> dict[str, Any]:
  """The questions of a record by kind; on the hub they may be written as JSON."""
  found = record.get('eval')
  if isinstance(found, str):
    found = json_object(found.encode())
  if not isinstance(found, dict):
    raise ValueError(f"'eval' must be an object of questions, got {found!r:.40}.")
  asked = {kind: question for kind, question in found.items() if question is not None}
  if not asked:
    raise ValueError("'eval' has no question.")
  return asked


def _targets(question, kind) -> tuple[str, ...]:
  try:
    check_name(KINDS, kind, 'kind of question')
  except InputError as error:
    raise ValueError(str(error)) from error
  if not isinstance(question, dict):
    raise ValueError(
      f"{kind!r} must be an object with 'prompt' and 'answer', got {question!r:.40}."
    )
  if isinstance(question.get('answer'), list):
    return fields.answers(question, 'answer')
  found = fields.different([('answer', question.get('answer'))])
  if not found:
    raise ValueError(f'{kind!r} has no answer.')
  return found


def _places(said, kind, targets) -> list[Span]:
  """Where answers stand in a statement, the first one first.

  One to a question about something else is there by chance.
  """
  if kind == 'locality':
    return []
  return list(itertools.chain(*occurrences(said, targets).values()))


parse = fields.by_kind({'a WikiDYK record': _question})
