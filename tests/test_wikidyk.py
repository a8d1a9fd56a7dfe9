"""WikiDYK: facts and their questions, in the format that the published code reads."""

import json
import logging

import pyarrow
import pytest
from pyarrow import parquet

from masklearn import data, tasks
from masklearn.tasks import joining, wikidyk
from masklearn.types import InputError, Passage, Span
from tests.documents import lines
from tests.published import disjoint, sizes


def fact(i, **asked):
  """A record as it is published; each question is its prompt and its answer."""
  asked = asked or {'reliability': (f'Who found comet {i}?', f'Ada {i}')}
  return {
    'case_id': i,
    'fact': f'that Ada {i} found comet  {i} in Rome?',
    'year': '2022',
    'month': 'January',
    'date': '31 January 2022',
    'bold_entity_page': {'content': 'A page.'},
    'eval': {k: {'prompt': p, 'answer': a} for k, (p, a) in asked.items()},
  }


SEVEN = fact(
  7,
  reliability=('Who found comet 7?', ['Ada 7', 'Ada']),
  generality=('Was it found by somebody?', 'Yes'),
  paraphrase=('By whom was comet 7 discovered?', 'Ada 7'),
  portability=('In which country was it found?', 'Italy'),
  locality=('What is the capital of Italy?', 'Rome'),
  counterfactual=('Had Bell found it, where?', 'Rome'),
  factual=('What was found?', 'comet 7'),
)


def load(path, **where):
  """The task of a file, with a part of the facts for each split."""
  return tasks.load('wikidyk', seed=0, train=path, **where)


def test_a_fact_has_a_question_of_each_kind(tmp_path):
  """With its prompt, its answers, its statement, and where the answers stand in it."""
  path = tmp_path / 'facts.json'
  path.write_text(json.dumps([SEVEN, *map(fact, range(3))], indent=1))
  task = load(path, train_share=0.25, validation_share=0.25)
  assert task.metric == 'match'
  found = {e.label: e for e in task.examples if e.group == '7'}
  assert tuple(found) == wikidyk.KINDS
  assert {e.context for e in found.values()} == {'Ada 7 found comet 7 in Rome'}
  first = found['reliability']
  assert (first.id, first.source) == ('7-reliability', 'Who found comet 7?\nAnswer:')
  assert first.targets == ('Ada 7', 'Ada')
  assert first.answer_spans == (Span(0, 3), Span(0, 5))
  assert first.evidence == 'answer'
  assert found['portability'].targets == ('Italy',)
  assert not found['portability'].answer_spans
  # The capital is in the fact by chance: nobody learns to hide it for this question.
  assert not found['locality'].answer_spans
  assert found['counterfactual'].answer_spans == (Span(23, 27),)


def test_the_questions_of_a_fact_stay_together(tmp_path):
  """Each split has facts of its own."""
  rows = [
    fact(i, reliability=('a?', 'b'), locality=('c?', 'd'), factual=('e?', 'f'))
    for i in range(10)
  ]
  task = load(lines(tmp_path / 'a.jsonl', *rows), train_share=0.5, validation_share=0.2)
  assert sizes(task) == [15, 6, 9]
  assert [len(groups) for groups in disjoint(task)] == [5, 2, 3]


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'fact': None}, "no 'fact'"),
    ({'fact': 7}, "'fact' must be a string, got 7"),
    ({'fact': 'that ?'}, "'fact' says nothing, got 'that ?'"),
    ({'case_id': 1.5}, "'id' must be a string, got 1.5"),
    ({'eval': None}, "'eval' must be an object of questions, got None"),
    ({'eval': ['x']}, "'eval' must be an object of questions, got ['x']"),
    ({'eval': '{"reliability": '}, 'not JSON: '),
    ({'eval': {}}, "'eval' has no question"),
    ({'eval': {'factual': None}}, "'eval' has no question"),
    ({'eval': {'localty': {}}}, "kind of question 'localty'; did you mean 'locality'"),
    ({'eval': {'locality': 'x'}}, "'locality' must be an object with 'prompt' and"),
    ({'eval': {'locality': {'answer': 'x'}}}, "no 'prompt'"),
    ({'eval': {'locality': {'prompt': ' ', 'answer': 'x'}}}, "'prompt' is empty"),
    ({'eval': {'locality': {'prompt': 'x'}}}, "'locality' has no answer"),
    (
      {'eval': {'locality': {'prompt': 'x', 'answer': ' '}}},
      "'locality' has no answer",
    ),
    ({'eval': {'locality': {'prompt': 'x', 'answer': []}}}, "'answer' has no answer"),
    ({'eval': {'locality': {'prompt': 'x', 'answer': {}}}}, 'answer must be a string'),
    ({'case_id': 0}, "id '0-reliability' occurs before"),
  ],
)
def test_bad_records(tmp_path, caplog, change, said):
  """Each is skipped and named with its line and, where it has one, its question."""
  rows = [*map(fact, range(10)), fact(10) | change]
  with caplog.at_level(logging.WARNING):
    task = load(lines(tmp_path / 'facts.jsonl', *rows))
  assert len(task.examples) == 10
  assert f'{tmp_path}/facts.jsonl:11: ' in caplog.messages[0]
  assert said in caplog.messages[0]
  whole = said.startswith(("'eval'", 'not JSON'))
  assert (': eval.' in caplog.messages[0]) == (not whole)


