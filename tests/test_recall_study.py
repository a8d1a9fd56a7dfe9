"""Answer-span recall from the command line."""

import pytest

from experiments import app
from experiments import recall as experiment
from masklearn.io import files
from masklearn.tasks import people
from tests.test_published_study import squad


def run(capsys, path, workdir, *more):
  """Calls the main as a shell would; its exit code and what it printed."""
  flags = (f'--config.data.path={path}', f'--workdir={workdir}', *more)
  with pytest.raises(SystemExit) as end:
    app.run(experiment.main, ['recall', '--config=configs/recall.py:smoke', *flags])
  return end.value.code, capsys.readouterr()


def test_policies_are_compared_on_articles_that_none_was_trained_on(tmp_path, capsys):
  """All with equal budgets; again, nothing is done but to show it."""
  path = squad(tmp_path / 'squad.json', people.passages(0, size=6, copies=1))
  code, printed = run(capsys, path, tmp_path / 'run')
  assert code == 0, printed.err
  rows = files.read_jsonl(tmp_path / 'run' / 'recall.jsonl')
  assert {row['policy'] for row in rows} == {
    'random',
    'salient',
    'random spans as of scratch',
    'scratch, top 1',
    'scratch, top 5',
  }
  assert len({(row['n'], row['words'], row['spans']) for row in rows}) == 1
  assert rows[0]['n'] == 4  # of six articles two were trained on
  assert all(0 <= row['recall']['mean'] <= 1 for row in rows)
  code, again = run(capsys, path, tmp_path / 'run')
  assert code == 0
  assert again.out == printed.out
  assert 'steps' not in again.err


def test_what_cannot_be_compared_is_said(tmp_path, capsys):
  """No file, too few articles, and a checkpoint for another network."""
  path = squad(tmp_path / 'squad.json', people.passages(0, size=3, copies=1))
  for flags, message in (
    (('--config.data.path=',), 'names the file of passages'),
    (('--config.data.train_groups=3',), 'must be between 2 and 2, got 3'),
    (('--config.networks.scratch.checkpoint=x',), "such as 'conv', got 'x'"),
  ):
    code, printed = run(capsys, path, tmp_path / 'run', *flags)
    assert code == 2
    assert message in printed.err
