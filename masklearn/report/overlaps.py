"""Scores by what test questions share with training questions -> an HTML table."""

import statistics
from collections.abc import Sequence

from masklearn.evaluation.overlap import SPLITS
from masklearn.report import summary, tables
from masklearn.report.markup import Markup, element
from masklearn.report.summary import Result

_NAMES = {
  'question_overlap': 'Question known',
  'answer_overlap_only': 'Answer known',
  'no_overlap': 'Neither',
}


def table(results: Sequence[Result], rows: Sequence[dict]) -> Markup | None:
  """Returns exact match by overlap, a line for each of the results of one section.

  Means over the seeds, with the questions of all seeds below; None where no row has
  them.

  rows: of results.jsonl, all of them.
  """
  found = {}
  for result in results:
    key = (*summary.section(result), result.policy, result.policy_task)
    found[result] = [
      row['overlaps']
      for row in rows
      if row.get('overlaps')
      and (row['task'], row['target'], row['base'], row['policy'], row['policy_task'])
      == key
    ]
  splits = [
    s for s in SPLITS if any(s in seed for each in found.values() for seed in each)
  ]
  if not splits:
    return None
  counts = {
    s: max(sum(seed.get(s, {}).get('n', 0) for seed in each) for each in found.values())
    for s in splits
  }
  columns = (
    tables.Column('Policy', text=True),
    *(tables.Column(_NAMES[s], f'{counts[s]:,} questions') for s in splits),
  )
  lines = [
    element(
      'tr',
      element('th', result.name, scope='row'),
      *(tables.number(_mean([seed[s] for seed in each if s in seed])) for s in splits),
    )
    for result, each in found.items()
    if each
  ]
  return tables.table('EM by overlap', columns, lines)


def _mean(scores: Sequence[dict]) -> str:
  return f'{statistics.fmean(s["em"] for s in scores):.3f}' if scores else tables.DASH
