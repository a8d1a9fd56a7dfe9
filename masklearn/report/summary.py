"""Rows of a study -> what they say: scores over seeds, gains, budgets, transfer.

Pure functions; nothing here reads files or knows how its results are shown.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from masklearn.evaluation import intervals, metrics
from masklearn.evaluation.results import Display, ResultRow
from masklearn.io.visible import isolated
from masklearn.report import workdir
from masklearn.report.workdir import Prediction

BUDGET_TOLERANCE = 0.02  # largest relative difference in masked words or updates


@dataclasses.dataclass(frozen=True)
class Result:
  """One policy on one task and split; tuples hold one value per seed."""

  task: str
  policy: str
  title: str  # of the policy
  role: str  # of the policy, see `policies.table`; '' if unknown
  policy_task: str | None
  target: str
  base: str
  split: str
  seeds: tuple[int, ...]
  em: tuple[float, ...]
  f1: tuple[float, ...]
  n: tuple[int, ...]
  updates: tuple[float, ...]
  masked_words: tuple[float, ...]
  seconds: tuple[float, ...]
  learning_seconds: tuple[float, ...]  # empty where nothing was learned

  @property
  def mean_em(self) -> float:
    """Mean exact match over the seeds."""
    return statistics.fmean(self.em)

  @property
  def transferred(self) -> bool:
    """Whether the policy was learned on another task than it is used for."""
    return self.policy_task not in (None, '', self.task)

  @property
  def upper_bound(self) -> bool:
    """Whether the policy was told what the task asks."""
    return self.role == 'reference'

  @property
  def learned(self) -> bool:
    """Whether the policy was learned on this very task."""
    return self.role == 'learned' and not self.transferred

  @property
  def name(self) -> str:
    """The policy as a reader calls it."""
    if not self.transferred:
      return self.title
    return f'{isolated(self.title)} on {isolated(str(self.policy_task))}'


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A learned policy between random masking and a reference, on shared seeds."""

  task: str
  target: str
  base: str
  seeds: tuple[int, ...]
  titles: tuple[str, str, str]  # of the learned policy, the random one, the reference
  learned: float
  random: float
  reference: float
  difference: tuple[float, float, float]  # learned - random by seed: mean, low, high
  room: tuple[float, ...]  # reference - random, of each seed

  @property
  def share(self) -> float:
    """(learned - random) / (reference - random); NaN where there is nothing to win.

    With seeds that disagree the mean room may be about zero, and a share of that could
    be anything.
    """
    if min(self.room) <= 0:
      return math.nan
    return (self.learned - self.random) / (self.reference - self.random)


@dataclasses.dataclass(frozen=True)
class Budget:
  """The smallest and the largest spending of the policies that were compared."""

  task: str
  target: str
  base: str
  what: str
  least: float
  most: float

  @property
  def equal(self) -> bool:
    """Whether the policies differ by no more than the tolerance."""
    return self.most <= self.least * (1 + BUDGET_TOLERANCE)


def gather(
  rows: Iterable[ResultRow], split: str, display: Mapping[str, Display]
) -> list[Result]:
  """Returns a Result for each policy, task, target and base model of `split`.

  Tasks and targets keep the order of the rows; within them the best comes first.
  """
  groups: dict[tuple, list[ResultRow]] = {}
  for row in rows:
    if row.split == split:
      key = (row.task, row.policy, row.policy_task, row.target, row.base)
      groups.setdefault(key, []).append(row)
  results = [_result(group, display) for group in groups.values()]
  tasks = list(dict.fromkeys(r.task for r in results))
  places = list(dict.fromkeys(section(r) for r in results))

  def order(r):
    return tasks.index(r.task), places.index(section(r)), -r.mean_em, r.name

  return sorted(results, key=order)


def section(result: Result) -> tuple[str, str, str]:
  """Returns what results must share to be compared: (task, target, base)."""
  return result.task, result.target, result.base


