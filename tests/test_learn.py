"""Learning a policy in other ways, and when what was learned counts."""

import itertools
import types

import numpy as np
import pytest

from configs import world
from experiments import learn_policy
from masklearn import report
from masklearn.io import files
from masklearn.study import learn
from masklearn.study.parameters import Parameters
from masklearn.study.start import run_study
from masklearn.types import Example, Task
from tests.runs import command
from tests.test_study import SMALL


@pytest.mark.parametrize(
  ('difference', 'expected'),
  [(0.0, False), (-1.0, False), (0.25, False), (0.35, True), (9.0, True)],
)
def test_gains_surpass_others_beyond_noise(difference, expected):
  """Of 100 pairs that differ by one more or less, three standard errors are 0.3."""
  # What pairs share does not count.
  others = np.random.default_rng(0).normal(0, 50, 100)
  noise = np.tile([1.0, -1.0], 50)
  assert learn.surpasses(others + difference + noise, others) == expected
  assert not learn.surpasses(others, others)
  assert not learn.surpasses(others[:1], others[:1])


def test_a_policy_is_chosen_by_what_it_ascends():
  """One that teaches a lot of few questions, before one that teaches all a little."""
  found = {
    'few': (np.array([[30.0, 0.0], [0.0, 0.0]]), 1.0),
    'all': (np.array([[3.0, 3.0], [3.0, 3.0]]), 1.0),
  }
  checks = object.__new__(learn._Checks)
  checks._probe, checks._cosine = found.get, False
  scores = {theta: checks.metrics(theta)['score'] for theta in found}
  assert scores == {'few': 7.5, 'all': 3.0}
  assert checks.gains('few').tolist() == [np.arcsinh(30) / 2, 0]


def test_without_groups_the_validation_episodes_are_watched():
  """Passages that name no group are about no question that names none."""
  asked = (Example('v', 'Who?', ('he',), context='He.'),)
  task = Task('mine', (), asked, asked)
  setup = types.SimpleNamespace(groups=('', '', 'x'))
  episodes = types.SimpleNamespace(rows=np.array([1, 3, 3]), texts=np.copy)
  unseen = learn._Unseen(None, setup, episodes, task, None, None)
  assert unseen._some.tolist() == unseen._tested.tolist() == [1, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
  'flags',
  [
    ('relaxation=score', 'samples=1', 'baseline=learned', 'fine_tune_steps=1',
     'held_out=True'),
    ('relaxation=soft', 'inner_steps=2', 'inner_optimizer=momentum',
     'trainable=decoder', 'mode=truncated', 'cosine=True'),
  ],
)  # fmt: skip
def test_a_policy_can_be_learned_in_other_ways(tmp_path, capsys, flags):
  """Two updates by the score function, and by soft draws with all that they take."""
  flags = [f'--config.learn.{flag}' for flag in flags]
  workdir = tmp_path / 'new'
  assert command(learn_policy.main, *SMALL, *flags, f'--workdir={workdir}') == 0
  assert 'WARNING' not in capsys.readouterr().err
  directory = workdir / 'policies' / 'learned-habits' / '0'
  history = files.read_jsonl(directory / 'history.jsonl')
  assert history[-1]['influence'] > 0
  assert history[-1]['snr'] > 0
  fall = files.read_object(directory / 'done.json')['tuning_fall']
  assert (fall is not None) == any('fine_tune_steps' in flag for flag in flags)
  assert fall is None or 0 < fall < 1
  cosines = [row['validation_cosine'] for row in history if 'validation_cosine' in row]
  assert all(0.01 < abs(cosine) < 1 for cosine in cosines)
  assert bool(cosines) == any('cosine' in flag for flag in flags)


@pytest.mark.slow
def test_ablations_are_deployed_as_the_best_of_what_was_tried(tmp_path, monkeypatch):
  """Both seeds pre-train with the rate of the first one's best validation score."""
  c, taken = world.get_config('smoke'), []
  c.policy.names = 'random,annotated'
  c.study.update(seeds=2, target_seeds=(2,), ablation_seeds=2, deploy_ablations=True)
  c.study.ablation_learning_rates = (5e-3, 2e-3)
  c.study.ablations = {'J1': {'fine_tune_steps': 1}}
  theta = Parameters.theta

  def noted(params, policy, task, seed):
    taken.append((policy, task, seed))
    return theta(params, policy, task, seed)

  monkeypatch.setattr(Parameters, 'theta', noted)
  run_study(c, tmp_path / 'new')
  tried = {
    rate: files.read_object(folder / '0' / 'done.json')['score']
    for rate in ('0.005', '0.002')
    for folder in [tmp_path / 'new' / 'policies' / f'learned_J1@{rate}-civics']
  }
  best = f'learned_J1@{max(tried, key=tried.get)}'
  deployed = {one for one in taken if one[0].startswith('learned')}
  assert deployed == {(best, 'civics', 0), (best, 'civics', 1)}
  rows = files.read_jsonl(tmp_path / 'new' / 'results.jsonl')
  rows = [row for row in rows if row['policy'] == 'learned_J1']
  assert {(row['seed'], row['split']) for row in rows} == set(
    itertools.product((0, 1), ('validation', 'test'))
  )
  assert all(row['learning_seconds'] > 0 and row['policy_task'] for row in rows)
  page = report.write_report(tmp_path / 'new').read_text(encoding='utf-8')
  assert 'learned, J1' in page
  assert files.read_object(tmp_path / 'new' / 'study.json')['display'][
    'learned_J1'
  ] == {'title': 'learned, J1', 'role': 'learned', 'equal': 'updates'}
