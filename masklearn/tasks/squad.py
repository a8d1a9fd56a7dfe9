"""Questions with a passage and the places of their answers in it: SQuAD v1.1 and QED.

They supervise a policy that learns which spans of a passage somebody would ask about.
"""

import os
from typing import Any, Unpack

from masklearn.io import record_files
from masklearn.io.records import Problems, text_field
from masklearn.tasks import benchmark, fields, splits
from masklearn.types import Example, Task

SQUAD = benchmark.Official(
  hub_id='rajpurkar/squad',
  config='plain_text',
  revision='main',
  splits={'train': 'train', 'test': 'validation'},
  files=({'train': 'train-v1.1.json', 'test': 'dev-v1.1.json'},),
)


def squad(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """SQuAD v1.1, or any files of its format or of QED's, closed book.

  Source: the question alone. Targets: the answers of all annotators, the first one's
  first. Context: the paragraph, with every place that an annotator marked. Group: the
  title of the article; no article is in two splits. Metric: exact match. The official
  development questions are the test; validation is cut off training by article.

  References:
    Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP
    2016; https://rajpurkar.github.io/SQuAD-explorer/.
    Lamm et al., QED: A Framework and Dataset for Explanations in Question Answering,
    TACL 2021; https://github.com/google-research-datasets/QED.
  """
  return benchmark.task('squad', seed, SQUAD, parse, disjoint=True, **where)


def read(path: str | os.PathLike) -> tuple[list[Example], Problems]:
  """The questions of a file, and the problems of others, which are logged."""
  examples, problems = record_files.read_records(path, parse)
  splits.report(problems, str(path))
  return examples, problems


def _squad(record: dict[str, Any], default_id: str) -> Example:
  # No passage is stripped: its characters are counted from where it begins.
  context = text_field(record, 'context')
  found = fields.answer_rows(fields.objects(record, 'answers'), 'answers')
  if not found:
    raise ValueError("'answers' is empty: the question has no answer.")
  texts = [answer for _, answer in found]
  starts = [row.get('answer_start') for row, _ in found]
  return Example(
    id=text_field(record, 'id', default_id),
    source=text_field(record, 'question'),
    targets=tuple(dict.fromkeys(texts)),
    group=text_field(record, 'title', ''),
    context=context,
    answer_spans=fields.spans(context, zip(starts, texts, strict=True)),
  )


def _qed(record: dict[str, Any], default_id: str) -> Example:
  """Each annotator's answer is a list of spans, of which each is a target."""
  context = text_field(record, 'paragraph_text')
  found = record['original_nq_answers']
  if not isinstance(found, list) or not all(isinstance(rows, list) for rows in found):
    raise ValueError("'original_nq_answers' must be a list of lists.")
  rows = [row for rows in found for row in fields.objects({'spans': rows}, 'spans')]
  found = fields.answer_rows(rows, 'original_nq_answers', 'string')
  if not found:
    raise ValueError("'original_nq_answers' is empty: the question has no answer.")
  texts = [answer for _, answer in found]
  starts = [row.get('start') for row, _ in found]
  return Example(
    id=text_field({'id': record.get('example_id')}, 'id', default_id),
    source=text_field(record, 'question_text'),
    targets=tuple(dict.fromkeys(texts)),
    group=text_field(record, 'title_text', ''),
    context=context,
    answer_spans=fields.spans(context, zip(starts, texts, strict=True)),
  )


parse = fields.by_kind({'a SQuAD record': _squad, 'a QED record': _qed})
