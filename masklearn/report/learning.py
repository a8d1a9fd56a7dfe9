"""The learned policies -> HTML: what each hides after learning, and what that took."""

import math
import statistics
from collections.abc import Mapping, Sequence

from masklearn.evaluation.results import LearnedRecord, StudyRecord
from masklearn.report import tables, workdir
from masklearn.report.page import Markup, element
from masklearn.report.workdir import History

COLUMNS = (
  tables.Column('Policy', text=True),
  tables.Column('Learned with', text=True),
  tables.Column('Seeds'),
  tables.Column('Answer precision', 'before learning'),
  tables.Column('Answer precision', 'after'),
  tables.Column('Answer precision', 'by seed'),
  tables.Column('Span precision', 'after'),
  tables.Column('Gain', 'on validation'),
  tables.Column('Signal to noise', 'per update'),
  tables.Column('Updates', 'until the best'),
  tables.Column('Time', 'per seed'),
)


def learned(study: StudyRecord) -> Markup | None:
  """Returns what each learned policy hides on groups that it did not learn from."""
  runs: dict[str, list[LearnedRecord]] = {}
  for run in study.policies:
    runs.setdefault(run.policy, []).append(run)
  lines = [
    element(
      'tr',
      element('th', workdir.title({}, policy), scope='row'),
      element('td', _settings(found[0].settings)),
      tables.number(str(len(found))),
      tables.number(_mean(found, 'answer_precision_before')),
      tables.number(element('b', _mean(found, 'answer_precision'))),
      tables.number(_each(found, 'answer_precision')),
      tables.number(_mean(found, 'span_precision')),
      tables.number(_mean(found, 'score')),
      tables.number(_mean(found, 'snr', 1)),
      tables.number(tables.extent([run.updates for run in found])),
      tables.number(tables.duration(statistics.fmean(run.seconds for run in found))),
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
      name = workdir.title({}, '-'.join(history.names))
      found.append(
        f'The meta-gradient of {name}, seed {history.seed}, was exactly zero or not'
        f' finite at update {wrong[0]}: nothing can be concluded from what it learned.'
      )
  return found


def _settings(settings: Mapping) -> str:
  return ', '.join(f'{name} {value}' for name, value in settings.items())


def _values(runs: Sequence[LearnedRecord], field: str) -> list[float]:
  return [value for run in runs if (value := getattr(run, field)) is not None]


def _each(runs: Sequence[LearnedRecord], field: str) -> str:
  return ', '.join(f'{value:.2f}' for value in _values(runs, field)) or tables.DASH


def _mean(runs: Sequence[LearnedRecord], field: str, digits: int = 2) -> str:
  values = _values(runs, field)
  return f'{statistics.fmean(values):.{digits}f}' if values else tables.DASH
