"""Logged histories -> the panels of curves that are worth looking at."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from masklearn.evaluation.results import Display
from masklearn.io.visible import isolated
from masklearn.report import findings, summary, workdir
from masklearn.report.summary import Result
from masklearn.report.workdir import History

STAGES = {
  'base': 'Base model',
  'policies': 'Policy learning',
  'pretrain': 'Intermediate pre-training',
  'finetune': 'Fine-tuning',
}
# What a policy should find by itself, on passages that it does not learn from.
AIMS = ('validation_answer_precision', 'validation_span_precision')
METRICS = {
  'validation_answer_precision': 'answer precision on unseen passages',
  'validation_span_precision': 'span precision on unseen passages',
  'validation_salient_share': 'share of masked words in other salient spans',
  'validation_outer_loss': 'outer loss, validation',
  'validation_cosine': 'cosine to the exact gradient',
  'loss_before': 'outer loss before the denoising steps',
  'grad_norm': 'norm of the policy gradient',
  'snr': 'signal to noise of the policy gradient',
  'relative_entropy': 'entropy of the policy, relative to the largest',
  'loss': 'training loss',
  'validation_loss': 'validation loss',
}
_LARGEST = 1e30  # of a value: a loss beyond has long diverged
_POINTS = 80  # a curve's longest list: more is noise at the size of a panel

Series = list[tuple[float, float]]  # (update, value), in order


@dataclasses.dataclass(frozen=True)
class Panel:
  """One set of axes: for each line its policy's name and one series per seed."""

  name: str  # of the file
  title: str
  metric: str
  lines: dict[str, list[Series]]


def panels(
  histories: Sequence[History],
  results: Sequence[Result],
  display: Mapping[str, Display],
) -> list[Panel]:
  """Returns a panel for each stage, section of the results and metric logged.

  Args:
    histories: what the stages logged.
    results: the runs whose names the lines have, of all settings of pre-training.
    display: how policies are shown.
  """
  learned = tuple(p for p, shown in display.items() if shown.role == 'learned')
  found: dict[tuple, dict[str, list[Series]]] = {}
  for history in histories:
    stage = list(STAGES).index(history.stage)
    for rank, metric in enumerate(METRICS):
      own = history.stage == 'policies' and not history.part
      if metric == 'grad_norm' and not own:  # worth looking at where it may vanish
        continue
      points = [
        (p['step'], p[metric]) for p in history.points if is_number(p.get(metric))
      ]
      for order, title, name in _places(history, results) if points else ():
        for policy in learned:  # its other versions are called POLICY_CHANGE-TASK
          name = name.removeprefix(f'{policy}_')
        lines = found.setdefault((stage, order, title, rank, metric), {})
        lines.setdefault(name, []).append(points)
  return [
    Panel(f'{title} {metric}', title, metric, lines)
    for (_, _, title, _, metric), lines in sorted(found.items(), key=lambda kv: kv[0])
  ]


def thin(series: Series) -> Series:
  """Returns at most 80 points: means over runs of neighbouring ones."""
  size = math.ceil(len(series) / _POINTS)
  chunks = [series[i : i + size] for i in range(0, len(series), size)]
  return [
    (sum(x for x, _ in chunk) / len(chunk), sum(y for _, y in chunk) / len(chunk))
    for chunk in chunks
  ]


def mean(series: Sequence[Series]) -> Series:
  """Returns the mean over seeds at the updates that all of them have."""
  values = [dict(s) for s in series]
  shared = set.intersection(*(set(v) for v in values))
  return [(x, sum(v[x] for v in values) / len(values)) for x in sorted(shared)]


def _places(history: History, results: Sequence[Result]) -> list[tuple[int, str, str]]:
  """Returns (place among the sections, title, name of the line) wherever it shows."""
  stage = STAGES[history.stage]
  if history.stage == 'base':
    return [(0, stage, '')]
  *tasks, variant = history.names
  if history.stage == 'policies':
    return [(0, f'{stage}, {history.part}' if history.part else stage, variant)]
  # A pre-trained model may serve several tasks: it is shown with the rivals of each.
  places = [
    (order, f'{stage}, {place}', run.name)
    for order, (place, group) in enumerate(_sections(results))
    for run in group
    if workdir.variant(run) == variant and run.task in (tasks or [run.task])
  ]
  return places or [(len(results), ', '.join((stage, *tasks)), variant)]


def _sections(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
  """Returns the sections of each setting of pre-training, the main one first."""
  found = []
  for setting in sorted(dict.fromkeys(r.setting for r in results), key=bool):
    own = [r for r in results if r.setting == setting]
    named = f', {isolated(setting)}' if setting else ''
    found += [
      (findings.place(key, results) + named, group)
      for key, group in summary.sections(own).items()
    ]
  return found


def is_number(value: Any) -> bool:
  """Returns whether a logged value is a number that an axis can have."""
  real = isinstance(value, int | float) and not isinstance(value, bool)
  return real and abs(value) <= _LARGEST
