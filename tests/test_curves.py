"""Curves: found where stages log them, averaged, thinned and named."""

import math

import pytest

from masklearn import report
from masklearn.policies import POLICIES
from masklearn.report import curves, figures, workdir
from masklearn.report.workdir import History
from tests.runs import ROWS, Page, gather, row, write


def test_curves_are_found_wherever_a_stage_logged_them(tmp_path):
  """Any folder of policies is a line; shared pre-training is shown by task.

  A metric that was logged under an earlier name is shown under its own.
  """
  rows = [row('random', 0.2), row('random', 0.2, task='geography'), ROWS[6]]
  asked = [
    {'step': s, 'validation_asked_share': 0.1 * s, 'validation_outer_loss': 2.0}
    for s in (0, 2)
  ]
  loss = [{'step': s, 'loss': 3.0 - s} for s in (0, 1, 2)]
  tuned = [{'step': 0, 'loss': 1.0, 'validation_loss': math.nan}]
  logged = {
    'policies__learned-civics-J1__0': asked,
    'policies__learned-civics-J1__1': asked,
    'base__0': loss,
    'pretrain__random-spans__0': loss,
    'policies__learned-civics-J1__0__warmup': loss,
    'finetune__civics__learned-civics-spans__0__lr-0.01': loss,
    'finetune__civics__learned-civics-spans__0__lr-0.001': tuned,
  }
  write(tmp_path, rows, **{f'{run}__history': log for run, log in logged.items()})
  chosen = tmp_path / 'finetune' / 'civics' / 'learned-civics-spans' / '0' / 'done.json'
  chosen.write_text('{"learning_rate": 0.001}')
  results = gather(rows)
  panels = curves.panels(workdir.histories(tmp_path), results, {})
  assert [(p.title, p.metric, list(p.lines)) for p in panels] == [
    ('Base model', 'loss', ['']),
    ('Policy learning', 'validation_answer_precision', ['learned-civics-J1']),
    ('Policy learning', 'validation_outer_loss', ['learned-civics-J1']),
    ('Policy learning, warmup', 'loss', ['learned-civics-J1']),
    ('Intermediate pre-training, civics', 'loss', ['random tokens']),
    ('Intermediate pre-training, geography', 'loss', ['random tokens']),
    ('Fine-tuning, civics', 'loss', ['learned']),
  ]
  assert len(panels[1].lines['learned-civics-J1']) == 2
  assert panels[-1].lines['learned'] == [[(0, 1.0)]]
  path = report.write_report(tmp_path, POLICIES)
  assert (path.parent / 'policy-learning-validation_answer_precision.svg').exists()
  assert 'How the policy learned' in Page(path).words


def test_curves_are_averaged_and_thinned():
  """Seeds are averaged where all have a value; long curves become block means."""
  seeds = [[(0, 1.0), (1, 2.0), (2, 9.0)], [(0, 3.0), (1, 4.0)]]
  assert curves.mean(seeds) == [(0, 2.0), (1, 3.0)]
  thin = curves.thin([(i, float(i % 2)) for i in range(160)])
  assert len(thin) == 80
  assert thin[0] == (0.5, 0.5)
  history = History('base', (), '0', ({'step': 1, 'loss': None},))
  assert curves.panels([history], [], {}) == []


def test_of_several_trials_the_repeated_one_has_a_curve():
  """Under the name that they share; what was tried in vain is left out."""
  points = ({'step': 1, 'validation_answer_precision': 0.5},)
  histories = [
    History('policies', (f'learned_soft@{rate}-civics',), seed, points)
    for rate, seeds in (('0.002', '0'), ('1e-05', '012'))
    for seed in seeds
  ]
  repeated = workdir.without_rejected_trials(histories)
  for display, name in (({}, 'learned_soft-civics'), (POLICIES, 'soft-civics')):
    (panel,) = curves.panels(repeated, [], display)
    assert {n: len(lines) for n, lines in panel.lines.items()} == {name: 3}


def test_spread_moves_labels_apart():
  """Labels keep their order and distance and stay below the top."""
  assert figures.spread([0.1, 0.5], 0.1, 1.0) == [0.1, 0.5]
  assert figures.spread([0.1, 0.1, 0.15], 0.1, 1.0) == pytest.approx([0.1, 0.2, 0.3])
  assert figures.spread([0.9, 0.95, 1.0], 0.1, 1.0) == pytest.approx([0.8, 0.9, 1.0])
