"""What a study runs: its cells, the stages that they need, and which comes first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

from masklearn.policies import POLICIES, Entry

STAGES = ('corpus', 'base', 'policies', 'pretrain', 'finetune')
# What runs first where both can.
URGENT = (
  'base', 'count', 'score', 'supervise', 'learn', 'learn_best', 'finetune', 'pretrain',
)  # fmt: skip


def teacher(policy: str, reference: str) -> str | None:
  """The policy that must be trained before `policy` can be used; None for none.

  `reference` is the one that policies which need a reference are compared with.

  >>> teacher('same_sentences_random', 'learned'), teacher('salient', 'learned')
  ('learned', None)
  """
  needs, trained = entry(policy).needs, entry(policy).trained_by
  if 'reference' in needs:
    return reference
  return policy if trained else None


def folder(kind: str, task: str | None) -> str:
  """The folder of a policy, of a task if it is given one.

  >>> folder('learned', 'civics'), folder('difference', None)
  ('learned-civics', 'difference')
  """
  return '-'.join(filter(None, (kind, task)))


def policy_of(kind: str) -> str:
  """The policy of a kind, POLICY[_ABLATION[@RATE]].

  >>> policy_of('learned_J1@0.002')
  'learned'
  """
  names = [n for n in POLICIES if kind == n or kind.startswith(f'{n}_')]
  return max(names, key=len)


def entry(kind: str) -> Entry:
  """The entry of a kind's policy in the table.

  >>> entry('learned_J1').trained_by
  'learn'
  """
  return POLICIES[policy_of(kind)]


def title(kind: str) -> str:
  """What a kind of policy is called in a report.

  >>> title('learned_J1'), title('salient')
  ('learned, J1', 'salient spans')
  """
  change = kind.removeprefix(policy_of(kind)).removeprefix('_')
  return ', '.join(filter(None, (entry(kind).title, change)))


def ablation_kind(name: str) -> str:
  """The kind of an ablation: of the first policy of the table that is meta-learned.

  >>> ablation_kind('J1')
  'learned_J1'
  """
  return f'{first_learned()}_{name}'


def first_learned() -> str:
  """The first policy of the table that is meta-learned."""
  return next(n for n, entry in POLICIES.items() if entry.trained_by == 'learn')


class Cell(NamedTuple):
  """One row of the grid: a policy's pre-training, fine-tuned on a task."""

  task: str
  policy: str  # or the kind of an ablation that is deployed
  policy_task: str | None
  target: str
  seed: int
  setting: str = ''  # of pre-training, a key of `settings.pretraining`

  @property
  def variant(self) -> str:
    """The folder of the cell's pre-training."""
    named = self.policy, self.policy_task, self.target, self.setting
    return '-'.join(filter(None, named))


class Job(NamedTuple):
  """One stage to run: of `URGENT`, and its arguments."""

  stage: str
  arguments: tuple

  @property
  def name(self) -> str:
    """What tells a job from all others, for a file.

    >>> Job('learn', ('learned', 'civics', 0)).name
    'learn-learned-civics-0'
    """
    return '-'.join(map(str, (self.stage, *_flat(self.arguments))))


def _flat(arguments):
  """Yields arguments, those of a cell one by one; the main setting has no name."""
  for argument in arguments:
    parts = argument if isinstance(argument, Cell) else (argument,)
    yield from (part for part in parts if part != '')


class Ablation(NamedTuple):
  """A policy that is learned in another way, to be compared in the report."""

  kind: str
  task: str
  seed: int
  # Kinds that another seed has tried: this one is learned as the best of them.
  trials: tuple[str, ...] = ()
  trial_seed: int = 0


def ablations(
  task_names: Iterable[str],
  names: Iterable[str],
  seeds: Iterable[int],
  learning_rates: Iterable[float],
  deployed: bool = False,
) -> list[Ablation]:
  """The ablations of policy learning; the first seed chooses the learning rate.

  Args:
    task_names: of the tasks.
    names: of the ablations.
    seeds: of each.
    learning_rates: to try; with none, an ablation is as it is configured.
    deployed: whether the first seed, too, needs the best of what it has tried.
  """
  planned = []
  for task in task_names:
    for name in names:
      kind = ablation_kind(name)
      trials = tuple(f'{kind}@{rate:g}' for rate in learning_rates)
      for i, seed in enumerate(seeds):
        if i == 0 and trials:
          planned += [Ablation(trial, task, seed) for trial in trials]
        if i or deployed or not trials:
          planned.append(Ablation(kind, task, seed, trials, seeds[0]))
  return planned


