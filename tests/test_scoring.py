"""Files of predictions and golds, right and wrong, and the command that scores them."""

import json

import numpy as np
import pytest

from experiments import app
from experiments import score as main
from masklearn.evaluation import answering, kilt_files, metrics, overlap
from masklearn.io import files
from masklearn.types import Example, InputError
from tests.documents import lines
from tests.test_metrics import kilt_rouge, pairs

GOLDS = [
  {'id': 'a', 'input': 'who', 'output': [{'answer': 'The Cat'}, {'provenance': []}]},
  {'id': 7, 'input': 'when', 'output': [{'answer': ' '}, {'answer': '1984'}]},
  {'id': 'c', 'input': 'why', 'output': [{'answer': 'a b c'}, {'answer': 'x'}]},
]


def answered(id, answer):
  """Returns a prediction in KILT's schema."""
  return {'id': id, 'output': [{'answer': answer, 'provenance': []}]}


def wrong(*ids):
  """Returns predictions with these ids."""
  return [answered(id, 'no') for id in ids]


@pytest.fixture
def write(tmp_path):
  """Returns `write(name, records) -> path` of JSON lines; strings are lines as is."""
  return lambda name, records: lines(tmp_path / name, *records)


def test_scores_are_means_of_records_joined_by_id(write):
  """Order, white space and the type of an id do not matter; blank golds are none."""
  golds = write('g.jsonl', GOLDS)
  answers = [answered('c ', 'a c'), answered('a', ' cat '), answered('7', 1984)]
  found = kilt_files.score(write('p.jsonl.gz', answers), golds)
  assert found['em'] == pytest.approx(2 / 3)
  assert found['f1'] == pytest.approx((1 + 1 + 2 / 3) / 3)  # "a" is an article
  assert found['accuracy'] == pytest.approx(1 / 3)
  assert found['rougeL'] == pytest.approx((0 + 1 + 0.8) / 3, abs=1e-8)
  assert (found['n'], found['empty']) == (3, 0)
  for name in kilt_files.NAMES:
    low, high = found[f'{name}_interval']
    assert 0 <= low <= found[name] <= high <= 1
  assert len(found) == 2 + 2 * len(kilt_files.NAMES)


def test_an_empty_prediction_scores_nothing_and_is_counted(write):
  """Even where a gold answer normalizes to nothing."""
  golds = write('g.jsonl', [answered(str(i), 'The') for i in range(3)])
  answers = [answered('0', ''), answered('1', ' \n'), answered('2', 'the')]
  found = kilt_files.score(write('p.jsonl', answers), golds)
  assert (found['n'], found['empty']) == (3, 2)
  assert found['em'] == pytest.approx(1 / 3)
  assert found['f1'] == found['accuracy'] == found['rougeL'] == 0


def test_generated_files_score_as_their_pairs(write):
  """500 records, shuffled, against the pairs one by one and the package `rouge`."""
  generated = pairs(6, 500)
  generated = [(p, golds) for p, golds in generated if any(g.strip() for g in golds)]
  golds = [
    {'id': f'q{i}', 'output': [{'answer': gold} for gold in golds]}
    for i, (_, golds) in enumerate(generated)
  ]
  predictions = [answered(f'q{i}', p) for i, (p, _) in enumerate(generated)]
  order = np.random.default_rng(0).permutation(len(golds))
  shuffled = write('g.jsonl', [golds[i] for i in order])
  found = kilt_files.score(write('p.jsonl', predictions), shuffled)
  assert found['n'] == len(generated) > 450
  assert found['empty'] == sum(not p.strip() for p, _ in generated) > 5
  for name in kilt_files.NAMES:
    metric = kilt_rouge if name == 'rougeL' else metrics.METRICS[name]
    expected = np.mean([metric(*pair) for pair in generated])
    assert found[name] == pytest.approx(expected, abs=1e-9)
    assert 0.05 < found[name] < 0.95


def test_golds_of_kilt_score_one_against_themselves(shared_data, write):
  """Every KILT file with answers, the last answer of each record as prediction."""
  scored = 0
  for path in sorted((shared_data / 'kilt').glob('*.jsonl')):
    if 'without_answers' in path.name:
      with pytest.raises(InputError, match=r'jsonl:1: .output. must be a list'):
        kilt_files.score(path, path)
      continue
    answers = [
      answered(gold['id'], [o['answer'] for o in gold['output'] if o.get('answer')][-1])
      for gold in files.read_jsonl(path)
    ]
    found = kilt_files.score(write('p.jsonl', answers), path)
    assert (found['em'], found['accuracy']) == (1, 1), path
    assert found['f1'] == pytest.approx(1), path
    assert found['rougeL'] == pytest.approx(1, abs=1e-8), path
    scored += 1
  assert scored == 15


