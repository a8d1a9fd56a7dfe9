"""The report on damaged files: one line and the old report, or a page that says so."""

import json
import os
import random
import shutil

import pytest

from experiments import report as main
from masklearn import report
from masklearn.report import findings, workdir
from masklearn.types import InputError
from tests import hostile
from tests.runs import PASSAGE, ROWS, Page, command, row, write

SHARE = {'mean': 0.2, 'low': 0.1, 'high': 0.3}
RECALL = {
  'file': 'a.json', 'passages': 7, 'policy': 'random', 'recall': SHARE, 'above': {},
  'n': 12, 'words': 1.5, 'spans': 0.5,
}  # fmt: skip
STUDY = {'command': 'python', 'policies': [
  {'policy': 'learned-civics', 'seed': 0, 'seconds': 1.0, 'updates': 3}
]}  # fmt: skip
POINTS = [{'step': 0, 'loss': 2.0}, {'step': 3, 'loss': 1.0}]
ANSWER = {'output': [{'answer': 'x'}], 'meta': {'targets': ['x'], 'label': 'currency'}}
PREDICTIONS = 'finetune/civics/random-spans/0/predictions.jsonl'
HISTORY = 'base/0/history.jsonl'
DONE = 'finetune/civics/random-spans/0/done.json'


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A work directory with every file that a report reads, and its report."""
  folder = write(
    tmp_path_factory.mktemp('run'), ROWS, masks=[PASSAGE], recall=[RECALL],
    base__0__history=POINTS, **{PREDICTIONS[:-6].replace('/', '__'): [ANSWER]},
    finetune__civics__random_spans__0__history=POINTS,
  )  # fmt: skip
  (folder / 'study.json').write_text(json.dumps(STUDY))
  report.write_report(folder)
  return folder


@pytest.fixture
def folder(whole, tmp_path):
  """A copy of it, to damage."""
  return shutil.copytree(whole, tmp_path / 'run')


def shown(path):
  """Every file of a report, with its content."""
  return {file.name: file.read_bytes() for file in path.iterdir()}


def line(record, **changes):
  """A line of JSON, changed; NaN and Infinity as Python writes them."""
  return json.dumps({**record, **changes}) + '\n'


def result(**changes):
  """A line of results.jsonl."""
  return line(row('random', 0.2), **changes)


def mask(**changes):
  """A line of masks.jsonl."""
  return line(PASSAGE, **changes)


GOOD = result()
# File, its content, and what the one line says.
REFUSED = [
  ('results.jsonl', 'junk\n', ':1: not JSON'),
  ('results.jsonl', b'\x89PNG\r\n\x1a\n\0\0', ':1: not UTF-8 at byte 0'),
  ('results.jsonl', GOOD + 'null\n', ':2: expected a JSON object, got null'),
  ('results.jsonl', GOOD + '[1, 2]\n', ':2: expected a JSON object'),
  ('results.jsonl', GOOD[:50] + '\n' + GOOD, ':1: not JSON'),
  ('results.jsonl', GOOD + '[' * 100_000 + '\n', ':2: not JSON'),
  (
    'results.jsonl',
    '{"em": ' + '9' * 5_000 + '}\n',
    ':1: not JSON: a number of more than',
  ),
  ('results.jsonl', GOOD.replace('civics', '\\ud800'), ':1: a text has half of a'),
  ('results.jsonl', result(em=float('nan')), ':1: em must lie in [0, 1], got nan'),
  ('results.jsonl', result(em='0.5'), ":1: em must lie in [0, 1], got '0.5'"),
  ('results.jsonl', result(em=True), ':1: em must lie in [0, 1], got True'),
  ('results.jsonl', result(f1=float('inf')), ':1: f1 must lie in [0, 1], got inf'),
  ('results.jsonl', result(seconds=float('nan')), ':1: seconds must be a number with'),
  ('results.jsonl', result(masked_words=10**400), ':1: masked_words must be a number'),
  ('results.jsonl', result(seed=2**60), ':1: seed must be a number within 9e+15'),
  ('results.jsonl', result(seed=1.5), ':1: seed must be a whole number, got 1.5'),
  ('results.jsonl', result(task=None), ':1: task must be a string, got None'),
  ('results.jsonl', result(overlaps={'none': 3}), ':1: overlaps.none must be an'),
  ('results.jsonl', result(overlaps={'none': {'n': 3}}), 'overlaps.none: missing em'),
  ('results.jsonl', '{}\n', ':1: missing task, policy'),
  ('results.jsonl', GOOD + '{}', ':2: missing task, policy'),
  ('study.json', '', ' must hold one JSON object: not JSON'),
  ('study.json', '{"config": "wor', ' must hold one JSON object: not JSON'),
  ('study.json', '3', ' must hold one JSON object: expected a JSON object, got 3'),
  ('study.json', b'\xff\xfe{}', ' must hold one JSON object: not UTF-8 at byte 0'),
  ('study.json', '{"a":' * 100_000, ' must hold one JSON object: not JSON'),
  ('study.json', '{"config": "\\udcff"}', ' must hold one JSON object: a text has'),
  ('study.json', '{"config": null}', ': config must be a string, got None'),
  ('study.json', '{"seconds": Infinity}', ': seconds must be a number within'),
  ('study.json', '{"tasks": [1]}', ': tasks must be an object, got [1]'),
  ('study.json', '{"policies": [3]}', ': policies[0] must be an object, got 3'),
  ('study.json', '{"seeds": ["a"]}', ": seeds[0] must be a whole number, got 'a'"),
  ('masks.jsonl', mask(tokens=[[0, 'a']] * 5), ':1: tokens must be lists of the first'),
  ('masks.jsonl', mask(tokens=[[0]] * 5), ':1: tokens must be lists of the first'),
  ('masks.jsonl', mask(tokens=[[0, 1, 'x']] * 5), ':1: tokens must be lists of the'),
  ('masks.jsonl', mask(tokens=[[0, -1]] * 5), ':1: tokens must be lists of the first'),
  ('masks.jsonl', mask(asked=[[0, 1, 3]]), 'and maybe a label, got [0, 1, 3]'),
  (
    'masks.jsonl',
    mask(policies={'x': [None] * 5}),
    "'x' needs probabilities in [0, 1]",
  ),
  ('masks.jsonl', mask(policies={'x': [2] * 5}), 'in [0, 1], got 2'),
  ('masks.jsonl', mask(policies={'x': [float('nan')] * 5}), 'in [0, 1], got nan'),
  ('masks.jsonl', mask(policies={'x': 'abcde'}), ':1: policies.x must be a list'),
  ('masks.jsonl', mask(text=7), ':1: text must be a string, got 7'),
  ('recall.jsonl', line(RECALL, recall={'mean': 1}), ':1: recall: missing low'),
  ('recall.jsonl', line(RECALL, above={'x': {}}), ':1: x: missing mean'),
  ('recall.jsonl', line(RECALL, above={'x': 3}), ':1: above.x must be an object'),
  (
    'recall.jsonl',
    line(RECALL, recall=SHARE | {'low': None}),
    ':1: recall.low must be',
  ),
  ('recall.jsonl', line(RECALL, n='many'), ":1: n must be a whole number, got 'many'"),
]
# File, its content, and what the page says.
SAID = [
  (HISTORY, 'junk\n', f'One file could not be used: {HISTORY}:1: not JSON'),
  (HISTORY, '{"loss": 1}\n', f'{HISTORY}:1: missing step'),
  (HISTORY, '{"step": "a"}\n', f'{HISTORY}:1: step must be a whole number'),
  (HISTORY, '{"step": NaN}\n', f'{HISTORY}:1: step must be a whole number'),
  (HISTORY, '{"step": -1}\n', f'{HISTORY}:1: step must not be negative'),
  (PREDICTIONS, '\0\0\0\n', f'{PREDICTIONS}:1: not JSON'),
  (PREDICTIONS, '{"output": []}\n', f'{PREDICTIONS}:1: missing meta'),
  (PREDICTIONS, line(ANSWER, output=3), f'{PREDICTIONS}:1: expected "output"'),
  (PREDICTIONS, line(ANSWER, meta=[]), f'{PREDICTIONS}:1: expected "output"'),
  (PREDICTIONS, line(ANSWER, output=[{'answer': 3}]), f'{PREDICTIONS}:1: expected'),
  (PREDICTIONS, line(ANSWER, meta={'targets': [3]}), f'{PREDICTIONS}:1: expected'),
]  # fmt: skip
# Content that is unusual and right: the page is as complete as ever.
TAKEN = [
  (HISTORY, ''),
  (HISTORY, ''.join(line(POINTS[0], step=s, loss=v) for s, v in (
    (1, 1e308), (2, None), (3, float('nan')), (4, 'x'), (5, 10**300), (2**52, -1e29)))),
  ('results.jsonl', ''),
  ('results.jsonl', result(policy='unheard_of', trials={'0.1': float('nan')})),
  ('results.jsonl', result(updates=None, masked_words=None, seconds=None, f1=None)),
  ('results.jsonl', GOOD + GOOD[:70]),
  ('results.jsonl', '\ufeff' + GOOD.replace('\n', '\r\n') + '\n\n'),
  ('study.json', '{}'),
  ('study.json', line(STUDY, policies=[STUDY['policies'][0] | {'snr': float('inf')}])),
  ('masks.jsonl', mask(text='', tokens=[], asked=[], policies={'x': []})),
  ('masks.jsonl', mask(tokens=[[7, 3]] * 5, asked=[[0, 2**50]])),
  (PREDICTIONS, line(ANSWER, output=[], meta={'targets': None, 'label': None})),
]  # fmt: skip


WRONG = (
  None, True, -1, 1.5, float('nan'), float('inf'), 10**400, 1e308, 2**52, '', 'x', [],
  [[]], {}, {'a': 1}, 'y' * 3_000,
)  # fmt: skip


def leaves(value, path=()):
  """Where each value of a JSON value stands."""
  yield path
  pairs = enumerate(value) if isinstance(value, list) else ()
  for key, item in value.items() if isinstance(value, dict) else pairs:
    yield from leaves(item, (*path, key))


def put(value, path, new):
  """The JSON value with another in this place."""
  if not path:
    return new
  changed = value.copy()
  changed[path[0]] = put(value[path[0]], path[1:], new)
  return changed


def damage(folder, name, content):
  """Puts content in the place of a file."""
  path = folder / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(('name', 'content', 'message'), REFUSED)
def test_a_damaged_file_is_named_and_the_old_report_stays(
  folder, capsys, name, content, message
):
  """In one line with file, line, field and value; exit code 2."""
  before = shown(folder / 'report')
  damage(folder, name, content)
  assert command(main.main, f'--workdir={folder}') == 2
  said = capsys.readouterr().err
  assert said.startswith(f'error: {folder / name}')
  assert message in said
  assert said.count('\n') == 1
  assert len(said) < 500
  assert shown(folder / 'report') == before
  assert not (folder / 'report.partial').exists()


@pytest.mark.parametrize(('name', 'content', 'message'), SAID)
def test_a_damaged_file_of_many_is_left_out_and_named(folder, name, content, message):
  """Curves and answers of one run: the others are shown."""
  damage(folder, name, content)
  found = workdir.read(folder, {})
  (said,) = findings.left_out(found.left_out)
  assert message in said
  assert str(folder) not in said
  assert found.rows
  assert len(found.histories) == 2 - (name == HISTORY)
  assert bool(found.predictions) == (name != PREDICTIONS)


def test_the_page_says_what_was_left_out(folder):
  """How many files, and of the first ones where and why."""
  for seed in range(5):
    damage(folder, HISTORY.replace('0', str(seed)), 'junk\n')
  words = Page(report.write_report(folder)).words
  assert f'5 files could not be used: {HISTORY}:1: not JSON' in words
  assert 'base/2/history.jsonl:1' in words
  assert 'base/3/history.jsonl:1' not in words
  assert 'random 0.300' in words


@pytest.mark.parametrize(('name', 'content'), TAKEN)
def test_what_is_unusual_and_right_is_shown(folder, name, content):
  """Nothing is left out, and the page is whole."""
  damage(folder, name, content)
  page = Page(report.write_report(folder))
  assert page.open == []
  assert 'could not be used' not in page.words


def test_a_chosen_learning_rate_that_is_not_said_is_a_problem(folder):
  """The curves of all learning rates are shown then, and the page says why."""
  for name in ('lr-0.1', 'lr-0.01'):
    damage(folder, DONE.replace('done.json', f'{name}/history.jsonl'), line(POINTS[0]))
  for content in ('{"learning_rate": "x"}', '{}', '[]', '', '{"learning_rate": null}'):
    damage(folder, DONE, content)
    found = workdir.read(folder, {})
    (problem,) = found.left_out
    assert problem.startswith(f'{DONE} must say the learning_rate')
    assert [h.part for h in found.histories if h.part] == ['lr-0.01', 'lr-0.1']


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(3))
def test_any_value_in_any_place_is_shown_or_refused(tmp_path, seed):
  """Fifteen draws of a file, of a place in it and of a value that may be wrong."""
  text, _ = hostile.harmless()
  hostile.build(tmp_path, text)
  chance = random.Random(seed)
  files = sorted(path for path in tmp_path.rglob('*.json*'))
  for _ in range(15):
    path = chance.choice(files)
    before = path.read_text()
    first, *rest = before.splitlines(keepends=True)
    record = json.loads(first)
    place, value = chance.choice(list(leaves(record))), chance.choice(WRONG)
    path.write_text(json.dumps(put(record, place, value)) + '\n' + ''.join(rest))
    said = path.name
    try:
      assert Page(report.write_report(tmp_path)).open == [], (path, place, value)
    except InputError as error:
      said = str(error)
    assert path.name in said
    path.write_text(before)


@pytest.mark.parametrize('name', ['results.jsonl', 'study.json', 'masks.jsonl'])
@pytest.mark.parametrize('what', ['directory', 'dangling link', 'pipe'])
def test_what_is_no_file_is_named(folder, capsys, name, what):
  """In place of a file a directory, a link to nothing, or what would never end."""
  path = folder / name
  path.unlink()
  {'directory': os.mkdir, 'pipe': os.mkfifo}.get(what, lambda p: os.symlink('x', p))(
    path
  )
  assert command(main.main, f'--workdir={folder}') == 2
  assert capsys.readouterr().err.startswith(f'error: {path} ')


def test_a_report_is_written_into_a_work_directory_alone(tmp_path, capsys):
  """Not into a folder of somebody else, nor one that is not there."""
  (tmp_path / 'photos').mkdir()
  (tmp_path / 'file').write_text('x')
  for name, message in (
    (
      'photos',
      'is no work directory of a study: it has none of config.json, study.json',
    ),
    ('nowhere', 'no work directory'),
    ('file', 'no work directory'),
    ('n' * 300, '255 are the most'),
    ('gs://bucket', 'no work directory'),
  ):
    assert command(main.main, f'--workdir={tmp_path / name}') == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count('\n') == 1
  assert sorted(path.name for path in tmp_path.rglob('*')) == ['file', 'photos']


def test_a_report_that_cannot_be_written_leaves_the_old_one(
  folder, capsys, monkeypatch
):
  """A full disk in the middle of the files, or a file where the folder should be."""
  before, write_text = shown(folder / 'report'), report.files.write_text

  def full(path, text):
    if path.name == 'index.html':
      raise OSError(28, 'No space left on device')
    write_text(path, text)

  monkeypatch.setattr(report.files, 'write_text', full)
  damage(folder, 'results.jsonl', GOOD)
  assert command(main.main, f'--workdir={folder}') == 2
  said = capsys.readouterr().err
  assert said == f'error: {folder}/report cannot be written: No space left on device.\n'
  assert shown(folder / 'report') == before
  monkeypatch.undo()
  shutil.rmtree(folder / 'report')
  (folder / 'report').write_text('mine')
  assert command(main.main, f'--workdir={folder}') == 2
  assert 'report cannot be written: File exists.' in capsys.readouterr().err
  assert (folder / 'report').read_text() == 'mine'


def test_a_page_holds_a_thousand_passages(folder):
  """And says how many more there are."""
  short = mask(text='a', tokens=[[0, 1]], asked=[], policies={'x': [0.5]})
  damage(folder, 'masks.jsonl', short * 1_002)
  page = Page(report.write_report(folder))
  assert '2 more passages of masks.jsonl are not shown.' in page.words
  assert len(json.loads(page.scripts[0][1])) == 1_000


def test_rows_of_two_configs_and_of_unknown_policies_are_announced(folder):
  """A reader should not compare what was made in two ways without knowing it."""
  damage(folder, 'results.jsonl', GOOD + result(policy='salient', config='other'))
  words = Page(report.write_report(folder)).words
  assert 'The rows come from different configs: world:smoke, other.' in words
  assert 'Nothing says what kind of policy random, salient is' in words
