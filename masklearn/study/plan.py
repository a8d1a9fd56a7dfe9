"""What a study runs: its cells, the stages that they need, and which comes first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

STAGES = ('corpus', 'base', 'policies', 'pretrain', 'finetune')
# What runs first where both can.
URGENT = ('base', 'supervise', 'learn', 'follow', 'finetune', 'pretrain')
UNTRAINED = 'none'  # no intermediate stage at all
TRAINED = ('learned', 'supervised')  # policies with parameters, of a task
COMPARED = ('random_span', 'same_sentences_random')  # with one of these


def teacher(policy: str, reference: str) -> str | None:
  """The policy that must be trained before `policy` can be used; None for none.

  `reference` is the one that those of `COMPARED` are compared with.
  """
  if policy in COMPARED:
    return reference
  return policy if policy in TRAINED else None


class Cell(NamedTuple):
  """One row of the grid: a policy's pre-training, fine-tuned on a task."""

  task: str
  policy: str
  policy_task: str | None
  target: str
  seed: int

  @property
  def variant(self) -> str:
    """The folder of the cell's pre-training."""
    return '-'.join(filter(None, (self.policy, self.policy_task, self.target)))


class Job(NamedTuple):
  """One stage to run: the name of a method of `Study`, and its arguments."""

  stage: str
  arguments: tuple


class Other(NamedTuple):
  """A policy that is learned in another way, to be compared in the report."""

  task: str
  seed: int
  kind: str
  # Kinds that another seed has tried: this one follows the best of them.
  trials: tuple[str, ...] = ()
  trial_seed: int = 0


def others(
  task_names: Iterable[str],
  names: Iterable[str],
  seeds: Iterable[int],
  learning_rates: Iterable[float],
) -> list[Other]:
  """The other ways to learn a policy; the first seed tries what the rest follows.

  Args:
    task_names: of the tasks.
    names: of the ways.
    seeds: of each.
    learning_rates: to try; with none, a way is as it is configured.
  """
  planned = []
  for task in task_names:
    for name in names:
      kind = f'learned_{name}'
      trials = tuple(f'{kind}@{rate:g}' for rate in learning_rates)
      for i, seed in enumerate(seeds):
        if i == 0 and trials:
          planned += [Other(task, seed, trial) for trial in trials]
        else:
          planned.append(Other(task, seed, kind, trials, seeds[0]))
  return planned


def cells(
  task_names: Iterable[str],
  policy_names: Iterable[str],
  targets: Mapping[str, int],
  seeds: Iterable[int],
  learned_seeds: int,
  transfer_seeds: int,
  reference: str = 'learned',
) -> list[Cell]:
  """The cells of a study, seed by seed.

  Args:
    task_names: of the tasks.
    policy_names: of the policies.
    targets: how many seeds each output format gets; the first is the main one.
    seeds: of everything that is cheap.
    learned_seeds: how many of the learned policy, and of those compared with it.
    transfer_seeds: how many of a policy trained on one task and used for another.
    reference: of `TRAINED`, see `teacher`.
  """
  task_names, main = tuple(task_names), next(iter(targets))
  planned = []
  for i, seed in enumerate(seeds):
    for task in task_names:
      for policy in policy_names:
        taught = teacher(policy, reference)
        if taught == 'learned' and i >= learned_seeds:
          continue
        own = task if taught or policy == 'oracle' else None
        for target, count in targets.items():
          if i < count and (policy != UNTRAINED or target == main):
            planned.append(Cell(task, policy, own, target, seed))
        if policy in TRAINED and i < transfer_seeds:
          others = [other for other in task_names if other != task]
          planned += [Cell(task, policy, other, main, seed) for other in others]
  return planned


def jobs(
  planned: Iterable[Cell],
  besides: Iterable[Other],
  depth: int,
  reference: str = 'learned',
) -> dict[Job, tuple[Job, ...]]:
  """The stages of some cells, each with those whose results it is given.

  Args:
    planned: the cells.
    besides: what is learned in other ways.
    depth: nothing beyond STAGES[depth].
    reference: of `TRAINED`, see `teacher`.
  """
  found: dict[Job, tuple[Job, ...]] = {}
  if depth < STAGES.index('base'):
    return found
  for cell in planned:
    start = Job('base', (cell.seed,))
    found[start] = ()
    needs = (start,)
    taught = teacher(cell.policy, reference)
    if taught and depth >= STAGES.index('policies'):
      about = cell.policy_task, cell.seed
      trained = {
        'learned': Job('learn', (*about, 'learned')),
        'supervised': Job('supervise', about),
      }[taught]
      found[trained] = (start,)
      needs = (start, trained)
    if cell.policy != UNTRAINED and depth >= STAGES.index('pretrain'):
      between = Job('pretrain', (cell.policy, cell.policy_task, cell.target, cell.seed))
      found[between] = needs
      needs = (between,)
    if depth >= STAGES.index('finetune'):
      found[Job('finetune', (cell,))] = needs
  if depth >= STAGES.index('policies'):
    for other in besides:
      start = Job('base', (other.seed,))
      found.setdefault(start, ())
      tried = tuple(
        Job('learn', (other.task, other.trial_seed, trial)) for trial in other.trials
      )
      stage = 'follow' if tried else 'learn'
      found[Job(stage, (other.task, other.seed, other.kind))] = (start, *tried)
  return found


def execute(
  waiting: Mapping[Job, tuple[Job, ...]],
  run: Callable[..., Any],
  workers: int,
  stop: Callable[[], None],
) -> Iterator[tuple[Job, Any]]:
  """Runs jobs in threads, some at a time, and yields each with its result.

  Args:
    waiting: the jobs, each with those that it needs.
    run: `run(job, *results)` with the results of what it needs, in that order.
    workers: jobs at a time.
    stop: called at the end, and after a failure, before what still runs is awaited.
  """
  waiting = dict(waiting)
  finished: dict[Job, Any] = {}
  running: dict[futures.Future, Job] = {}
  pool = futures.ThreadPoolExecutor(workers)
  try:
    while waiting or running:
      # Of what can begin, the stage that most of the rest waits for comes first.
      ready = [job for job, needs in waiting.items() if finished.keys() >= set(needs)]
      ready.sort(key=lambda job: URGENT.index(job.stage))
      for job in ready[: workers - len(running)]:
        results = [finished[need] for need in waiting.pop(job)]
        running[pool.submit(run, job, *results)] = job
      ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
      for future in ended:
        job = running.pop(future)
        finished[job] = future.result()
        yield job, finished[job]
  finally:
    # What runs saves and ends; what waits does not begin.
    stop()
    pool.shutdown(cancel_futures=True)
