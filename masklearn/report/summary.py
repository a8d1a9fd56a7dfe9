"""Rows of a study -> what they say: scores over seeds, gains, budgets, transfer.

Pure functions; nothing here reads files or knows how its results are shown.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Sequence

from masklearn.evaluation import intervals, metrics
from masklearn.report.records import RUN_KEYS, Prediction

UPPER_BOUND = 'oracle'
NO_MASKS = 'none'
RANDOM = ('random', 'random_span')  # the better one is what others are compared with
LEARNED = 'learned'
BUDGET_TOLERANCE = 0.02  # largest relative difference in masked words or updates

_NAMES = {
  'none': 'no intermediate stage',
  'random': 'random tokens',
  'whole_word': 'whole words',
  'random_token': 'single tokens',
  'random_span': 'random spans',
  'pmi_span': 'collocations',
  'salient': 'salient spans',
  'same_sentences_random': 'same sentences, random',
}


@dataclasses.dataclass(frozen=True)
class Result:
  """One policy on one task and split; tuples hold one value a seed."""

  task: str
  policy: str
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
    return self.policy == UPPER_BOUND

  @property
  def name(self) -> str:
    """What a reader calls the policy."""
    name = policy_name(self.policy)
    return f'{name} on {self.policy_task}' if self.transferred else name


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The learned policy between random masking and the oracle, on shared seeds."""

  task: str
  target: str
  base: str
  seeds: tuple[int, ...]
  learned: float
  random: float
  random_policy: str
  oracle: float
  difference: tuple[float, float, float]  # learned - random by seed: mean, low, high
  room: tuple[float, ...]  # oracle - random, of each seed

  @property
  def share(self) -> float:
    """(learned - random) / (oracle - random); NaN where there is nothing to win.

    A mean room about zero, of seeds that disagree, would make any share of anything.
    """
    if min(self.room) <= 0:
      return math.nan
    return (self.learned - self.random) / (self.oracle - self.random)


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


def policy_name(policy: str) -> str:
  """Returns what a reader calls `policy`."""
  return _NAMES.get(policy, policy.replace('_', ' '))


def gather(rows: Iterable[dict], split: str) -> list[Result]:
  """Returns a Result for each policy, task, target and base model of `split`.

  Tasks and targets keep the order of the rows; within them the best comes first.
  """
  groups: dict[tuple, list[dict]] = {}
  for row in rows:
    if row['split'] == split:
      key = tuple(row[k] for k in ('task', *RUN_KEYS))
      groups.setdefault(key, []).append(row)
  results = [_result(group) for group in groups.values()]
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
  """Returns the better of the random policies in one section, if there is any."""
  candidates = [r for r in results if r.policy in RANDOM]
  return max(candidates, key=lambda r: r.mean_em, default=None)


def best(results: Sequence[Result]) -> Result | None:
  """Returns the highest of two or more policies in one section; bounds do not count."""
  candidates = [r for r in results if not r.upper_bound]
  return max(candidates, key=lambda r: r.mean_em) if len(candidates) > 1 else None


def gain(result: Result, reference: Result) -> tuple[float, float, float] | None:
  """Returns mean, low, high of the paired EM differences on the shared seeds.

  Paired, because a seed sets the split and the base model of every policy.
  """
  seeds = sorted(set(result.seeds) & set(reference.seeds))
  if not seeds:
    return None
  return intervals.student(_paired(result, reference, seeds))


def compare(results: Sequence[Result]) -> list[Comparison]:
  """Returns a Comparison for each section that has learned, random and oracle.

  Means are over the seeds that all of them have: a seed sets the split and the base
  model, so a mean over other seeds would be of another problem.
  """
  found = []
  for key, group in sections(results).items():
    own = {r.policy: r for r in group if not r.transferred}
    randoms = [own[policy] for policy in RANDOM if policy in own]
    if LEARNED not in own or UPPER_BOUND not in own or not randoms:
      continue
    learned, oracle = own[LEARNED], own[UPPER_BOUND]
    compared = (learned, oracle, *randoms)
    seeds = sorted(set.intersection(*(set(r.seeds) for r in compared)))
    if not seeds:
      continue
    random = max(randoms, key=lambda r: statistics.fmean(_on(r, seeds)))
    found.append(
      Comparison(
        *key,
        seeds=tuple(seeds),
        learned=statistics.fmean(_on(learned, seeds)),
        random=statistics.fmean(_on(random, seeds)),
        random_policy=random.policy,
        oracle=statistics.fmean(_on(oracle, seeds)),
        difference=intervals.student(_paired(learned, random, seeds)),
        room=tuple(_paired(oracle, random, seeds)),
      )
    )
  return found


def budgets(results: Sequence[Result]) -> list[Budget]:
  """Returns what the policies of each section spent: masked words and updates."""
  found = []
  for key, group in sections(results).items():
    spenders = [r for r in group if r.policy != NO_MASKS]
    for what in ('masked_words', 'updates'):
      spent = [statistics.fmean(v) for r in spenders if (v := getattr(r, what))]
      if len(spent) > 1:
        found.append(Budget(*key, what.replace('_', ' '), min(spent), max(spent)))
  return found


def transfer(results: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
  """Returns results by (policy, target, base) of what was used for other tasks, too."""
  found: dict[tuple[str, str, str], list[Result]] = {}
  for result in results:
    found.setdefault((result.policy, result.target, result.base), []).append(result)
  return {k: rs for k, rs in found.items() if any(r.transferred for r in rs)}


def by_kind(
  predictions: Iterable[Prediction],
) -> dict[str, dict[str, dict[str, tuple[float, ...]]]]:
  """Returns EM by task, run folder and kind of question, one value a seed."""
  hits: dict[tuple, dict[str, list[bool]]] = {}
  for p in predictions:
    seeds = hits.setdefault((p.task, p.variant, p.label), {})
    seeds.setdefault(p.seed, []).append(metrics.exact_match(p.answer, p.targets))
  table: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
  for (task, variant, label), seeds in hits.items():
    means = tuple(statistics.fmean(answers) for answers in seeds.values())
    table.setdefault(task, {}).setdefault(variant, {})[label] = means
  return table


def _result(rows: Sequence[dict]) -> Result:
  rows = sorted(rows, key=lambda row: row['seed'])
  first = rows[0]

  def column(key):
    return tuple(row[key] for row in rows if row.get(key) is not None)

  return Result(
    **{k: first[k] for k in ('task', *RUN_KEYS, 'split')},
    seeds=column('seed'),
    em=column('em'),
    f1=column('f1'),
    n=column('n'),
    updates=column('updates'),
    masked_words=column('masked_words'),
    seconds=column('seconds'),
    learning_seconds=column('learning_seconds'),
  )


def _paired(result: Result, reference: Result, seeds: Sequence[int]) -> list[float]:
  """Returns the differences in exact match, seed by seed."""
  pairs = zip(_on(result, seeds), _on(reference, seeds), strict=True)
  return [ours - theirs for ours, theirs in pairs]


def _on(result: Result, seeds: Sequence[int]) -> list[float]:
  """Returns the exact match on each of `seeds`."""
  em = dict(zip(result.seeds, result.em, strict=True))
  return [em[seed] for seed in seeds]
