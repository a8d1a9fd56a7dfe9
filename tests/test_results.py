"""The files that a study leaves: written and read through one schema."""

import json

import pytest

from masklearn import report
from masklearn.evaluation.results import ResultRow, StudyRecord
from masklearn.io import files
from masklearn.report import workdir
from masklearn.study import mask_rows, results
from masklearn.study.plan import Cell
from masklearn.types import InputError
from tests.runs import PASSAGE, ROWS, row, write

# Of a line of results.jsonl, with another metric and overlaps.
FIELDS = [
  'task', 'policy', 'policy_task', 'target', 'base', 'seed', 'split', 'em', 'f1',
  'accuracy', 'n', 'overlaps', 'setting', 'corpus', 'updates', 'exposures',
  'masked_words', 'learning_rate', 'trials', 'seconds', 'learning_seconds', 'config',
  'commit',
]  # fmt: skip


def test_bad_records_are_named(tmp_path):
  """What cannot be used says where it is and what is wrong."""
  incomplete = {k: v for k, v in row('random', 0.2).items() if k != 'commit'}
  with pytest.raises(InputError, match=r'results\.jsonl:2: missing commit'):
    workdir.result_rows(write(tmp_path, [ROWS[0], incomplete]))
  with pytest.raises(InputError, match=r'results\.jsonl:1: em must lie in \[0, 1\]'):
    workdir.result_rows(write(tmp_path, [row('random', None)]))
  short = PASSAGE | {'policies': {'random': [0.5]}}
  with pytest.raises(InputError, match=r"masks\.jsonl:1: policy 'random' needs one"):
    workdir.read(write(tmp_path, masks=[short]), {})
  with pytest.raises(InputError, match='no work directory'):
    report.write_report(tmp_path / 'nowhere')
  assert not (tmp_path / 'nowhere').exists()


def test_a_line_that_is_being_written_is_left_out(tmp_path):
  """The report of a running study skips the unfinished last line; a rerun counts."""
  write(tmp_path, [row('random', 0.2), row('random', 0.3)])
  path = tmp_path / 'results.jsonl'
  path.write_text(path.read_text() + '{"task": "ci')
  (found,) = workdir.result_rows(tmp_path)
  assert found.em == 0.3


@pytest.mark.parametrize(
  ('name', 'record', 'message'),
  [
    ('results.jsonl', row('random', 0.2, seed='a'), ':1: seed must be a whole number'),
    ('results.jsonl', row('random', 0.2, f1=3), r':1: f1 must lie in \[0, 1\], got 3'),
    ('results.jsonl', row('random', 0.2, commit=None), 'commit must be a string'),
    ('results.jsonl', row('none', 0.2, updates='x'), 'a whole number or null'),
    ('masks.jsonl', {'id': 'a', 'text': 'b', 'tokens': 3, 'policies': {}}, 'a list'),
    ('study.json', {'tasks': {'civics': {'kinds': 3}}}, 'tasks.civics: kinds must be'),
    ('study.json', {'display': {'mine': {'role': 'random'}}}, 'mine: missing title'),
    ('study.json', [], 'must hold one JSON object'),
  ],
)
def test_a_wrong_field_is_named(tmp_path, name, record, message):
  """In one line: the file, the line, the field, the rule and the value."""
  write(tmp_path, [row('random', 0.2)])
  (tmp_path / name).write_text(json.dumps(record) + '\n')
  with pytest.raises(InputError, match=message) as raised:
    report.write_report(tmp_path)
  assert name in str(raised.value)
  assert '\n' not in str(raised.value)
  assert not (tmp_path / 'report').exists()


