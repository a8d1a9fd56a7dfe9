"""A study end to end: the plan, the files, bad input, and being killed."""

import collections
import contextlib
import itertools
import json
import logging
import random
import re
import shutil
import signal
import time

import jax
import numpy as np
import pytest

from experiments import finetune, learn_policy, prepare_corpus, pretrain
from experiments import study as experiment
from masklearn import policies
from masklearn.io import bucket, files, mirror
from masklearn.report import curves
from masklearn.study import compute, pool
from masklearn.tasks import people
from tests import small, storage
from tests.kills import GRACE, check_whole, interrupted, results, start
from tests.runs import command

SMALL = (
  '--config=configs/world.py:smoke',
  '--config.corpus.name=people',
  '--config.corpus.size=12',
  '--config.task.names=habits',
  '--config.policy.names=none,learned,annotated',
  '--config.task.size=12',
  '--config.corpus.vocabulary=300',
  '--config.corpus.longest=250',
  '--config.model.decoder_layers=1',
)


def run_here(capsys, workdir, *more):
  """Runs the study in this process; its exit code and what it printed."""
  code = command(experiment.main, *SMALL, f'--workdir={workdir}', *more)
  return code, capsys.readouterr()


@contextlib.contextmanager
def counted():
  """How often functions are compiled meanwhile, by name, in all threads."""
  found, logger = collections.Counter(), logging.getLogger('jax._src.dispatch')

  def note(record):
    match = re.match(r'Finished XLA compilation of jit\((\w+)', record.getMessage())
    if match:
      found[match[1]] += 1
    return False

  logger.addFilter(note)
  jax.config.update('jax_log_compiles', True)
  try:
    yield found
  finally:
    jax.config.update('jax_log_compiles', False)
    logger.removeFilter(note)


@pytest.fixture(scope='module')
def run_once(tmp_path_factory):
  """A study that was never interrupted: its directory, and what it has compiled."""
  workdir = tmp_path_factory.mktemp('study') / 'whole'
  with counted() as compilations:
    assert command(experiment.main, *SMALL, f'--workdir={workdir}') == 0
  return workdir, compilations


@pytest.fixture
def finished(run_once):
  """The work directory of that study."""
  return run_once[0]


def test_a_probe_is_compiled_once(run_once):
  """It takes longest: by scales, validation and training, one program is used."""
  compilations = run_once[1]
  assert compilations['probe'] <= 1 < compilations['placed']


def test_results_have_a_row_for_each_policy_and_split(finished):
  """With the keys that scripts depend on, and equal budgets."""
  rows = results(finished)
  names, splits = ('none', 'learned', 'annotated'), ('validation', 'test')
  every = set(itertools.product(names, splits))
  assert {(r['policy'], r['split']) for r in rows} == every
  words = {r['masked_words'] for r in rows if r['policy'] != 'none'}
  assert max(words) <= 1.02 * min(words)
  by_policy = {r['policy']: r for r in rows}
  assert by_policy['none']['policy_task'] is None
  assert by_policy['learned']['policy_task'] == 'habits'
  keys = ('task', 'target', 'base', 'seed', 'em', 'f1', 'n', 'updates', 'config')
  assert all(key in row for row in rows for key in keys)
  predictions = finished / 'finetune' / 'habits' / 'learned-habits-spans' / '0'
  assert len(files.read_jsonl(predictions / 'predictions.jsonl')) == rows[1]['n']


