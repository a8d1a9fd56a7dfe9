"""Cells, the stages that they need, and the order in which they run."""

import collections
import threading

import pytest

from masklearn.study import plan


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
  assert transfer == ('a', 'learned', 'b', 'spans', 0)
  assert transfer.variant == 'learned-b-spans'


def test_random_policies_wait_for_what_they_are_compared_with():
  """With a supervised reference, they need it and no learned policy, in all seeds."""
  names = ('random', 'random_span', 'supervised', 'learned')
  planned = plan.cells(
    ('a', 'b'), names, {'spans': 2}, (0, 1), 0, 1, reference='supervised'
  )
  found = {cell[1:] for cell in planned if cell.task == 'a'}
  once = {('random', None), ('random_span', 'a'), ('supervised', 'a')}
  expected = {(*own, 'spans', seed) for own in once for seed in (0, 1)}
  assert found == expected | {('supervised', 'b', 'spans', 0)}  # and transfer
  jobs = plan.jobs(planned, (), len(plan.STAGES) - 1, 'supervised')
  assert not [job for job in jobs if job.stage == 'learn']
  taught = plan.Job('supervise', ('supervised', 'a', 1))
  assert jobs[taught] == (plan.Job('base', (1,)),)
  for policy in ('random_span', 'supervised'):
    needs = jobs[plan.Job('pretrain', (policy, 'a', 'spans', 1))]
    assert needs == (plan.Job('base', (1,)), taught)
  assert plan.teacher('random_span', 'learned') == plan.teacher('learned', '')
  assert plan.teacher('salient', 'learned') is None


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
    between = plan.Job('pretrain', (cell.policy, 'a', 'spans', cell.seed))
    assert jobs[between] == (base, learner)
    assert jobs[plan.Job('finetune', (cell,))] == (between,)
  count = collections.Counter(job.stage for job in jobs)
  assert count['pretrain'] == count['finetune'] == 4
  assert (count['learn'], count['learn_best']) == (4, 4 if rates else 0)
  assert cell.variant == 'learned_J1-a-spans'


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
