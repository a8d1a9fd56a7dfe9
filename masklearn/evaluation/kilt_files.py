"""Files of predictions and of gold answers in KILT's schema -> scores.

A record is {"id", "input"?, "output": [{"answer"}, ...], ...}: of a prediction one
output, of a gold record any number, also some without an answer (provenance alone).

References:
  https://github.com/facebookresearch/KILT#kilt-data-format
"""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from masklearn.evaluation import intervals, metrics, overlap
from masklearn.io import record_files
from masklearn.io.records import answer_text, collect, text_field
from masklearn.tasks import closed_book, fields, jsonl, splits
from masklearn.types import Example, InputError

NAMES = ('em', 'f1', 'accuracy', 'rougeL')  # KILT's downstream metrics

# Words and sentences of an answer, at most: ROUGE-L compares them pair by pair.
WORDS, SENTENCES = 30_000, 2_000

Path = str | os.PathLike


class Record(NamedTuple):
  """A record of either file."""

  id: str
  place: str  # FILE:LINE
  question: str  # '' where there is none, as in KILT's TriviaQA
  answers: tuple[str, ...]  # of a prediction just one, which may be empty
  targets: tuple[str, ...] = ()  # gold answers that a study notes with a prediction


def score(
  predictions: Path, golds: Path, train: Path = '', reference: Path = ''
) -> dict[str, Any]:
  """KILT's downstream scores of a file of predictions, ready for JSON.

  `em`, `f1`, `accuracy` and `rougeL` are means over the questions, fractions; each has
  a bootstrap interval, `em_interval: [low, high]` (95%; None where it is not defined);
  `n` questions, and `empty` predictions, which score 0. The order of the records does
  not matter.

  Args:
    predictions: path of JSON lines, plain or .gz.
    golds: the same; just the ids of `predictions`.
    train: training questions: KILT's records, those of `tasks.jsonl`, or NQ-open's,
      WebQuestions' or TriviaQA's own; adds `overlap`, the same scores of each split of
      `overlap.split`, and `train_skipped`, how many of the records are of no use.
    reference: another file of predictions; adds `compare`, for each metric the paired
      difference `predictions - reference`, its interval and the p of a sign-flip test.

  Raises:
    InputError: a file cannot be read, a line is bad, an id occurs twice, is missing or
      left over, a gold record has no answer (KILT's scorer stops there as well), or a
      prediction not just one.
  """
  wanted = _read(golds, _gold)
  right = [gold.answers for gold in wanted.values()]
  answers = _answers(predictions, wanted, golds)
  empty = np.array([not answer for answer in answers])
  table = metrics.table(answers, right, NAMES)
  result = _summary(table, empty)
  if reference:
    theirs = metrics.table(_answers(reference, wanted, golds), right, NAMES)
    result['compare'] = {
      name: _difference(wanted, table[name], theirs[name]) for name in NAMES
    }
  if train:
    questions = [_question(gold) for gold in wanted.values()]
    seen, problems = record_files.read_records(train, _seen)
    splits.report(problems, str(train))
    labels = np.array(overlap.split(questions, seen))
    result['overlap'] = {
      split: _summary(table, empty, labels == split) for split in overlap.SPLITS
    }
    result['train_skipped'] = problems.count
  return result


def compare(
  predictions_a: Sequence[Path], predictions_b: Sequence[Path], metric: str = 'em'
) -> intervals.Difference:
  """The difference of A and B, from the `predictions.jsonl` of a study.

  Args:
    predictions_a: WORKDIR/finetune/TASK/VARIANT/SEED/predictions.jsonl for each seed.
    predictions_b: those of the other variant: the same seeds in the same order.
    metric: of `metrics.METRICS`.

  Raises:
    InputError: the two lists differ in length, or the files in what was asked.
  """
  if len(predictions_a) != len(predictions_b) or not predictions_a:
    raise InputError(
      'A comparison needs the files of the same seeds for both policies, at least one,'
      f' got {len(predictions_a)} and {len(predictions_b)}.'
    )
  scores = [], []
  for path_a, path_b in zip(predictions_a, predictions_b, strict=True):
    ours, theirs = _read(path_a, _answered), _read(path_b, _answered)
    _check_ids(path_b, theirs, path_a, ours)
    for id, record in theirs.items():
      if set(record.targets) != set(ours[id].targets):
        raise InputError(
          f'{record.place}: the gold answers of {id!r} are not those in '
          f'{ours[id].place}; the files must be of the same seed.'
        )
    for records, found in zip((ours, theirs), scores, strict=True):
      answers = [record.answers[0] for record in records.values()]
      targets = [record.targets for record in records.values()]
      values = metrics.table(answers, targets, [metric])[metric]
      found.append(dict(zip(records, values.tolist(), strict=True)))
  return intervals.paired(*scores)