def test_report_shows_the_study(finished):
  """The page names every policy, the masks hold all, and each metric has a figure."""
  page = (finished / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'learned' in page
  for name, metric in curves.METRICS.items():
    # The cosine is logged on request only.
    assert (metric in page) == (name != 'validation_cosine')
  masks = files.read_jsonl(finished / 'masks.jsonl')
  assert {m['split'] for m in masks} == {'train', 'validation', 'test'}
  for mask in masks:
    assert set(mask['policies']) == {'learned', 'annotated'}
    assert {len(p) for p in mask['policies'].values()} == {len(mask['tokens'])}


def test_what_is_measured_before_a_policy_learns(finished):
  """A small step changes no sign of an influence; the gradient has some noise."""
  folder = finished / 'policies' / 'learned-habits' / '0'
  done, found = (files.read_object(folder / f'{n}.json') for n in ('done', 'guards'))
  assert done.items() >= (found['step_size'] | found['noise']).items()
  for name in ('sign_agreement', 'rank_correlation'):
    assert 0.95 < done[name]['0.33'] <= 1
    assert done[name].keys() == {'0.33', '3'}
  snr, needed = done['start_snr'], done['noise_scale']
  assert (needed is None) == (snr <= 0)
  assert needed is None or abs(snr * needed - 2) < 1e-6  # episodes of an update
  page = (finished / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'Before learning' in page


def test_a_learned_policy_can_be_taken_along(finished, tmp_path):
  """Its directory needs no other file of the study."""
  shutil.copytree(finished / 'policies' / 'learned-habits' / '0', tmp_path / 'policy')
  found = policies.load_policy(tmp_path / 'policy')
  assert found.spec['name'] == 'learned'
  draw = found.policy.draw(found.theta, jax.random.key(0), small.make_batch([[1] * 20]))
  assert draw.mask.sum() == round(found.spec['rate'] * 20)


STAGES = [experiment, prepare_corpus, learn_policy, pretrain, finetune]


@pytest.mark.parametrize('stage', STAGES)
def test_running_again_changes_nothing(finished, capsys, stage):
  """The study and each stage alone say so, and leave every result as it was."""
  before = (finished / 'results.jsonl').read_bytes()
  assert command(stage.main, *SMALL, f'--workdir={finished}') == 0
  assert 'nothing to do' in capsys.readouterr().err
  assert (finished / 'results.jsonl').read_bytes() == before


def test_a_stage_alone_goes_no_further(tmp_path, capsys):
  """The corpus is made once; the second call says that it is there."""
  workdir = tmp_path / 'new'
  for said in (False, True):
    assert command(prepare_corpus.main, *SMALL, f'--workdir={workdir}') == 0
    assert ('nothing to do' in capsys.readouterr().err) == said
  left = {'config.json', 'SHA256SUMS', 'corpus'}
  assert {path.name for path in workdir.iterdir()} == left


def test_what_is_impossible_is_left_out_and_said(tmp_path, capsys):
  """A policy without an answer to find; the others run, and one of them is counted."""
  groups = sorted({p.group for p in people.passages(0, 12)})
  asked = [
    {'source': f'code of {g}?', 'targets': [f'code{i % 2}'], 'group': g}
    for i, g in enumerate(groups)
  ]
  questions, workdir = tmp_path / 'questions.jsonl', tmp_path / 'new'
  questions.write_text('\n'.join(map(json.dumps, asked)))
  flags = '--config.task.names=jsonl', f'--config.task.train={questions}'
  names = '--config.policy.names=none,answer_vocabulary,supervised'
  given = *SMALL, *flags, names, '--config.policy.reference=supervised'
  assert command(experiment.main, *given, f'--workdir={workdir}') == 0
  assert 'left out: supervised for jsonl, seed 0' in capsys.readouterr().err
  assert {row['policy'] for row in results(workdir)} == {'none', 'answer_vocabulary'}
  (record,) = files.read_object(workdir / 'study.json')['impossible']
  assert (record['policy'], record['seeds']) == ('supervised', [0])
  page = (workdir / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'supervised is impossible on jsonl, seed 0: A supervised policy needs' in page
  found = policies.load_policy(workdir / 'policies' / 'answer_vocabulary-jsonl' / '0')
  assert found.theta['weight'].max() == 0


def test_baselines_that_see_no_task(tmp_path, monkeypatch):
  """One of each for all tasks; more updates, where they are charged as learning is."""
  monkeypatch.setattr(compute, 'operations', lambda function, *arguments: 1.0)
  workdir, names = tmp_path / 'new', 'difference,excess_loss,random_longer'
  flags = f'--config.policy.names={names}', '--config.policy.reference=excess_loss'
  assert command(experiment.main, *SMALL, *flags, f'--workdir={workdir}') == 0
  found = files.read_jsonl(workdir / 'results.jsonl')
  rows = {row['policy']: row for row in found if row['split'] == 'test'}
  assert {row['policy_task'] for row in rows.values()} == {None}
  # Two updates of learning cost two each, and two of the warm-up one.
  updates = {name: row['updates'] for name, row in rows.items()}
  assert updates == {'difference': 2, 'excess_loss': 2, 'random_longer': 2 + 2 * 2 + 2}
  # On the same passages; those of further updates are others.
  assert rows['difference']['masked_words'] == rows['excess_loss']['masked_words']
  own, other = (
    files.read_object(workdir / folder / '0' / 'done.json')['seconds']
    for folder in ('policies/excess_loss', 'pretrain/random-spans')
  )
  charged = rows['excess_loss']['learning_seconds']
  assert charged == pytest.approx(own + other, abs=0.01)
  page = (workdir / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'random tokens, equal compute' in page
  assert 'updates range from' not in page
  for name in ('difference', 'excess_loss'):
    found = policies.load_policy(workdir / 'policies' / name / '0')
    assert np.isfinite(found.theta['weight']).any()


def test_another_config_does_not_touch_the_directory(finished, capsys):
  """Exit code 2, a line that names the key, and every file as it was."""
  before = {p: p.stat().st_mtime_ns for p in finished.rglob('*')}
  code, printed = run_here(capsys, finished, '--config.pretrain.updates=3')
  assert code == 2
  assert 'pretrain.updates is 2 there and 3 here' in printed.err
  assert before == {p: p.stat().st_mtime_ns for p in finished.rglob('*')}


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--config.task.names=habit', 'habits'),
    ('--config.corpus.name=peple', 'people'),
    ('--config.finetune.updats=3', 'finetune.updates'),
    ('--config.policy.encoder=bilstn', 'bilstm'),
  ],
)
def test_wrong_names_list_the_nearest(tmp_path, capsys, flag, message):
  """Exit code 2 and one line, before anything is trained."""
  code, printed = run_here(capsys, tmp_path / 'new', flag)
  assert code == 2
  assert message in printed.err
  assert printed.err.startswith('error: ')
  assert not (tmp_path / 'new' / 'base').exists()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path, capsys):
  """Files that no study made are not mixed with a study's."""
  (tmp_path / 'thesis.tex').write_text('x')
  code, printed = run_here(capsys, tmp_path)
  assert code == 2
  assert 'no config.json' in printed.err
  assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


def test_bad_records_are_reported_and_an_empty_corpus_refused(tmp_path, capsys):
  """By file and line; with nothing usable, exit code 2."""
  bad = tmp_path / 'bad.jsonl'
  bad.write_text('{"id": "1"}\nnot json\n{"text": "ab", "spans": [[0, 9]]}\n')
  flags = ('--config.corpus.name=jsonl', f'--config.corpus.path={bad}')
  code, printed = run_here(capsys, tmp_path / 'new', *flags)
  assert code == 2
  assert 'bad.jsonl' in printed.err
  assert '3' in printed.err
  assert not (tmp_path / 'new').exists()  # free for a config that works


def interrupt(finished, tmp_path, window, kills, terms, names):
  """Interrupts the study at random times; its rows are the same. Returns the places."""
  numbers = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
  random.Random(0).shuffle(numbers)
  cache = jax.config.jax_compilation_cache_dir or tmp_path / 'cache'
  flags = *SMALL, f'--config.policy.names={names}'
  given = tmp_path / 'killed', cache, window, numbers
  workdirs, places, slowest = interrupted(flags, *given)
  assert len(places) == kills + terms
  assert slowest < GRACE
  wanted = [row for row in results(finished) if row['policy'] in names.split(',')]
  for workdir in workdirs:
    check_whole(workdir)
    assert results(workdir) == wanted
  return {folder for _, folder in places}


def test_killed_anywhere_it_gives_the_rows_of_an_uninterrupted_run(finished, tmp_path):
  """`kill -9` at random times, one after the other."""
  interrupt(finished, tmp_path, 2, 5, 0, 'none,annotated')


@pytest.mark.slow
def test_killed_thirty_times(finished, tmp_path):
  """In all stages, as far as a machine gets in the time that it is given."""
  names = 'none,learned,annotated'
  places = interrupt(finished, tmp_path, 4, 30, 2, names)
  assert places - {'nothing', 'corpus'}


@pytest.mark.slow
def test_a_pool_whose_workers_are_killed_gives_the_same_rows(finished, tmp_path):
  """Of three processes, one after the other is lost; others go on from its files."""
  psutil = pytest.importorskip('psutil', reason='needs the extra `cluster`')
  cache, workdir = jax.config.jax_compilation_cache_dir or tmp_path, tmp_path / 'pool'
  flags = '--config.study.scheduler=local:3', '--config.policy.names=none,annotated'
  process = start((*SMALL, *flags), workdir, cache)
  try:
    for place in ('base', 'finetune'):
      while process.poll() is None and not list(workdir.glob(f'{place}/**/*.jsonl')):
        time.sleep(0.1)
      children = psutil.Process(process.pid).children(recursive=True)
      # A nanny forks nothing: its worker is what imports most.
      lost = max(children, key=lambda child: child.cpu_times().user)
      lost.kill()
    _, said = process.communicate(timeout=1200)
  finally:
    process.kill()
  assert process.returncode == 0, said.decode()
  wanted = [row for row in results(finished) if row['policy'] in ('none', 'annotated')]
  assert results(workdir) == wanted
  assert not (workdir / pool.LEASES).exists()
  check_whole(workdir)


@pytest.mark.slow
def test_a_study_in_a_bucket_goes_on_elsewhere(finished, tmp_path, monkeypatch):
  """After `kill -9`, on a machine that has nothing; the rows are those on a disk."""
  pytest.importorskip('google.cloud.storage', reason='needs the extra `gcs`')
  url, cache = f'gs://{storage.BUCKET}/runs/one', tmp_path / 'programs'
  with storage.emulator() as address:
    monkeypatch.setenv('STORAGE_EMULATOR_HOST', address)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'one'))
    flags = *SMALL, '--config.policy.names=none'
    there, first = bucket.Bucket(url), start(flags, url, cache)
    while 'base/0/done.json' not in there.sums():
      assert first.poll() is None, first.stderr.read().decode()
      time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    there.remove(bucket.LEASE)  # as after some minutes
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'two'))
    second = start(flags, url, cache)
    said = second.communicate()[1].decode()
    assert second.returncode == 0, said
    assert 'base, seed 0' not in said
    sums = there.sums()
  del sums[mirror.WRITER]
  copies = (tmp_path / 'two' / 'masklearn' / 'workdirs').iterdir()
  copy = next(path for path in copies if path.is_dir())
  assert results(copy) == [r for r in results(finished) if r['policy'] == 'none']
  assert {path.relative_to(copy).as_posix() for path in copy.rglob('*')} >= sums.keys()
  assert 'study.json' in sums
  assert bucket.LEASE not in sums