def test_rows_are_written_as_they_were_read():
  """Field by field in the same order, other metrics and overlaps among them."""
  found = row('random', 0.2, learning_rate=0.1, trials={'0.1': -1.5})
  found |= {'accuracy': 0.5, 'overlaps': {'no_overlap': {'em': 0.2, 'n': 3}}}
  found |= {
    'setting': 'x10',
    'corpus': 'own',
    'exposures': 10.5,
    'learning_seconds': 0.0,
  }
  record = {name: found[name] for name in FIELDS}
  read = ResultRow.from_json(record, 'here')
  assert json.dumps(read.to_json()) == json.dumps(record)
  assert read.metrics == {'accuracy': 0.5}


def test_what_was_forgotten_is_written_and_read():
  """Also of a model that has diverged, whose loss is no number."""
  said = row('random', 0.2, kept_loss=1.5, forgotten=-0.25)
  read = ResultRow.from_json(said, 'here')
  assert (read.kept_loss, read.forgotten) == (1.5, -0.25)
  assert read.to_json().items() >= {'kept_loss': 1.5, 'forgotten': -0.25}.items()
  assert ResultRow.from_json(row('none', 0.2, kept_loss=float('nan')), 'here')


def test_rows_of_earlier_versions_are_those_of_the_main_comparison():
  """They say nothing of settings and exposures."""
  read = ResultRow.from_json(row('random', 0.2), 'here')
  assert (read.setting, read.corpus, read.exposures) == ('', 'own', None)


def test_each_cell_has_its_own_updates(tmp_path):
  """As its pre-training had them; other metrics stand beside EM."""
  scores = {'em': 0.5, 'f1': 0.5, 'accuracy': 0.25, 'n': 2}
  done = {
    'validation': scores, 'test': scores, 'overlaps': {}, 'masked_words': 0.0,
    'learning_rate': 0.1, 'trials': {'0.1': -1.0}, 'seconds': 1.234,
    'learning_seconds': 0.0, 'commit': 'abc1234', 'corpus': 'own', 'kept_loss': None,
    'forgotten': None,
  }  # fmt: skip
  cell = Cell('civics', 'random', None, 'spans', 0)
  cells = cell._replace(policy='none'), cell, cell._replace(setting='x3')
  spent = [{'updates': n, 'exposures': n / 2} for n in (0, 7, 6)]
  done = {cell: done | more for cell, more in zip(cells, spent, strict=True)}
  path = tmp_path / 'results.jsonl'
  results.write_results(path, done, config='world', base='bart-tiny')
  found = files.read_jsonl(path)
  keys = 'policy', 'setting', 'updates', 'exposures'
  assert [tuple(map(r.get, keys)) for r in found if r['split'] == 'test'] == [
    ('none', '', 0, 0.0), ('random', '', 7, 3.5), ('random', 'x3', 6, 3.0),
  ]  # fmt: skip
  assert len(found) == 6
  assert list(found[1]) == FIELDS
  assert not {'overlaps', 'kept_loss', 'forgotten'} & found[0].keys()
  assert found[0]['seconds'] == 1.23


def test_recall_is_of_policies_that_score_any_passage():
  """By what their entries say; once for each task where a policy knows its task."""
  names = ('none', 'random', 'random_token', 'random_span', 'annotated', 'supervised')
  made = dict.fromkeys(names, 'policy')
  found = mask_rows.scored(
    made, ['a', 'b'], [0, 1], lambda name, task, seed: seed or None, top_k=5
  )
  assert found == [
    ('random', 'policy', [1], 0),
    ('random_span, a', 'policy', [1], 0),
    ('random_span, b', 'policy', [1], 0),
    ('supervised, a', 'policy', [1], 5),
    ('supervised, b', 'policy', [1], 5),
  ]


def test_the_study_says_how_policies_are_called():
  """Title and role of each, of policies of one's own as well."""
  shown = results.display(['none', 'annotated', 'random_longer'])
  record = json.loads(json.dumps(StudyRecord(display=shown).to_json()))
  said = {'title': 'annotated answers', 'role': 'reference', 'equal': 'updates'}
  assert record['display']['annotated'] == said
  assert record['display']['random_longer']['equal'] == 'compute'
  assert StudyRecord.from_json(record, 'study.json').display == shown
