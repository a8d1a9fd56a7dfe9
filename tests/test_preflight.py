"""What must fail is refused before anything is made or trained."""

import pytest

from experiments import study as experiment
from masklearn.study import preflight
from masklearn.types import Example, InputError, Passage, Task
from tests.runs import command


def make_task(train, validation):
  """A task whose questions are about these groups."""

  def rows(split, groups):
    return tuple(Example(f'{split}{i}', 'q', ('a',), g) for i, g in enumerate(groups))

  return Task('mine', rows('t', train), rows('v', validation), rows('x', ['z']))


def passages(*groups):
  """A passage about each group."""
  return [Passage(f'p{i}', 'text', group) for i, group in enumerate(groups)]


@pytest.mark.parametrize(
  ('train', 'validation', 'corpus', 'said'),
  [
    (['', '', ''], ['', ''], ['', ''], '0 of 3 train questions, 0 of 2 validation'),
    (['a', 'b'], ['c'], ['', ''], 'the passages name 0'),
    (['a', 'b'], ['c'], ['a', 'b'], 'no validation questions: 2 of 2'),
    (['a'], ['c'], ['a', 'c'], 'no training questions for the warm-up'),
    (['a', 'b'], ['c'], ['c', 'd'], 'no training questions for episodes: 0 of'),
  ],
)
def test_questions_that_share_no_group_with_passages_are_counted(
  train, validation, corpus, said
):
  """A policy is learned from both together."""
  with pytest.raises(InputError, match=said):
    preflight.check_joined(make_task(train, validation), passages(*corpus), 0)


def test_some_questions_without_a_group_do_no_harm():
  """What is about nothing is left out."""
  task = make_task(['', 'a', 'b', ''], ['c', ''])
  preflight.check_joined(task, passages('a', 'b', 'c', ''), 0)


def test_questions_with_a_context_need_no_group():
  """It is a passage; some warm up, others are learned from."""

  def rows(split, count):
    made = (f'{split} {i}' for i in range(count))
    return tuple(Example(one, 'q', ('a',), context=one) for one in made)

  preflight.check_joined(Task('mine', rows('t', 2), rows('v', 1), ()), passages(''), 0)
  short = Task('mine', rows('t', 1), rows('v', 1), ())
  with pytest.raises(InputError, match='no training questions for the warm-up'):
    preflight.check_joined(short, passages(''), 0)


@pytest.mark.parametrize(
  'field', ['recall.path', 'supervised.pairs', 'model.checkpoint', 'policy.checkpoint']
)
def test_a_path_that_holds_nothing_is_refused_at_once(tmp_path, capsys, field):
  """Also one that is only read at the end; no work directory is made."""
  flags = [f'--config.{field}={tmp_path}/nowhere']
  flags += ['--config.policy.encoder=bert'] * (field == 'policy.checkpoint')
  workdir = tmp_path / 'new'
  config = '--config=configs/world.py:smoke'
  assert command(experiment.main, config, f'--workdir={workdir}', *flags) == 2
  error = capsys.readouterr().err
  assert error.startswith(f'error: config.{field}: ')
  assert error.count('\n') == 1
  assert 'nowhere' in error
  assert not workdir.exists()
