"""Cells, the stages that they need, and the order in which they run."""

import collections
import threading

import pytest

from configs import world
from masklearn.study import build, plan
from masklearn.study.run import Study


def test_plan_has_every_seed_that_was_asked_for():
  """Cheap cells get all seeds; learned, full-sentence and transfer ones fewer."""
  names, targets = ('none', 'salient', 'learned', 'annotated'), {'spans': 3, 'full': 1}
  planned = plan.cells(('a', 'b'), names, targets, range(3), 2, transfer_seeds=1)
  count = collections.Counter(
    (cell.policy, cell.policy_task == cell.task, cell.target) for cell in planned
  )
  assert count == {
    ('none', False, 'spans'): 6,
    ('salient', False, 'spans'): 6,
    ('salient', False, 'full'): 2,
    ('annotated', True, 'spans'): 6,
    ('annotated', True, 'full'): 2,
    ('learned', True, 'spans'): 4,
    ('learned', True, 'full'): 2,
    ('learned', False, 'spans'): 2,
  }
  assert len(set(planned)) == len(planned)
  transfer = next(c for c in planned if c.policy_task not in (None, c.task))
  assert transfer == ('a', 'learned', 'b', 'spans', 0, '')
  assert transfer.variant == 'learned-b-spans'


def test_random_policies_wait_for_what_they_are_compared_with():
  """With a supervised reference, they need it and no learned policy, in all seeds."""
  names = ('random', 'random_span', 'supervised', 'learned')
  planned = plan.cells(
    ('a', 'b'), names, {'spans': 2}, (0, 1), 0, 1, reference='supervised'
  )
  found = {cell[1:] for cell in planned if cell.task == 'a'}
  once = {('random', None), ('random_span', 'a'), ('supervised', 'a')}
  expected = {(*own, 'spans', seed, '') for own in once for seed in (0, 1)}
  assert found == expected | {('supervised', 'b', 'spans', 0, '')}  # and transfer
  jobs = plan.jobs(planned, (), len(plan.STAGES) - 1, 'supervised')
  assert not [job for job in jobs if job.stage == 'learn']
  taught = plan.Job('supervise', ('supervised', 'a', 1))
  assert jobs[taught] == (plan.Job('base', (1,)),)
  for policy in ('random_span', 'supervised'):
    needs = jobs[plan.Job('pretrain', (policy, 'a', 'spans', 1, ''))]
    assert needs == (plan.Job('base', (1,)), taught)
  assert plan.teacher('random_span', 'learned') == plan.teacher('learned', '')
  assert plan.teacher('salient', 'learned') is None


def test_a_policy_that_sees_no_task_serves_all_of_them():
  """It is trained once a seed, as is what is compared with it; nothing transfers."""
  names = ('difference', 'random_span')
  planned = plan.cells(('a', 'b'), names, {'spans': 1}, (0,), 1, 1, 'difference')
  assert len(planned) == 4
  assert {cell.policy_task for cell in planned} == {None}
  jobs = plan.jobs(planned, (), len(plan.STAGES) - 1, 'difference')
  taught = plan.Job('count', ('difference', None, 0))
  assert [job for job in jobs if job.stage == 'count'] == [taught]
  for name in names:
    between = plan.Job('pretrain', (name, None, 'spans', 0, ''))
    assert jobs[between] == (plan.Job('base', (0,)), taught)


@pytest.mark.parametrize('names', [('excess_loss',), ('excess_loss', 'random')])
def test_a_policy_that_is_scored_waits_for_another_pretraining(names):
  """In the main format, of its seed; the study may have that as a policy, or not."""
  planned = plan.cells(('a',), names, {'full': 2, 'spans': 1}, (0, 1), 1, 1)
  jobs = plan.jobs(planned, (), len(plan.STAGES) - 1)
  for seed in (0, 1):
    start = plan.Job('base', (seed,))
    other = plan.Job('pretrain', ('random', None, 'full', seed, ''))
    taught = plan.Job('score', ('excess_loss', None, seed))
    assert jobs[taught] == (start, other)
    assert jobs[other] == (start,)
    between = plan.Job('pretrain', ('excess_loss', None, 'full', seed, ''))
    assert jobs[between] == (start, taught)
  tuned = {job.arguments[0].policy for job in jobs if job.stage == 'finetune'}
  assert tuned == set(names)
  until = plan.jobs(planned, (), plan.STAGES.index('policies'))
  assert {job.stage for job in until} == {'base', 'pretrain', 'score'}


def test_other_settings_are_of_what_is_pretrained_for_its_own_task():
  """In the main format, for as long as others; after the same policy."""
  names, targets = (
    ('none', 'salient', 'random_longer', 'learned'),
    {'spans': 1, 'full': 1},
  )
  planned = plan.cells(('a', 'b'), names, targets, (0,), 1, transfer_seeds=1)
  others = plan.in_settings(planned, ('x1', 'x10'), 'spans')
  assert {c.variant for c in others if c.task == 'a'} == {
    'salient-spans-x1', 'salient-spans-x10',
    'learned-a-spans-x1', 'learned-a-spans-x10',
  }  # fmt: skip
  assert len(others) == 2 * 2 * 2
  jobs = plan.jobs([*planned, *others], (), len(plan.STAGES) - 1)
  job = plan.Job('pretrain', ('learned', 'a', 'spans', 0, 'x10'))
  assert jobs[job] == (plan.Job('base', (0,)), plan.Job('learn', ('learned', 'a', 0)))
  assert job.name == 'pretrain-learned-a-spans-0-x10'
  assert len({job.name for job in jobs}) == len(jobs)


