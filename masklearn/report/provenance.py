"""How a study was run -> HTML: its command, data, budgets and time."""

import math
import statistics
from collections.abc import Sequence

from masklearn.evaluation.results import (
  BudgetRecord,
  CorpusRecord,
  ResultRow,
  StudyRecord,
)
from masklearn.report import findings, summary, tables, workdir
from masklearn.report.page import Markup, element
from masklearn.report.summary import Result


def overview(study: StudyRecord, rows: Sequence[ResultRow]) -> Markup:
  """Returns what one needs to run the study again, as far as it was recorded."""
  commits = ', '.join(dict.fromkeys(row.commit for row in rows))
  configs = ', '.join(dict.fromkeys(row.config for row in rows))
  found = (
    ('Command', study.command and element('code', study.command)),
    ('Config', study.config or configs),
    ('Commit', study.commit or commits),
    ('Hardware', study.hardware),
    ('Started', study.started),
    ('Time', study.seconds and tables.duration(study.seconds)),
    ('Seeds', ', '.join(map(str, study.seeds))),
    ('Corpus', _corpus(study.corpus)),
    ('Budget', _budget(study.budget)),
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
      element(
        'tr',
        element('th', findings.place(summary.section(budget), results), scope='row'),
        element('td', budget.what),
        tables.number(f'{budget.least:,.2f}'),
        tables.number(f'{budget.most:,.2f}'),
        tables.number(f'{excess:.1%}'),
        element('td', element('span', verdict, class_=f'chip {verdict}')),
      )
    )
  columns = (
    tables.Column('Task', text=True),
    tables.Column('Spent', text=True),
    tables.Column('Least'),
    tables.Column('Most'),
    tables.Column('Difference'),
    tables.Column('Within 2%', text=True),
  )
  return tables.table('Budgets', columns, lines) if lines else None


def splits(study: StudyRecord) -> Markup | None:
  """Returns the questions, groups and majority answer of every task."""
  lines = []
  for name, task in study.tasks.items():
    for split in ('train', 'validation', 'test'):
      count = task.questions.get(split)
      groups = task.groups.get(split)
      majority = task.majority_em.get(split)
      lines.append(
        element(
          'tr',
          element('th', name if split == 'train' else '', scope='row'),
          element('td', split),
          tables.number(_count(count)),
          tables.number(_count(groups)),
          tables.number(tables.DASH if majority is None else f'{majority:.3f}'),
        )
      )
  columns = (
    tables.Column('Task', text=True),
    tables.Column('Split', text=True),
    tables.Column('Questions'),
    tables.Column('Groups'),
    tables.Column('Majority answer EM'),
  )
  return tables.table('Data', columns, lines) if lines else None


def stages(study: StudyRecord) -> Markup | None:
  """Returns the seconds of every stage, summed over seeds, with a total."""
  runs: dict[tuple[str, str, str], list[float]] = {}
  for run in study.stages:
    runs.setdefault((run.stage, run.policy, run.task), []).append(run.seconds)
  if not runs:
    return None
  lines = []
  order = list(dict.fromkeys(stage for stage, _, _ in runs))
  grouped = sorted(runs.items(), key=lambda run: order.index(run[0][0]))
  for (stage, policy, task), seconds in grouped:
    lines.append(
      element(
        'tr',
        element('th', stage, scope='row'),
        element('td', workdir.title({}, policy)),
        element('td', task),
        tables.number(str(len(seconds))),
        tables.number(f'{statistics.fmean(seconds):,.1f}'),
        tables.number(f'{sum(seconds):,.1f}'),
      )
    )
  every = [s for seconds in runs.values() for s in seconds]
  total = [element('th', 'total', scope='row'), element('td'), element('td')]
  total += [
    tables.number(str(len(every))),
    tables.number(''),
    tables.number(f'{sum(every):,.1f}'),
  ]
  lines.append(element('tr', *total, class_='baseline'))
  columns = (
    tables.Column('Stage', text=True),
    tables.Column('Policy', text=True),
    tables.Column('Task', text=True),
    tables.Column('Runs'),
    tables.Column('Mean seconds'),
    tables.Column('Seconds'),
  )
  return tables.table('Time by stage', columns, lines)


def _corpus(corpus: CorpusRecord) -> str:
  parts = [corpus.name] if corpus.name else []
  sizes = ('passages', corpus.passages), ('words', corpus.words)
  parts += [f'{size:,} {what}' for what, size in sizes if size is not None]
  if corpus.problems is not None:
    parts.append(f'{corpus.problems:,} unusable records skipped')
  return ', '.join(parts)


def _budget(budget: BudgetRecord) -> str:
  parts = []
  if budget.rate is not None:
    parts.append(f'{budget.rate:.0%} of the words of a passage')
  if budget.words_per_passage is not None:
    parts.append(f'{budget.words_per_passage:.2f} masked words per passage')
  return ', '.join(parts)


def _count(value: int | None) -> str:
  return tables.DASH if value is None else f'{value:,}'