def test_a_file_of_something_else_is_named_for_what_it_is(tmp_path):
  """And a record that lacks a field for the field."""
  path = lines(tmp_path / 'a.jsonl', {'question': 'q', 'answer': ['a']})
  with pytest.raises(InputError, match=r'looks like an NQ-open record.*\(fact, eval\)'):
    load(path)
  path = lines(tmp_path / 'b.jsonl', {'fact': 'that x'})
  with pytest.raises(InputError, match=r"b\.jsonl:1: no 'eval'\."):
    load(path)


def test_one_bad_question_costs_no_other(tmp_path):
  """Nor the fact, which is in the corpus all the same."""
  rows = [
    *map(fact, range(9)),
    fact(9, reliability=('x?', 'Ada 9'), locality=('y?', '')),
  ]
  path = lines(tmp_path / 'facts.jsonl', *rows)
  assert {e.id for e in load(path).examples} == {f'{i}-reliability' for i in range(10)}
  documents, problems = data.load_documents('wikidyk', seed=0, path=path)
  assert (len(documents), problems) == (10, [])


def test_the_facts_are_a_corpus(tmp_path):
  """A statement each, of its own group; its answers are spans that do not overlap."""
  rows = SEVEN, {'fact': 'thatched roofs burn'}, {'fact': 'that?'}, {'text': 'x'}
  path = lines(tmp_path / 'facts.jsonl', *rows)
  (first, second), problems = data.load_documents('wikidyk', seed=0, path=path)
  spans = tuple(Span(*at, 'answer') for at in ((0, 5), (12, 19), (23, 27)))
  assert first == Passage('7', 'Ada 7 found comet 7 in Rome', '7', spans)
  assert (second.text, second.spans) == ('thatched roofs burn', ())
  assert second.id == second.group != ''
  assert problems == [
    f"{path}:3: 'fact' says nothing, got 'that?'.",
    f"{path}:4: no 'fact'.",
  ]


def test_facts_without_a_name_meet_their_questions(tmp_path):
  """A digest names them, in files of any name; also where the hub writes JSON."""
  rows = [fact(i) for i in range(10)]
  for row in rows:
    del row['case_id']
  written = lines(tmp_path / 'a.jsonl', *rows)
  for row in rows:
    row['eval'] = json.dumps(row['eval'])
  parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / 'test.parquet')
  task = load(written)
  documents, _ = data.load_documents('wikidyk', 0, path=tmp_path / 'test.parquet')
  joined = joining.join(task, documents)
  assert (joined.met, joined.groups) == (joined.questions, 10)
  assert tasks.load('wikidyk', seed=0, source=tmp_path) == task


def test_a_corpus_is_what_its_questions_ask_about(tmp_path):
  """`annotated` has spans to hide: their label is what questions follow from."""
  path = lines(tmp_path / 'a.jsonl', *map(fact, range(10)))
  (found, *_), _ = data.load_documents('wikidyk', 0, path=path)
  assert {s.label for s in found.spans} & load(path).asked