def _read(path, parse) -> dict[str, Record]:
  """The records by id, all of which must be usable."""
  # In the place of an id, which all must have, comes that of the record, for errors.
  found = (f._replace(id=str(f.place)) for f in record_files.read(path))
  records, problems = collect(found, parse, str(path))
  if problems:
    raise InputError(
      f'Scores need every record, but {problems.count} of {path} cannot be used, the '
      f'first at {problems[0]}'
    )
  return {record.id: record for record in records}


def _answers(path, wanted, golds) -> list[str]:
  """The predictions in the order of the gold records."""
  found = _read(path, _prediction)
  _check_ids(path, found, golds, wanted)
  return [found[id].answers[0] for id in wanted]


def _check_ids(path, found: Mapping[str, Record], golds, wanted: Mapping[str, Record]):
  missing = [gold for id, gold in wanted.items() if id not in found]
  extra = [record for id, record in found.items() if id not in wanted]
  parts = [
    f'{len(records)} are {what}, the first at {records[0].place}, {records[0].id!r}'
    for what, records in (('missing', missing), ('extra', extra))
    if records
  ]
  if parts:
    raise InputError(
      f'{path} must have one record for each of the {len(wanted)} ids of {golds}; '
      f'{"; ".join(parts)}.'
    )


def _question(gold: Record) -> Example:
  if not gold.question:
    raise InputError(
      f'{gold.place}: overlap splits need the questions, but {gold.id!r} has no '
      "'input'; KILT's TriviaQA must be joined with its questions first."
    )
  return Example(gold.id, gold.question, gold.answers)


def _summary(
  table: Mapping[str, np.ndarray], empty, rows=slice(None)
) -> dict[str, Any]:
  """Means, numbers and intervals of some rows; None for what is undefined."""
  values = np.stack(list(table.values()), axis=1)[rows]  # [Q, M]
  nothing = np.full(len(table), np.nan)
  mean, low, high = intervals.bootstrap(values) if len(values) else [nothing] * 3
  result = {name: _number(mean[i]) for i, name in enumerate(table)}
  result |= {'n': len(values), 'empty': int(empty[rows].sum())}
  for i, name in enumerate(table):
    result[f'{name}_interval'] = _interval(low[i], high[i])
  return result


def _difference(ids, ours, theirs) -> dict[str, float | None]:
  a, b = (dict(zip(ids, scores, strict=True)) for scores in (ours, theirs))
  found = intervals.paired([a], [b])
  bounds, p = _interval(found.low, found.high), found.p_questions
  return {'difference': found.difference, 'interval': bounds, 'p': p}


def _number(value) -> float | None:
  """A number that JSON has, or None."""
  return None if math.isnan(value) else float(value)


def _interval(low, high) -> list[float] | None:
  return None if math.isnan(low) else [float(low), float(high)]


def _gold(record: dict[str, Any], place: str) -> Record:
  answers = fields.different(
    (f'output[{i}].answer', output['answer'])
    for i, output in enumerate(jsonl.outputs(record))
    if output.get('answer') is not None
  )
  for answer in answers:
    _check_length(answer)
  if not answers:
    raise ValueError('a gold record needs an answer that is not blank, got none.')
  question = text_field(record, 'input', '')
  return Record(_id(record), place, question, answers)


def _prediction(record: dict[str, Any], place: str) -> Record:
  outputs = jsonl.outputs(record)
  if len(outputs) != 1 or 'answer' not in outputs[0]:
    raise ValueError(
      f"a prediction needs one output with an 'answer', got {len(outputs)} outputs."
    )
  answer = answer_text(outputs[0]['answer'], "'answer'")
  _check_length(answer)
  return Record(_id(record), place, '', (answer.strip(),))


def _check_length(answer: str) -> None:
  words, sentences = len(answer.split()), answer.count('.') + 1
  if words > WORDS or sentences > SENTENCES:
    raise ValueError(
      f'an answer may have {WORDS:,} words and {SENTENCES:,} sentences, got {words:,} '
      f'and {sentences:,}.'
    )


def _answered(record: dict[str, Any], place: str) -> Record:
  """A prediction with the gold answers that a study writes beside it."""
  meta = record.get('meta')
  targets = meta.get('targets') if isinstance(meta, dict) else None
  if not isinstance(targets, list) or not all(isinstance(t, str) for t in targets):
    raise ValueError(
      "no 'meta' with 'targets', the gold answers, as a study writes it."
    )
  return _prediction(record, place)._replace(targets=tuple(targets))


def _seen(record: dict[str, Any], default_id: str) -> Example:
  """A training question in any form of open-domain QA."""
  if record.keys() & {'source', 'input'}:
    return jsonl.parse(record, default_id)
  if record.keys() & {'utterance', 'qText'}:
    return closed_book.parse_web(record, default_id)
  return closed_book.parse_trivia(record, default_id)


def _id(record: dict[str, Any]) -> str:
  return text_field(record, 'id').strip()
