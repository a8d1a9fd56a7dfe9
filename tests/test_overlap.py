"""Test questions that training has seen, or whose answers it has."""

import collections

import pytest

from masklearn.evaluation import overlap
from masklearn.io import record_files
from masklearn.types import Example

TRAIN = [
  Example('1', 'Who painted the Mona Lisa?', ('Leonardo da Vinci', 'Leonardo')),
  Example('2', 'when did queen victoria die', ('22 January 1901',)),
  Example('3', 'who plays the beast in beauty and the beast', ('Dan Stevens',)),
  Example('4', 'how tall is it', ('The...', '9 m')),
  Example('5', 'who painted the mona lisa', ('a Florentine',)),
]


@pytest.mark.parametrize(
  ('question', 'targets', 'expected'),
  [
    # The same but for case, articles and punctuation, whatever the answer.
    ('who painted Mona Lisa', ('nobody knows',), overlap.QUESTION),
    # Inflection, order and function words, with an answer in common.
    ('who played beast in the beauty & beast', ('x', 'dan stevens'), overlap.QUESTION),
    ('the mona lisa was painted by whom', ('The Florentine!',), overlap.QUESTION),
    # The same words without a common answer ask something else.
    ('where did queen victoria die', ('Osborne House',), overlap.NONE),
    ('where did queen victoria die', ('Dan Stevens',), overlap.ANSWER),
    # Other words, known answer: normalized, and any of several.
    ('who drew the vitruvian man', ('da Vinci', 'LEONARDO.'), overlap.ANSWER),
    ('who drew the vitruvian man', ('da Vinci',), overlap.NONE),  # a part is no answer
    ('who painted the mona lisa and the last supper', ('Leonardo',), overlap.ANSWER),
    # Answers and questions of which nothing is left are like no other.
    ('what is the first word', ('the',), overlap.NONE),
    ('who is it', ('9 m',), overlap.ANSWER),
    ('who is it', (), overlap.NONE),
  ],
)
def test_a_question_is_in_one_split(question, targets, expected):
  """The rule, case by case."""
  assert overlap.split([Example('t', question, targets)], TRAIN) == [expected]


def test_splits_keep_the_order_of_the_questions():
  """A label a question; training questions are read once, and may be none."""
  known = Example('1', 'who was it', ('a Florentine',))
  test = [known, Example('2', 'new', ('new',)), TRAIN[1]]
  expected = [overlap.ANSWER, overlap.NONE, overlap.QUESTION]
  assert overlap.split(test, iter(TRAIN)) == expected
  assert overlap.split(test, []) == [overlap.NONE] * 3
  assert overlap.split([], TRAIN) == []


def read(path):
  """The questions of an open-domain QA file."""
  rows = [record.value for record in record_files.read(path)]
  return [Example(str(i), r['question'], r['answer']) for i, r in enumerate(rows)]


def test_natural_questions_overlap(shared_data):
  """The official dev questions against a tenth of the training questions."""
  test = read(shared_data / 'nq_open' / 'NQ-open.dev.jsonl')
  train = read(shared_data / 'nq_open' / 'nq_dpr_dev.jsonl.gz')
  labels = overlap.split(test, train)
  counts = {overlap.QUESTION: 26, overlap.ANSWER: 1242, overlap.NONE: 2342}
  assert collections.Counter(labels) == counts
  by_question = {e.source: label for e, label in zip(test, labels, strict=True)}
  # In training: "when was the name changed from bombay to mumbai", and 1995.
  moved = 'when did the name of bombay change to mumbai'
  assert by_question[moved] == overlap.QUESTION
  assert set(overlap.split(train[:99], train)) == {overlap.QUESTION}