@pytest.mark.parametrize(
  ('predictions', 'message'),
  [
    (wrong('a'), 'p.jsonl must have one record for each of the 3 ids of .*g.jsonl; 2'),
    (wrong('a'), "2 are missing, the first at .*g.jsonl:2, '7'."),
    (wrong('a', '7', 'c', 'd', 'e'), "; 2 are extra, the first at .*p.jsonl:4, 'd'."),
    (wrong('a', '7', 'C'), "1 are missing, .*:3, 'c'; 1 are extra, .*p.jsonl:3, 'C'."),
    (wrong('a', 'c', 7, '7 ', 'a'), "2 of .*p.jsonl:4: id '7' occurs before"),
    ([*wrong('a'), '', '{"id": "7"'], '1 of .*p.jsonl cannot be .*p.jsonl:3: not JSON'),
    ([*wrong('a'), {'output': [{'answer': 'x'}]}], "p.jsonl:2: no 'id'"),
    ([answered('a', None)], "p.jsonl:1: 'answer' must be a string, got None"),
    ([answered('a', True)], "p.jsonl:1: 'answer' must be a string, got True"),
    ([{'id': 'a', 'output': []}], 'p.jsonl:1: a prediction needs one output .* got 0'),
    ([{'id': 'a', 'output': [{}, {}]}], 'needs one output .* got 2'),
    ([{'id': 'a', 'output': [{'title': 'x'}]}], "one output with an 'answer'"),
    ([{'id': 'a', 'answer': 'x'}], "p.jsonl:1: 'output' must be a list"),
    ([], 'p.jsonl has no usable record'),
  ],
)
def test_predictions_that_do_not_fit_are_an_error(write, predictions, message):
  """Nothing is scored unless all is there; the error counts, and names the first."""
  golds = write('g.jsonl', GOLDS)
  with pytest.raises(InputError, match=message):
    kilt_files.score(write('p.jsonl', predictions), golds)


@pytest.mark.parametrize(
  ('golds', 'message'),
  [
    ([GOLDS[0], {'id': 'b'}], "g.jsonl:2: 'output' must be a list"),
    ([GOLDS[0], {'id': 'b', 'output': [{'answer': ' '}]}], 'g.jsonl:2: a gold record'),
    ([GOLDS[0], {'id': 'b', 'output': [{'answer': [3]}]}], 'must be a string'),
    ([GOLDS[0], GOLDS[0]], "g.jsonl:2: id 'a' occurs before"),
  ],
)
def test_golds_that_cannot_score_are_an_error(write, golds, message):
  """A question without an answer has no score, in KILT's scorer neither."""
  with pytest.raises(InputError, match=message):
    kilt_files.score(write('p.jsonl', wrong('a')), write('g.jsonl', golds))


def test_overlap_splits_add_up(write):
  """Each split has its own scores, and one without questions has none."""
  golds = write('g.jsonl', GOLDS)
  train = write('t.jsonl', [
    {'id': '1', 'input': 'Who?', 'output': [{'answer': 'dog'}]},
    {'question': 'which year', 'answer': ['1984']},
    {'input': 'bad'},
  ])  # fmt: skip
  answers = [answered('a', 'cat'), answered('7', ''), answered('c', 'x')]
  found = kilt_files.score(write('p.jsonl', answers), golds, train)
  assert found['train_skipped'] == 1
  assert list(found['overlap']) == list(overlap.SPLITS)
  rows = [found['overlap'][name] for name in overlap.SPLITS]
  assert [row['n'] for row in rows] == [1, 1, 1]
  assert [row['em'] for row in rows] == [1, 0, 1]
  assert [row['empty'] for row in rows] == [0, 1, 0]
  assert rows[0]['em_interval'] is None  # one question
  few = write('few.jsonl', [GOLDS[0]])
  found = kilt_files.score(write('p.jsonl', [answers[0]]), few, train)
  assert found['overlap']['no_overlap']['n'] == 0
  assert found['overlap']['no_overlap']['em'] is None


@pytest.mark.parametrize(
  'record',
  [
    {'id': '1', 'input': 'which year', 'output': [{'answer': '1984'}]},
    {'source': 'which year', 'target': '1984'},
    {'question': 'which year', 'answer': ['x', '1984']},
    {'qId': '1', 'qText': 'which year', 'answers': ['1984']},
    {'url': '', 'utterance': 'q', 'targetValue': '(list (description 1984))'},
    {'Question': 'q', 'QuestionId': '1', 'Answer': {'Value': 'x', 'Aliases': ['1984']}},
  ],
)
def test_training_questions_come_in_any_form(write, record):
  """KILT's, ours, NQ-open's, both of WebQuestions, TriviaQA's: the answer is known."""
  predictions, golds = write('p.jsonl', wrong('7')), write('g.jsonl', [GOLDS[1]])
  found = kilt_files.score(predictions, golds, write('t.jsonl', [record]))
  assert found['train_skipped'] == 0
  assert found['overlap']['answer_overlap_only']['n'] == 1


def test_overlap_needs_questions(write):
  """KILT's TriviaQA has none of its own."""
  golds = write('g.jsonl', wrong('a'))
  train = write('t.jsonl', [{'source': 'q', 'targets': ['x']}])
  with pytest.raises(InputError, match=r"g.jsonl:1: .* 'a' has no 'input'"):
    kilt_files.score(golds, golds, train)


