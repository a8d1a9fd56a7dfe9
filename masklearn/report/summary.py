"""Rows of a study -> what they say: scores over seeds, gains, budgets, transfer.

Pure functions; nothing here reads files or knows how its results are shown.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence

from masklearn.evaluation import metrics, overlap
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
  setting: str  # of pre-training, '' for the main comparison
  corpus: str  # that it was on, 'own', 'unrelated' or 'mixed'
  split: str
  seeds: tuple[int, ...]
  em: tuple[float, ...]
  f1: tuple[float, ...]
  n: tuple[int, ...]
  updates: tuple[float, ...]
  exposures: tuple[float, ...]  # of a passage in pre-training; empty where unknown
  masked_words: tuple[float, ...]
  seconds: tuple[float, ...]
  learning_seconds: tuple[float, ...]  # empty where nothing was learned
  kept_loss: tuple[float, ...]  # on the base model's passages; empty where unknown
  forgotten: tuple[float, ...]  # how much more that is than of the base model
  unseen: tuple[float, ...]  # exact match where no training question has the answer
  place: int  # among the policies of the study, in its order
  equal: str  # what it has as much of as others, 'updates' or 'compute'
  ratio: float  # test groups to training groups, where seeds split them anew
  # For each seed the exact match of each question by id, empty where that is unknown;
  # and what each question is about.
  questions: tuple[Mapping[str, float], ...] = dataclasses.field(
    default=(), compare=False
  )
  groups: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

  @property
  def mean_em(self) -> float:
    """Mean exact match over the seeds."""
    return statistics.fmean(self.em)

  @property
  def transferred(self) -> bool:
    """Whether the policy was learned on another task than it is used for."""
    return self.policy_task not in (None, '', self.task)

  @property
  def reference(self) -> bool:
    """Whether the policy was told where the answers stand: no competitor."""
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
  rows: Iterable[ResultRow],
  split: str,
  display: Mapping[str, Display],
  ratios: Mapping[str, float] | None = None,
  answers: Iterable[Prediction] = (),
) -> list[Result]:
  """Returns a Result for each policy, task, target, base model and setting of `split`.

  Tasks and targets keep the order of the rows; within them the best comes first.

  Args:
    rows: of results.jsonl; those that are compared have one setting.
    split: 'validation' or 'test'.
    display: how policies are shown, in the order of the study.
    ratios: task -> test groups to training groups; 0 where that is not known.
    answers: to the questions of the split.
  """
  known = _known(answers)
  groups: dict[tuple, list[ResultRow]] = {}
  for row in rows:
    if row.split == split:
      named = row.policy, row.policy_task, row.target, row.base, row.setting
      groups.setdefault((row.task, *named), []).append(row)
  results = [_result(g, display, ratios or {}, known) for g in groups.values()]
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


def budgets(results: Sequence[Result]) -> list[Budget]:
  """Returns what the policies of each section spent: masked words and updates.

  Without the updates of policies that are to be equal in something else.
  """
  found = []
  for key, group in sections(results).items():
    spenders = [r for r in group if any(r.updates)]  # others had no such stage
    for what in ('masked_words', 'updates'):
      held = [r for r in spenders if what != 'updates' or r.equal == 'updates']
      spent = [statistics.fmean(v) for r in held if (v := getattr(r, what))]
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
  predictions: Iterable[Prediction], scored_by: Mapping[str, str] | None = None
) -> dict[str, dict[str, dict[str, tuple[float, ...]]]]:
  """Returns scores by task, run folder and kind of question, one value a seed.

  Of tasks whose questions are of some kind.

  Args:
    predictions: the answers.
    scored_by: task -> its metric; EM where it is none that is known.
  """
  right: dict[tuple, dict[str, list[float]]] = {}
  predictions = list(predictions)
  labelled = {p.task for p in predictions if p.label}
  for p in (p for p in predictions if p.task in labelled):
    score = metrics.METRICS.get((scored_by or {}).get(p.task, ''), metrics.exact_match)
    seeds = right.setdefault((p.task, p.variant, p.label), {})
    seeds.setdefault(p.seed, []).append(float(score(p.answer, p.targets)))
  table: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
  for (task, variant, label), seeds in right.items():
    means = tuple(statistics.fmean(answers) for answers in seeds.values())
    table.setdefault(task, {}).setdefault(variant, {})[label] = means
  return table


def _unseen(rows):
  found = [(row.overlaps or {}).get(overlap.NONE) for row in rows]
  return tuple(split['em'] for split in found if split and split['n'])


def _known(answers):
  """The exact match of each question, and its group, by task, run folder and seed."""
  found: dict[tuple, tuple[dict, dict]] = {}
  for p in answers:
    scores, groups = found.setdefault((p.task, p.variant, p.seed), ({}, {}))
    scores[p.id] = float(metrics.exact_match(p.answer, p.targets))
    groups[p.id] = p.group
  return found


def _result(rows, display, ratios, known) -> Result:
  rows = sorted(rows, key=lambda row: row.seed)
  first = rows[0]

  def column(name):
    return tuple(v for row in rows if (v := getattr(row, name)) is not None)

  own = [known.get((r.task, workdir.variant(r), str(r.seed))) for r in rows]
  answered = all(own)
  named = 'policy', 'policy_task', 'target', 'base', 'setting', 'corpus', 'split'
  spent = 'updates', 'exposures', 'masked_words', 'seconds', 'learning_seconds'
  measured = 'em', 'f1', 'n', *spent, 'kept_loss', 'forgotten'
  shown = display.get(first.policy, Display(''))
  return Result(
    task=first.task,
    **{name: getattr(first, name) for name in named},
    title=workdir.title(display, first.policy),
    role=shown.role,
    equal=shown.equal,
    seeds=column('seed'),
    **{name: column(name) for name in measured},
    unseen=_unseen(rows),
    place=[*display, first.policy].index(first.policy),
    ratio=ratios.get(first.task, 0.0),
    questions=tuple(scores for scores, _ in own) if answered else (),
    groups=dict(item for _, g in own for item in g.items()) if answered else {},
  )