def deployed(besides: Iterable[Ablation], target: str) -> list[Cell]:
  """The cells in which models are pre-trained with the policies of ablations.

  Args:
    besides: of `ablations`; what is but tried has no cell.
    target: the main output format.
  """
  kept = [ablation for ablation in besides if '@' not in ablation.kind]
  return [Cell(a.task, a.kind, a.task, target, a.seed) for a in kept]


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
    reference: a policy that is trained, see `teacher`.
  """
  task_names, main = tuple(task_names), next(iter(targets))
  planned = []
  for i, seed in enumerate(seeds):
    for task in task_names:
      for policy in policy_names:
        used, taught = entry(policy), teacher(policy, reference)
        learned = taught and entry(taught).trained_by == 'learn'
        if learned and i >= learned_seeds:
          continue
        sees_task = entry(taught).sees_task if taught else 'answers' in used.needs
        own = task if sees_task else None
        for target, count in targets.items():
          if i < count and (used.make or target == main):
            planned.append(Cell(task, policy, own, target, seed))
        if used.trained_by and own and i < transfer_seeds:
          elsewhere = [other for other in task_names if other != task]
          planned += [Cell(task, policy, other, main, seed) for other in elsewhere]
  return planned


def in_settings(
  planned: Iterable[Cell], names: Iterable[str], target: str
) -> list[Cell]:
  """Some cells once more in other settings of pre-training, setting by setting.

  Those that are pre-trained, for as long as others, by a policy of their own task or of
  none.

  Args:
    planned: the cells of the main setting.
    names: of the settings.
    target: the main output format; cells of another one stay as they are.
  """
  chosen = [
    cell
    for cell in planned
    if entry(cell.policy).make
    and entry(cell.policy).equal == 'updates'
    and cell.target == target
    and cell.policy_task in (None, cell.task)
  ]
  return [cell._replace(setting=name) for name in names for cell in chosen]


def jobs(
  planned: Iterable[Cell],
  besides: Iterable[Ablation],
  depth: int,
  reference: str = 'learned',
) -> dict[Job, tuple[Job, ...]]:
  """The stages of some cells, each with those whose results it is given.

  Args:
    planned: the cells, those of `deployed` among them.
    besides: the ablations.
    depth: nothing beyond STAGES[depth].
    reference: a policy that is trained, see `teacher`.
  """
  found: dict[Job, tuple[Job, ...]] = {}
  planned = list(planned)
  if depth < STAGES.index('base'):
    return found
  learners = {job.arguments: job for job, _ in map(_learner, besides)}
  for cell in planned:
    start = Job('base', (cell.seed,))
    found[start] = ()
    needs = (start,)
    taught = teacher(cell.policy, reference)
    if taught and depth >= STAGES.index('policies'):
      arguments = taught, cell.policy_task, cell.seed
      trained = learners.get(arguments)
      trained = trained or Job(entry(taught).trained_by, arguments)
      found[trained] = () if trained.stage == 'count' else (start,)
      if after := entry(taught).after:
        # Of the main format, which is that of the first cell.
        other = Job('pretrain', (after, None, planned[0].target, cell.seed, ''))
        found[other] = (start,)
        found[trained] = (start, other)
      needs = (start, trained)
    if entry(cell.policy).make and depth >= STAGES.index('pretrain'):
      arguments = cell.policy, cell.policy_task, cell.target, cell.seed, cell.setting
      between = Job('pretrain', arguments)
      found[between] = needs
      needs = (between,)
    if depth >= STAGES.index('finetune'):
      found[Job('finetune', (cell,))] = needs
  if depth >= STAGES.index('policies'):
    for ablation in besides:
      start = Job('base', (ablation.seed,))
      found.setdefault(start, ())
      job, tried = _learner(ablation)
      found[job] = (start, *tried)
  return found


def _learner(ablation):
  """The job that learns an ablation's policy, and those whose results it is given."""
  kind, task, seed, trials, trial_seed = ablation
  tried = tuple(Job('learn', (trial, task, trial_seed)) for trial in trials)
  return Job('learn_best' if tried else 'learn', (kind, task, seed)), tried


def without(
  planned: Mapping[Job, tuple[Job, ...]], impossible: Mapping[Job, str]
) -> tuple[dict[Job, tuple[Job, ...]], dict[Job, str]]:
  """Jobs without those that cannot be done, and why for each that falls with one.

  Args:
    planned: each with those that it needs.
    impossible: reasons by job.

  >>> first, second = Job('count', ('a',)), Job('pretrain', ('a',))
  >>> without({first: (), second: (first,)}, {first: 'nothing to count'})[1][second]
  'nothing to count'
  """
  reasons = {job: why for job, why in impossible.items() if job in planned}
  while True:
    falling = {
      job: reasons[need]
      for job, needs in planned.items()
      for need in needs
      if need in reasons and job not in reasons
    }
    if not falling:
      rest = {job: needs for job, needs in planned.items() if job not in reasons}
      return rest, reasons
    reasons |= falling


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