def test_evaluate_scores_each_overlap():
  """The same splits for answers of a model, with the metrics that a task names."""
  train = [Example('1', 'who', ('Dog',)), Example('2', 'which year', ('1984',))]
  test = [
    Example('a', 'Who?', ('cat',)),
    Example('b', 'when', ('1984',)),
    Example('c', 'in what year', ('1985', '1984')),
  ]
  answers = ['the cat', '1983', '1984']
  found = answering.score_overlaps(test, answers, train, ['accuracy'])
  assert found == {
    'question_overlap': {'accuracy': 0.5, 'n': 2},
    'answer_overlap_only': {'accuracy': 0.0, 'n': 1},
  }


@pytest.fixture
def study(tmp_path):
  """Returns `study(variant, seeds) -> paths` of predictions as a study writes them."""

  def call(variant, seeds):
    paths = []
    for seed, (targets, answers) in enumerate(seeds):
      path = f'finetune/civics/{variant}/{seed}/predictions.jsonl'
      paths.append(tmp_path / path)
      examples = [Example(f'q{i}', 'q', (t, 'yes')) for i, t in enumerate(targets)]
      answering.write_predictions(paths[-1], examples, answers)
    return paths

  return call


def test_policies_are_compared_question_by_question(study):
  """From two variants' files, seed by seed; seeds may have questions of their own."""
  a = study('learned', [('abc', 'abx'), ('de', ['d', 'Yes'])])
  b = study('random', [('abc', 'axx'), ('de', ['', 'no'])])
  found = kilt_files.compare(a, b)
  assert (found.n, found.seeds) == (3, 2)
  assert found.difference == pytest.approx((1 / 3 + 1) / 2)
  assert found.low <= found.difference <= found.high
  assert found.p_seeds == 0.5
  assert kilt_files.compare(a, a).difference == 0
  accuracy = kilt_files.compare(a, b, 'accuracy')
  assert accuracy.difference == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_policies_that_were_asked_other_things_are_not_compared(study, write):
  """Another seed, another number of seeds, or a file that no study wrote."""
  a = study('learned', [('abc', 'abx'), ('abd', 'abx')])
  with pytest.raises(InputError, match=r"1/.*:3: the gold answers of 'q2' .*0/.*:3;"):
    kilt_files.compare(a[:1], a[1:])
  with pytest.raises(InputError, match='at least one, got 2 and 1'):
    kilt_files.compare(a, a[1:])
  with pytest.raises(InputError, match=r'1 are missing'):
    kilt_files.compare(a[:1], study('none', [('ab', 'ab')]))
  with pytest.raises(InputError, match=r"p.jsonl:1: no 'meta' with 'targets'"):
    kilt_files.compare([write('p.jsonl', wrong('a'))], a[:1])


@pytest.fixture
def command(capsys):
  """Returns `call(*arguments) -> (exit code, stdout, stderr)` of experiments.score."""

  def call(*arguments):
    with pytest.raises(SystemExit) as stop:
      app.run(main.main, ['score', *arguments])
    return stop.value.code, *capsys.readouterr()

  return call


def test_the_command_prints_one_json_object(command, write):
  """All that it says on stdout is JSON that any reader takes, without NaN."""
  golds = write('g.jsonl', GOLDS)
  rows = [answered('a', 'the cat'), answered('7', '1984'), answered('c', '')]
  predictions = write('p.jsonl', rows)
  train = write('t.jsonl', [{'source': 'who', 'targets': ['cat']}])
  worse = write('worse.jsonl', wrong('a', '7', 'c'))
  code, out, err = command(
    f'--predictions={predictions}', f'--gold={golds}', f'--train={train}',
    f'--compare={worse}',
  )  # fmt: skip
  assert (code, err) == (0, '')

  def refuse(constant):
    raise AssertionError(constant)

  found = json.loads(out, parse_constant=refuse)
  assert out.count('\n') == 1
  assert found['em'] == pytest.approx(2 / 3)
  assert found['empty'] == 1
  assert found['overlap']['question_overlap']['n'] == 1
  compared = found['compare']['em']
  assert compared['difference'] == pytest.approx(2 / 3)
  assert compared['p'] == pytest.approx(2 / 4)
  low, high = compared['interval']
  assert 0 <= low <= 2 / 3 <= high <= 1


def test_the_command_reports_a_mistake_in_one_line(command, write):
  """Files that do not fit, and flags that are not there."""
  golds = write('g.jsonl', GOLDS)
  code, out, err = command(f'--predictions={golds}x', f'--gold={golds}')
  assert (code, out) == (2, '')
  assert err.startswith('error: ')
  assert 'g.jsonlx cannot be read' in err
  assert err.count('\n') == 1
  code, _, err = command(f'--predictions={golds}')
  assert (code, err) == (2, 'error: --gold: required, and not given\n')
