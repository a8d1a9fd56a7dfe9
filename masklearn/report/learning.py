"""How the policies were learned -> HTML: what each estimator gave, and what it cost."""

import math
import statistics
from collections.abc import Sequence

from masklearn.report import summary, tables
from masklearn.report.markup import Markup, element
from masklearn.report.records import History

COLUMNS = (
  tables.Column('Policy', text=True),
  tables.Column('Learned with', text=True),
  tables.Column('Seeds'),
  tables.Column('Asked words', 'before learning'),
  tables.Column('Asked words', 'after'),
  tables.Column('Asked words', 'by seed'),
  tables.Column('Exact spans', 'after'),
  tables.Column('Gain', 'on validation'),
  tables.Column('Signal to noise', 'of an update'),
  tables.Column('Updates', 'until the best'),
  tables.Column('Time', 'a seed'),
)


def learned(study: dict) -> Markup | None:
  """Returns what each learned policy hides on groups that it did not learn from."""
  runs: dict[str, list[dict]] = {}
  for run in study.get('policies', []):
    runs.setdefault(run['policy'], []).append(run)
  lines = [
    element(
      'tr',
      element('th', summary.policy_name(policy), scope='row'),
      element('td', _settings(found[0].get('settings', {}))),
      tables.number(str(len(found))),
      tables.number(_mean(found, 'answer_precision_before')),
      tables.number(element('b', _mean(found, 'answer_precision'))),
      tables.number(', '.join(f'{run["answer_precision"]:.2f}' for run in found)),
      tables.number(_mean(found, 'span_precision')),
      tables.number(_mean(found, 'score')),
      tables.number(_mean(found, 'snr', 1)),
      tables.number(tables.extent([run['updates'] for run in found])),
      tables.number(tables.duration(statistics.fmean(run['seconds'] for run in found))),
    )
    for policy, found in runs.items()
  ]
  return tables.table('What the policies found', COLUMNS, lines) if lines else None


def cautions(histories: Sequence[History]) -> list[str]:
  """Returns a sentence for each policy whose gradient was zero or not finite."""
  found = []
  for history in histories:
    if history.stage != 'policies' or history.part:
      continue
    norms = [
      (point['step'], point[name])
      for point in history.points
      for name in ('influence', 'grad_norm')
      if name in point
    ]
    # JSON has no nan or infinity; one that was written anyway is no number here.
    wrong = [step for step, norm in norms if not norm or not math.isfinite(norm)]
    if wrong:
      name = summary.policy_name('-'.join(history.names))
      found.append(
        f'The meta-gradient of {name}, seed {history.seed}, was exactly zero or not'
        f' finite at update {wrong[0]}: what was learned there says nothing.'
      )
  return found


def _settings(settings: dict) -> str:
  return ', '.join(f'{name} {value}' for name, value in settings.items())


def _mean(runs: Sequence[dict], key: str, digits: int = 2) -> str:
  values = [run[key] for run in runs if run.get(key) is not None]
  return f'{statistics.fmean(values):.{digits}f}' if values else tables.DASH