def sections(results: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
  """Returns the results that may be compared with each other, by section."""
  groups = itertools.groupby(results, key=section)
  return {key: list(group) for key, group in groups}


def best_random(results: Sequence[Result]) -> Result | None:
  """Returns the best of the random policies in one section, if there is any."""
  candidates = [r for r in results if r.role == 'random']
  return max(candidates, key=lambda r: r.mean_em, default=None)


def best(results: Sequence[Result]) -> Result | None:
  """Returns the policy above all others of its section, if any; bounds do not count."""
  scores = sorted((r.mean_em for r in results if not r.upper_bound), reverse=True)
  if len(scores) < 2 or scores[0] == scores[1]:
    return None
  return max(results, key=lambda r: (not r.upper_bound, r.mean_em))


def gain(result: Result, reference: Result) -> tuple[float, float, float] | None:
  """Returns mean, low, high of the paired EM differences on the shared seeds.

  Paired, because a seed sets the split and the base model of every policy.
  """
  seeds = sorted(set(result.seeds) & set(reference.seeds))
  return intervals.student(_paired(result, reference, seeds)) if seeds else None


def compare(results: Sequence[Result]) -> list[Comparison]:
  """Returns a Comparison for each learned policy beside a random one and a reference.

  Means are over the seeds that all of a section's have: a seed sets the split and the
  base model, so a mean over other seeds would be of another problem.
  """
  found = []
  for key, group in sections(results).items():
    own = sorted((r for r in group if not r.transferred), key=lambda r: r.policy)
    learned, randoms, references = (
      [r for r in own if r.role == role] for role in ('learned', 'random', 'reference')
    )
    compared = (*learned, *randoms, *references)
    if not (learned and randoms and references):
      continue
    seeds = sorted(set.intersection(*(set(r.seeds) for r in compared)))
    if not seeds:
      continue
    random, reference = (
      max(group, key=lambda r: statistics.fmean(_on(r, seeds)))
      for group in (randoms, references)
    )
    found += [
      Comparison(
        *key,
        seeds=tuple(seeds),
        titles=(one.title, random.title, reference.title),
        learned=statistics.fmean(_on(one, seeds)),
        random=statistics.fmean(_on(random, seeds)),
        reference=statistics.fmean(_on(reference, seeds)),
        difference=intervals.student(_paired(one, random, seeds)),
        room=tuple(_paired(reference, random, seeds)),
      )
      for one in learned
    ]
  return found


def budgets(results: Sequence[Result]) -> list[Budget]:
  """Returns what the policies of each section spent: masked words and updates."""
  found = []
  for key, group in sections(results).items():
    spenders = [r for r in group if any(r.updates)]  # others had no such stage
    for what in ('masked_words', 'updates'):
      spent = [statistics.fmean(v) for r in spenders if (v := getattr(r, what))]
      if len(spent) > 1:
        found.append(Budget(*key, what.replace('_', ' '), min(spent), max(spent)))
  return found


def transfer(results: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
  """Returns results by (policy, target, base) that were also used for other tasks."""
  found: dict[tuple[str, str, str], list[Result]] = {}
  for result in results:
    found.setdefault((result.policy, result.target, result.base), []).append(result)
  return {k: rs for k, rs in found.items() if any(r.transferred for r in rs)}


def by_kind(
  predictions: Iterable[Prediction],
) -> dict[str, dict[str, dict[str, tuple[float, ...]]]]:
  """Returns EM by task, run folder and kind of question, one value a seed."""
  right: dict[tuple, dict[str, list[bool]]] = {}
  for p in predictions:
    seeds = right.setdefault((p.task, p.variant, p.label), {})
    seeds.setdefault(p.seed, []).append(metrics.exact_match(p.answer, p.targets))
  table: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
  for (task, variant, label), seeds in right.items():
    means = tuple(statistics.fmean(answers) for answers in seeds.values())
    table.setdefault(task, {}).setdefault(variant, {})[label] = means
  return table


def _result(rows: Sequence[ResultRow], display: Mapping[str, Display]) -> Result:
  rows = sorted(rows, key=lambda row: row.seed)
  first = rows[0]

  def column(name):
    return tuple(v for row in rows if (v := getattr(row, name)) is not None)

  shared = 'task', 'policy', 'policy_task', 'target', 'base', 'split'
  measured = 'em', 'f1', 'n', 'updates', 'masked_words', 'seconds', 'learning_seconds'
  return Result(
    **{name: getattr(first, name) for name in shared},
    title=workdir.title(display, first.policy),
    role=display[first.policy].role if first.policy in display else '',
    seeds=column('seed'),
    **{name: column(name) for name in measured},
  )


def _paired(result: Result, reference: Result, seeds: Sequence[int]) -> list[float]:
  """Returns the differences in exact match, seed by seed."""
  pairs = zip(_on(result, seeds), _on(reference, seeds), strict=True)
  return [ours - theirs for ours, theirs in pairs]


def _on(result: Result, seeds: Sequence[int]) -> list[float]:
  """Returns the exact match on each of `seeds`."""
  em = dict(zip(result.seeds, result.em, strict=True))
  return [em[seed] for seed in seeds]
