"""How a study was run -> HTML: its command, data, budgets and time."""

import math
from collections.abc import Sequence

from masklearn.evaluation.results import ResultRow, StageRecord, StudyRecord
from masklearn.io import secrets
from masklearn.io.visible import isolated
from masklearn.report import findings, summary, tables, workdir
from masklearn.report.page import Markup, element
from masklearn.report.summary import Result

_SECRETS = 'What looked like a password or key was left out of the command.'


def overview(study: StudyRecord, rows: Sequence[ResultRow]) -> Markup:
  """Returns what one needs to run the study again, as far as it was recorded."""
  commits = ', '.join(map(isolated, dict.fromkeys(row.commit for row in rows)))
  configs = ', '.join(map(isolated, dict.fromkeys(row.config for row in rows)))
  corpus, budget = study.corpus, study.budget
  sizes = _listed(
    (corpus.passages, ',', 'passages'),
    (corpus.words, ',', 'words'),
    (corpus.problems, ',', 'unusable records skipped'),
  )
  spent = _listed(
    (budget.rate, '.0%', 'of the words of a passage'),
    (budget.words_per_passage, '.2f', 'masked words per passage'),
  )
  found = (
    ('Command', study.command and element('code', study.command)),
    ('Left out', secrets.LEFT_OUT in study.command and _SECRETS),
    ('Config', study.config or configs),
    ('Commit', study.commit or commits),
    ('Hardware', study.hardware),
    ('Started', study.started),
    ('Time', study.seconds and findings.duration(study.seconds)),
    ('Seeds', ', '.join(map(str, study.seeds))),
    ('Corpus', ', '.join(filter(None, (isolated(corpus.name), sizes)))),
    ('Budget', spent),
  )
  return element(
    'dl', *((element('dt', k), element('dd', value)) for k, value in found if value)
  )


def budgets(results: Sequence[Result]) -> Markup | None:
  """Returns what the policies spent and whether it is equal."""
  lines = []
  for budget in summary.budgets(results):
    verdict = 'equal' if budget.equal else 'unequal'
    excess = budget.most / budget.least - 1 if budget.least else math.inf
    lines.append(
      tables.line(
        findings.place(summary.section(budget), results),
        element('td', budget.what),
        *(f'{budget.least:,.2f}', f'{budget.most:,.2f}', f'{excess:.1%}'),
        element('td', element('span', verdict, class_=f'chip {verdict}')),
      )
    )
  columns = tables.columns(('Task', 'Spent'), ('Least', 'Most', 'Difference'))
  columns += tables.columns(['Within 2%'])
  return tables.table('Budgets', columns, lines) if lines else None


def splits(study: StudyRecord) -> Markup | None:
  """Returns the questions, groups and majority answer of every task."""
  lines = []
  for name, task in study.tasks.items():
    for split in ('train', 'validation', 'test'):
      counts = (_known(n.get(split), ',') for n in (task.questions, task.groups))
      majority = _known(task.majority_em.get(split), '.3f')
      label = name if split == 'train' else ''
      lines.append(tables.line(label, element('td', split), *counts, majority))
  numbers = 'Questions', 'Groups', 'Majority answer EM'
  columns = tables.columns(('Task', 'Split'), numbers)
  return tables.table('Data', columns, lines) if lines else None


def stages(study: StudyRecord) -> Markup | None:
  """Returns the seconds of every stage, summed over seeds, with a total."""
  runs: dict[tuple[str, str, str], list[StageRecord]] = {}
  for run in study.stages:
    runs.setdefault((run.stage, run.policy, run.task), []).append(run)
  if not runs:
    return None
  order = list(dict.fromkeys(stage for stage, _, _ in runs))
  parts = tuple(dict.fromkeys(part for run in study.stages for part in run.parts))
  grouped = sorted(runs.items(), key=lambda run: order.index(run[0][0]))
  lines = [
    tables.line(
      stage,
      tables.words(workdir.title({}, policy)),
      tables.words(task),
      *_times(found, parts),
    )
    for (stage, policy, task), found in grouped
  ]
  total = element('td'), element('td'), *_times(study.stages, parts)
  lines.append(tables.line('total', *total, class_='baseline'))
  numbers = 'Runs', 'Mean seconds', 'Seconds', *map(str.capitalize, parts)
  columns = tables.columns(('Stage', 'Policy', 'Task'), numbers)
  return tables.table('Time by stage', columns, lines)


def _times(runs: Sequence[StageRecord], parts: Sequence[str]) -> list[str]:
  """Returns how many runs there are, their seconds, and the share of each part.

  What the shares lack of all the time is around the steps.
  """
  total = sum(run.seconds for run in runs)
  known = [sum(run.parts.get(part, 0.0) for run in runs) for part in parts]
  shares = [f'{x / total:.0%}' if any(known) and total else tables.DASH for x in known]
  return [str(len(runs)), f'{total / len(runs):,.1f}', f'{total:,.1f}', *shares]


def _listed(*parts: tuple[float | None, str, str]) -> str:
  """Returns those of some (value, format, unit) whose value was recorded."""
  return ', '.join(f'{v:{form}} {unit}' for v, form, unit in parts if v is not None)


def _known(value: float | None, form: str) -> str:
  return tables.DASH if value is None else f'{value:{form}}'
