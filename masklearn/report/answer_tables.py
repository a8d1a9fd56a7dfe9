"""Answers -> HTML tables: scores by overlap with training, recall of hidden ones."""

import statistics
from collections.abc import Mapping, Sequence

from masklearn.evaluation import overlap as overlaps
from masklearn.evaluation.results import Display, RecallRow, ResultRow
from masklearn.report import findings, summary, tables, workdir
from masklearn.report.page import Markup, element
from masklearn.report.summary import Result

_TITLES = {
  overlaps.QUESTION: 'Question overlap',
  overlaps.ANSWER: 'Answer overlap only',
  overlaps.NONE: 'No overlap',
}


def overlap(results: Sequence[Result], rows: Sequence[ResultRow]) -> Markup | None:
  """Returns exact match by overlap, a line for each of the results of one section.

  Means over the seeds; the number of questions is that of all seeds. None where no row
  has such scores.

  rows: all those of results.jsonl.
  """
  found = {}
  for result in results:
    key = (*summary.section(result), result.policy, result.policy_task)
    found[result] = [
      row.overlaps
      for row in rows
      if row.overlaps
      and (row.task, row.target, row.base, row.policy, row.policy_task) == key
    ]
  splits = [
    s
    for s in overlaps.SPLITS
    if any(s in seed for each in found.values() for seed in each)
  ]
  if not splits:
    return None
  counts = {
    s: max(sum(seed.get(s, {}).get('n', 0) for seed in each) for each in found.values())
    for s in splits
  }
  columns = (
    tables.Column('Policy', text=True),
    *(tables.Column(_TITLES[s], f'{counts[s]:,} questions') for s in splits),
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


def hidden_answers(
  rows: Sequence[RecallRow], display: Mapping[str, Display]
) -> list[Markup]:
  """Returns answer-span recall by policy, best first: heading and table of each file.

  display: how policies are shown.
  """
  found: dict[tuple, list[RecallRow]] = {}
  for row in rows:
    found.setdefault((row.file, row.passages), []).append(row)
  parts = []
  for (file, passages), own in found.items():
    title = f'{file}, {passages:,} passages'
    parts += [element('h3', title), _hidden_by_policy(title, own, display)]
  return parts


def _hidden_by_policy(
  title: str, rows: Sequence[RecallRow], display: Mapping[str, Display]
) -> Markup:
  references = list(dict.fromkeys(name for row in rows for name in row.above))
  columns = (
    tables.Column('Policy', text=True),
    tables.Column('Answers hidden', 'share, 95% interval', span=2),
    *(
      tables.Column(f'Above {workdir.title(display, name)}', 'paired', span=2)
      for name in references
    ),
    tables.Column('Masked', 'words'),
    tables.Column('Masked', 'spans'),
    tables.Column('Questions'),
  )
  lines = []
  for row in rows:
    found = row.recall
    cells = [
      tables.number(element('b', f'{found["mean"]:.3f}')),
      tables.number(element('small', f'{found["low"]:.3f}–{found["high"]:.3f}')),
    ]
    for name in references:
      cells += _difference(row.above.get(name))
    cells += [
      tables.number(f'{row.words:.2f}'),
      tables.number(f'{row.spans:.2f}'),
      tables.number(f'{row.n:,}'),
    ]
    label = element('th', workdir.title(display, row.policy), scope='row')
    lines.append(element('tr', label, *cells))
  return tables.table(title, columns, lines)


def _difference(found: dict | None) -> list[Markup]:
  if found is None:
    return [tables.number('reference'), tables.number('')]
  mean, low, high = (findings.signed(found[k]) for k in ('mean', 'low', 'high'))
  return [tables.number(mean), tables.number(element('small', f'{low} to {high}'))]


def _mean(scores: Sequence[dict]) -> str:
  return f'{statistics.fmean(s["em"] for s in scores):.3f}' if scores else tables.DASH
