"""The files that a study leaves, one schema for those who write and read them.

results.jsonl  `ResultRow`: scores of one policy, task, seed and split
recall.jsonl   `RecallRow`: answers that one policy hides on the passages of a file
masks.jsonl    `MaskRow`: a passage, and what every policy hides there
study.json     `StudyRecord`: data, budget, command, machine, time, names of policies
history.jsonl  `history_point`: what a stage logged at one update

`to_json` keeps the order of the fields. `from_json` checks each field and ignores what
it does not know; fields with a default may be absent, as in files of earlier versions.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from masklearn.evaluation import metrics
from masklearn.types import InputError

_LARGEST = 2**53  # of numbers: until here every whole one has a float of its own
_KINDS = {
  str: 'a string',
  int: 'a whole number',
  float: 'a number',
  list: 'a list',
  dict: 'an object',
  types.NoneType: 'null',
}
# What fields were called by earlier versions.
_EARLIER = {
  'asked_share_before': 'answer_precision_before',
  'asked_share': 'answer_precision',
  'exact_share': 'span_precision',
  'validation_asked_share': 'validation_answer_precision',
  'validation_exact_share': 'validation_span_precision',
}


class Row:
  """A dataclass that is one JSON object; its annotations say what JSON may hold."""

  # Fields that say how training went, which may be nan or infinite.
  DIVERGING: ClassVar[tuple[str, ...]] = ()

  @classmethod
  def from_json(cls, record: Mapping[str, Any], place: str) -> Self:
    """The row in a JSON object.

    Args:
      record: the object.
      place: where it stands, for messages.

    Raises:
      InputError: a field is missing or unusable; names the place, field and rule.
    """
    record = {_EARLIER.get(name, name): value for name, value in record.items()}
    fields = dataclasses.fields(cls)
    missing = [f.name for f in fields if f.name not in record and _required(f)]
    if missing:
      raise InputError(f'{place}: missing {", ".join(missing)}.')
    given = {f.name: f.type for f in fields if f.name in record}
    checked = {
      name: _checked(kind, record[name], place, name, name in cls.DIVERGING)
      for name, kind in given.items()
    }
    return cls(**checked)

  def to_json(self) -> dict[str, Any]:
    """The JSON object of this row."""
    return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultRow(Row):
  """A line of results.jsonl: scores, and what was spent on them.

  >>> row = ResultRow(
  ...   task='civics', policy='none', policy_task=None, target='spans', base='tiny',
  ...   seed=0, split='validation', em=0.5, f1=0.5, n=2, updates=0, masked_words=0.0,
  ...   seconds=1.0, config='world', commit='abc1234', metrics={'accuracy': 0.5},
  ... )
  >>> row.to_json()['accuracy']
  0.5
  >>> ResultRow.from_json(row.to_json(), 'results.jsonl:1') == row
  True
  """

  DIVERGING: ClassVar[tuple[str, ...]] = ('trials', 'kept_loss', 'forgotten')
  _ABSENT: ClassVar[tuple[str, ...]] = 'overlaps', 'kept_loss', 'forgotten'  # if None

  task: str  # fine-tuned on, and scored
  policy: str
  policy_task: str | None  # that the policy knows; None for one that knows no task
  target: str  # what pre-training restores, 'spans' or 'full'
  base: str  # the model, NAME-SIZE
  seed: int
  split: str  # 'validation' or 'test'
  em: float  # exact match in [0, 1]
  f1: float | None  # of words, in [0, 1]
  metrics: dict[str, float] = dataclasses.field(default_factory=dict)  # others, by name
  n: int  # questions
  # Test scores by what the questions share with training ones, see `overlap`.
  overlaps: dict[str, dict] | None = None
  # Of intermediate pre-training: '' for the study's main comparison, which all tables
  # have but those of what varies, or a name such as 'x10' or 'unrelated'.
  setting: str = ''
  corpus: str = 'own'  # that it was on: 'own', 'unrelated' or 'mixed'
  updates: int | None  # of intermediate pre-training
  exposures: float | None = None  # of each passage in it, on average
  masked_words: float | None  # per passage, mean over the updates
  # Before fine-tuning, in nats a token: the loss of restoring random spans of passages
  # that the base model has seen and pre-training has not, and how much of it is more
  # than the base model's; None where there are no such passages.
  kept_loss: float | None = None
  forgotten: float | None = None
  learning_rate: float | None = None  # of fine-tuning, as validation chose it
  trials: dict[str, float] = dataclasses.field(default_factory=dict)  # score by rate
  seconds: float | None  # of pre-training and fine-tuning
  learning_seconds: float | None = None  # of learning the policy
  config: str
  commit: str

  @classmethod
  def from_json(cls, record: Mapping[str, Any], place: str) -> Self:
    """The row in a JSON object; see `Row.from_json`."""
    for name in ('em', 'f1'):
      value = record.get(name, 0)
      unknown = value is None and name == 'f1'
      if not (unknown or (_fits(float, value) and 0 <= value <= 1)):
        raise InputError(f'{place}: {name} must lie in [0, 1], got {value!r:.40}.')
    names = (metrics.METRICS.keys() & record.keys()) - {'em', 'f1'}
    others = {name: record[name] for name in metrics.METRICS if name in names}
    row = super().from_json({**record, 'metrics': others}, place)
    for split, scores in (row.overlaps or {}).items():
      _numbers(scores, ('em', 'n'), f'{place}: overlaps.{split}')
    return row

  def to_json(self) -> dict[str, Any]:
    """The JSON object of this row; other metrics stand beside em and f1."""
    record: dict[str, Any] = {}
    for name, value in dataclasses.asdict(self).items():
      if name == 'metrics':
        record |= value
      elif name not in self._ABSENT or value is not None:
        record[name] = value
    return record


@dataclasses.dataclass(frozen=True)
class RecallRow(Row):
  """A line of recall.jsonl; see `recall.summary`. Intervals have mean, low and high."""

  file: str
  passages: int
  policy: str
  recall: dict[str, float]  # share of answers wholly hidden, with its interval
  above: dict[str, dict]  # the difference to other policies, with its interval
  n: int  # questions
  words: float  # hidden, per passage
  spans: float  # hidden, per passage

  @classmethod
  def from_json(cls, record: Mapping[str, Any], place: str) -> Self:
    """The row in a JSON object; see `Row.from_json`."""
    row = super().from_json(record, place)
    for name, found in {'recall': row.recall, **row.above}.items():
      _numbers(found, ('mean', 'low', 'high'), f'{place}: {name}')
    return row


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskRow(Row):
  """A line of masks.jsonl: a passage, and the probability that each token is hidden."""

  id: str
  group: str = ''
  split: str = ''
  text: str
  tokens: list[list]  # [start, end) characters of each token
  # Answers to questions of the task: start, end, and maybe a label.
  asked: list[list] = dataclasses.field(default_factory=list)
  policies: dict[str, list]  # by policy, a probability for each token

  @classmethod
  def from_json(cls, record: Mapping[str, Any], place: str) -> Self:
    """The row in a JSON object; see `Row.from_json`."""
    row = super().from_json(record, place)
    for name, longest in (('tokens', 2), ('asked', 3)):
      for span in getattr(row, name):
        numbers, label = span[:2], span[2:]
        fits = all(_fits(int, at) and 0 <= at <= _LARGEST for at in numbers)
        named = all(isinstance(text, str) for text in label)
        if not (fits and named and 2 <= len(span) <= longest):
          raise InputError(
            f'{place}: {name} must be lists of the first and the last character'
            f'{", and maybe a label" * (name == "asked")}, got {span!r:.40}.'
          )
    for name, probabilities in row.policies.items():
      if len(probabilities) != len(row.tokens):
        raise InputError(
          f'{place}: policy {name!r} needs one probability for each of the '
          f'{len(row.tokens)} tokens, got {len(probabilities)}.'
        )
      for share in probabilities:
        if not (_fits(float, share) and 0 <= share <= 1):
          raise InputError(
            f'{place}: policy {name!r} needs probabilities in [0, 1], got '
            f'{share!r:.40}.'
          )
    return row


@dataclasses.dataclass(frozen=True)
class Display(Row):
  """How a report shows a policy: these fields of the table of policies."""

  title: str
  role: str = ''
  equal: str = 'updates'  # what it has as much of as others


@dataclasses.dataclass(frozen=True)
class TaskRecord(Row):
  """Questions of a task by split, as study.json has them."""

  questions: dict[str, int] = dataclasses.field(default_factory=dict)
  groups: dict[str, int] = dataclasses.field(default_factory=dict)
  majority_em: dict[str, float] = dataclasses.field(default_factory=dict)
  kinds: dict[str, int] = dataclasses.field(default_factory=dict)  # of test questions
  metric: str = 'em'  # what the task is scored by


@dataclasses.dataclass(frozen=True)
class CorpusRecord(Row):
  """The size of a corpus."""

  name: str = ''
  passages: int | None = None
  words: int | None = None
  problems: int | None = None  # records that could not be used


@dataclasses.dataclass(frozen=True)
class BudgetRecord(Row):
  """The share of words that every policy hides."""

  rate: float | None = None
  words_per_passage: float | None = None


@dataclasses.dataclass(frozen=True)
class LearnedRecord(Row):
  """A policy that was learned: what it hides, and what that took."""

  DIVERGING: ClassVar[tuple[str, ...]] = (
    'score', 'snr', 'start_snr', 'noise_scale', 'tuning_fall',
  )  # fmt: skip

  policy: str  # name of its folder, POLICY-TASK
  seed: int
  seconds: float
  updates: int  # until the best; 0 if nothing was better than the start
  score: float | None = None  # gain on validation questions
  answer_precision_before: float | None = None  # before learning
  answer_precision: float | None = None  # hidden words in answers / hidden words
  span_precision: float | None = None  # hidden spans that are answers / hidden spans
  commit: str = ''
  settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # its own ones
  snr: float | None = None  # mean signal-to-noise ratio of the gradient
  # Before learning, see study/guards.py: the gradient of an update, and the episodes at
  # which its ratio would be 1.
  start_snr: float | None = None
  noise_scale: float | None = None
  # With influences at so many times the inner learning rate, by '0.33' and '3'.
  sign_agreement: dict[str, float] = dataclasses.field(default_factory=dict)
  rank_correlation: dict[str, float] = dataclasses.field(default_factory=dict)
  float32_cosine: float | None = None  # of influences, of a model in half precision
  # Share of its loss that a question loses by the fine-tuning steps of its episode, on
  # validation before learning; None without such steps.
  tuning_fall: float | None = None


@dataclasses.dataclass(frozen=True)
class StageRecord(Row):
  """The time that a stage took, without those before it."""

  stage: str
  policy: str = ''
  task: str = ''
  seed: int = 0
  seconds: float = 0.0
  # Of its steps, by `clock.PARTS`, without what was lost by interruptions.
  parts: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ImpossibleRecord(Row):
  """A policy that the data of a study do not allow, and why."""

  task: str
  policy: str
  policy_task: str | None
  target: str
  reason: str
  seeds: list[int]


@dataclasses.dataclass(frozen=True)
class StudyRecord(Row):
  """The content of study.json; all defaults where a study is not finished."""

  config: str = ''
  command: str = ''
  commit: str = ''
  hardware: str = ''
  started: str = ''  # ISO 8601, of the last call
  seconds: float | None = None  # of the last call
  seeds: list[int] = dataclasses.field(default_factory=list)
  tasks: dict[str, TaskRecord] = dataclasses.field(default_factory=dict)
  corpus: CorpusRecord = CorpusRecord()
  budget: BudgetRecord = BudgetRecord()
  policies: list[LearnedRecord] = dataclasses.field(default_factory=list)
  stages: list[StageRecord] = dataclasses.field(default_factory=list)
  display: dict[str, Display] = dataclasses.field(default_factory=dict)  # by policy
  impossible: list[ImpossibleRecord] = dataclasses.field(default_factory=list)
  # Two policies, whose difference the study is about; chosen before it ran.
  primary: list[str] = dataclasses.field(default_factory=list)
  margin: float | None = None  # of exact match, below which they are equally good


def history_point(record: Mapping[str, Any], place: str) -> dict[str, Any]:
  """The `step` and the values that a line of history.jsonl has, by name.

  Raises:
    InputError: there is no step, or it is no whole number.

  >>> history_point({'step': 3, 'loss': 0.5}, 'history.jsonl:1')
  {'step': 3, 'loss': 0.5}
  """
  if 'step' not in record:
    raise InputError(f'{place}: missing step.')
  step = _checked(int, record['step'], place, 'step')
  if step < 0:
    raise InputError(f'{place}: step must not be negative, got {step}.')
  return {_EARLIER.get(name, name): value for name, value in record.items()}


def _required(field: dataclasses.Field) -> bool:
  missing = dataclasses.MISSING
  return field.default is missing and field.default_factory is missing


def _kinds(kind: Any) -> list[type]:
  """The types that an annotation allows; a number may be whole."""
  options = kind.__args__ if isinstance(kind, types.UnionType) else (kind,)
  return [typing.get_origin(option) or option for option in options]


def _fits(kind: Any, value: Any) -> bool:
  if kind is Any:
    return True
  kinds = tuple(int | float if one is float else one for one in _kinds(kind))
  return not isinstance(value, bool) and any(isinstance(value, one) for one in kinds)


def _numbers(found: Any, names: Sequence[str], place: str) -> None:
  """Raises `InputError` unless this is an object that has these numbers."""
  if not isinstance(found, dict):
    raise InputError(f'{place} must be an object, got {found!r:.40}.')
  for name in names:
    if name not in found:
      raise InputError(f'{place}: missing {name}.')
    _checked(float, found[name], place, name)


def _checked(kind: Any, value: Any, place: str, name: str, diverging=False) -> Any:
  """The value; each object in it that has a dataclass of its own becomes one."""
  if isinstance(kind, type) and issubclass(kind, Row) and isinstance(value, dict):
    return kind.from_json(value, f'{place}: {name}')
  if not _fits(kind, value):
    expected = ' or '.join(_KINDS.get(one, 'an object') for one in _kinds(kind))
    raise InputError(f'{place}: {name} must be {expected}, got {value!r:.40}.')
  unbounded = diverging and isinstance(value, float)
  if isinstance(value, int | float) and not (unbounded or abs(value) <= _LARGEST):
    raise InputError(
      f'{place}: {name} must be a number within {_LARGEST:.0e}, got {value!r:.40}.'
    )
  inside = () if isinstance(kind, types.UnionType) else typing.get_args(kind)
  if isinstance(value, dict) and len(inside) == 2:
    return {
      k: _checked(inside[1], v, place, f'{name}.{k}', diverging)
      for k, v in value.items()
    }
  if isinstance(value, list) and len(inside) == 1:
    return [_checked(inside[0], v, place, f'{name}[{i}]') for i, v in enumerate(value)]
  return value