@pytest.mark.parametrize('variant', ['', 'full'])
def test_the_demo_has_the_jobs_that_it_always_had(variant, tmp_path):
  """By name, and in the same folders: a study that is half done goes on."""
  study = Study(world.get_config(variant), tmp_path)
  jobs = study.jobs(plan.STAGES[-1])
  names = {job.name for job in jobs}
  assert names >= {
    'base-0', 'learn-learned-civics-0', 'pretrain-random-None-spans-0',
    'pretrain-learned-civics-spans-0', 'finetune-civics-none-None-spans-1',
  }  # fmt: skip
  found = {job.arguments[0] for job in jobs if job.stage == 'finetune'}
  for task, policy, knows, target, seed, setting in found:
    name = '-'.join(map(str, (task, policy, knows, target, seed)))
    assert f'finetune-{name}' in names
    own = f'{policy}-{knows}-{target}' if knows else f'{policy}-{target}'
    assert plan.Cell(task, policy, knows, target, seed, setting).variant == own
  assert len(names) == len(jobs) == {'': 39, 'full': 289}[variant]


CELLS = plan.cells(('a',), ('none', 'salient', 'learned'), {'spans': 2}, (0, 1), 1, 0)


def test_stages_run_once_and_after_what_they_need():
  """The base of a seed serves all of its cells; nobody waits for an idle worker."""
  besides = plan.ablations(('a',), ('J1',), (0,), ())
  jobs = plan.jobs(CELLS, besides, len(plan.STAGES) - 1)
  count = collections.Counter(job.stage for job in jobs)
  assert count == {'base': 2, 'learn': 2, 'pretrain': 3, 'finetune': 5}
  seen, both = [], threading.Barrier(2, timeout=60)

  def run(job, *results):
    if job.stage == 'base':
      both.wait()  # passes only if both bases run at the same time
    assert results == jobs[job]
    return job

  for job, result in plan.execute(jobs, run, 2, lambda: None):
    assert job == result
    assert set(jobs[job]) <= set(seen)
    seen.append(job)
  assert sorted(seen) == sorted(jobs)


def test_the_first_seed_tries_what_the_others_follow():
  """Every learning rate is tried once; another seed waits for all of them."""
  besides = plan.ablations(('a',), ('soft', 'J1'), (3, 4, 5), (0.1, 0.02))
  jobs = plan.jobs((), besides, plan.STAGES.index('policies'))
  tried = {plan.Job('learn', (f'learned_soft@{r}', 'a', 3)) for r in (0.1, 0.02)}
  for seed in (4, 5):
    needs = jobs[plan.Job('learn_best', ('learned_soft', 'a', seed))]
    assert needs[0] == plan.Job('base', (seed,))
    assert set(needs[1:]) == tried
  learned = [job for job in jobs if job.stage in ('learn', 'learn_best')]
  assert len(learned) == 2 * (2 + 2)


@pytest.mark.parametrize('rates', [(), (0.1, 0.02)])
def test_ablations_that_are_deployed_have_cells(rates):
  """Pre-trained with what was learned best, in the first seed as in the others."""
  besides = plan.ablations(('a',), ('soft', 'J1'), (3, 4), rates, deployed=True)
  planned = plan.deployed(besides, 'spans')
  expected = [
    plan.Cell('a', f'learned_{name}', 'a', 'spans', seed)
    for name in ('soft', 'J1')
    for seed in (3, 4)
  ]
  assert planned == expected
  jobs = plan.jobs(planned, besides, len(plan.STAGES) - 1)
  for cell in planned:
    base = plan.Job('base', (cell.seed,))
    stage = 'learn_best' if rates else 'learn'
    learner = plan.Job(stage, (cell.policy, 'a', cell.seed))
    tried = [plan.Job('learn', (f'{cell.policy}@{r}', 'a', 3)) for r in rates]
    assert jobs[learner] == (base, *tried)
    between = plan.Job('pretrain', (cell.policy, 'a', 'spans', cell.seed, ''))
    assert jobs[between] == (base, learner)
    assert jobs[plan.Job('finetune', (cell,))] == (between,)
  count = collections.Counter(job.stage for job in jobs)
  assert count['pretrain'] == count['finetune'] == 4
  assert (count['learn'], count['learn_best']) == (4, 4 if rates else 0)
  assert cell.variant == 'learned_J1-a-spans'


def test_ablations_are_deployed_in_the_main_setting_alone():
  """Other settings are of the policies that the study is about."""
  c = world.get_config()
  c.study.update(exposures=(3.0,), ablation_seeds=1, deploy_ablations=True)
  c.study.ablations = {'J1': {'fine_tune_steps': 1}}
  cells, _ = build.planned(c)
  assert {cell.setting for cell in cells if cell.policy == 'learned_J1'} == {''}
  assert {cell.setting for cell in cells if cell.policy == 'learned'} == {'', 'x3'}


def test_nothing_goes_beyond_the_stage_that_was_asked_for():
  """Up to the policies there are bases and policies, for the corpus nothing."""
  stages = {job.stage for job in plan.jobs(CELLS, (), plan.STAGES.index('policies'))}
  assert stages == {'base', 'learn'}
  assert plan.jobs(CELLS, (), plan.STAGES.index('corpus')) == {}


def test_a_failure_stops_what_runs_and_starts_nothing():
  """The other worker is told before it is waited for."""
  jobs = {plan.Job('base', (i,)): () for i in range(4)}
  told, both, begun = threading.Event(), threading.Barrier(2, timeout=60), []

  def run(job):
    begun.append(job)
    both.wait()
    if job.arguments == (0,):
      raise ValueError('broken')
    assert told.wait(60)

  with pytest.raises(ValueError, match='broken'):
    list(plan.execute(jobs, run, 2, told.set))
  assert len(begun) == 2
