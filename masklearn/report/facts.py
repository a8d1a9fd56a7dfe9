"""How a study was run -> HTML: its command, data, budgets and time."""

import math
import statistics
from collections.abc import Sequence

from masklearn.report import finding, summary, tables
from masklearn.report.markup import Markup, element
from masklearn.report.summary import Result


def overview(study: dict, rows: Sequence[dict]) -> Markup:
  """Returns what one needs to run the study again, as far as it was recorded."""
  commits = ', '.join(dict.fromkeys(str(row['commit']) for row in rows))
  configs = ', '.join(dict.fromkeys(str(row['config']) for row in rows))
  command, seconds = study.get('command'), study.get('seconds')
  found = (
    ('Command', command and element('code', command)),
    ('Config', study.get('config') or configs),
    ('Commit', study.get('commit') or commits),
    ('Hardware', study.get('hardware')),
    ('Started', study.get('started')),
    ('Time', seconds and tables.duration(seconds)),
    ('Seeds', ', '.join(map(str, study.get('seeds', [])))),
    ('Corpus', _corpus(study.get('corpus', {}))),
    ('Budget', _budget(study.get('budget', {}))),
  )
  return element(
    'dl', *((element('dt', k), element('dd', fact)) for k, fact in found if fact)
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
        element('th', finding.place(summary.section(budget), results), scope='row'),
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


def splits(study: dict) -> Markup | None:
  """Returns the questions, groups and majority answer of every task."""
  lines = []
  for task, facts in study.get('tasks', {}).items():
    for split in ('train', 'validation', 'test'):
      count = facts.get('questions', {}).get(split)
      groups = facts.get('groups', {}).get(split)
      majority = facts.get('majority_em', {}).get(split)
      lines.append(
        element(
          'tr',
          element('th', task if split == 'train' else '', scope='row'),
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


def stages(study: dict) -> Markup | None:
  """Returns the seconds of every stage, summed over seeds, with a total."""
  runs: dict[tuple[str, str, str], list[float]] = {}
  for stage in study.get('stages', []):
    key = tuple(stage.get(k) or '' for k in ('stage', 'policy', 'task'))
    runs.setdefault(key, []).append(stage.get('seconds') or 0.0)
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
        element('td', summary.policy_name(policy) if policy else ''),
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


def _corpus(corpus: dict) -> str:
  parts = [corpus['name']] if corpus.get('name') else []
  parts += [f'{corpus[k]:,} {k}' for k in ('passages', 'words') if k in corpus]
  if 'problems' in corpus:
    parts.append(f'{corpus["problems"]:,} unusable records skipped')
  return ', '.join(parts)


def _budget(budget: dict) -> str:
  parts = []
  if 'rate' in budget:
    parts.append(f'{budget["rate"]:.0%} of the words of a passage')
  if 'words_per_passage' in budget:
    parts.append(f'{budget["words_per_passage"]:.2f} masked words a passage')
  return ', '.join(parts)


def _count(value: int | None) -> str:
  return tables.DASH if value is None else f'{value:,}'
