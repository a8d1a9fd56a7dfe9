"""The learned policies -> HTML: what each hides after learning, and what that took."""

import statistics
from collections.abc import Sequence

from masklearn.evaluation.results import LearnedRecord, StudyRecord
from masklearn.io.visible import isolated
from masklearn.report import curves, findings, tables, workdir
from masklearn.report.page import Markup, element
from masklearn.report.workdir import History

COLUMNS = (
  *tables.columns(('Policy', 'Learned with'), ['Seeds']),
  tables.Column('Answer precision', 'before learning'),
  tables.Column('Answer precision', 'after'),
  tables.Column('Answer precision', 'by seed'),
  tables.Column('Span precision', 'after'),
  tables.Column('Gain', 'on validation'),
  tables.Column('Signal to noise', 'per update'),
  tables.Column('Tuned loss', 'falls by'),
  tables.Column('Updates', 'until the best'),
  tables.Column('Time', 'per seed'),
)
CHECKS = (
  tables.Column('Policy', text=True),
  tables.Column('Seeds'),
  tables.Column('Signal to noise', 'per update'),
  tables.Column('Episodes', 'for a ratio of 1'),
  tables.Column('Signs kept', 'at a third of the step'),
  tables.Column('Signs kept', 'at three times the step'),
  tables.Column('Rank correlation', 'at a third'),
  tables.Column('Rank correlation', 'at three times'),
  tables.Column('Cosine', 'to float32'),
)


def learned(study: StudyRecord) -> Markup | None:
  """Returns what each learned policy hides on groups that it did not learn from."""
  runs = _by_policy(study)
  lines = [
    tables.line(
      workdir.title({}, policy),
      tables.words(
        ', '.join(isolated(f'{k} {v}') for k, v in found[0].settings.items())
      ),
      str(len(found)),
      tables.mean(_values(found, 'answer_precision_before')),
      tables.number(element('b', tables.mean(_values(found, 'answer_precision')))),
      ', '.join(f'{v:.2f}' for v in _values(found, 'answer_precision')) or tables.DASH,
      tables.mean(_values(found, 'span_precision')),
      tables.mean(_values(found, 'score')),
      tables.mean(_values(found, 'snr'), 1),
      _share(_values(found, 'tuning_fall')),
      tables.extent([run.updates for run in found]),
      findings.duration(statistics.fmean(run.seconds for run in found)),
    )
    for policy, found in runs.items()
  ]
  return tables.table('What the policies found', COLUMNS, lines) if lines else None


def checks(study: StudyRecord) -> Markup | None:
  """Returns what was measured before each policy learned; None where nothing was."""
  lines = []
  for policy, found in _by_policy(study).items():
    cosines = _values(found, 'float32_cosine')
    compared = [
      [values[key] for run in found if key in (values := getattr(run, name))]
      for name in ('sign_agreement', 'rank_correlation')
      for key in ('0.33', '3')
    ]
    if not (_values(found, 'start_snr') or cosines or any(compared)):
      continue
    lines.append(
      tables.line(
        workdir.title({}, policy),
        str(len(found)),
        tables.mean(_values(found, 'start_snr')),
        ', '.join(f'{v:,.0f}' for v in _values(found, 'noise_scale')) or tables.DASH,
        *map(tables.mean, compared),
        tables.mean(cosines),
      )
    )
  return tables.table('Before learning', CHECKS, lines) if lines else None


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
    # JSON has no nan or infinity; null, or what was written anyway, is no number here.
    wrong = [step for step, norm in norms if not curves.is_number(norm) or not norm]
    if wrong:
      name = isolated(workdir.title({}, '-'.join(history.names)))
      found.append(
        f'The meta-gradient of {name}, seed {history.seed}, was exactly zero or not'
        f' finite at update {wrong[0]}: nothing can be concluded from what it learned.'
      )
  return found


def _by_policy(study) -> dict[str, list[LearnedRecord]]:
  runs: dict[str, list[LearnedRecord]] = {}
  for run in study.policies:
    runs.setdefault(run.policy, []).append(run)
  return runs


def _share(values: Sequence[float]) -> str:
  return f'{statistics.fmean(values):.0%}' if values else tables.DASH


def _values(runs: Sequence[LearnedRecord], field: str) -> list[float]:
  return [value for run in runs if (value := getattr(run, field)) is not None]
