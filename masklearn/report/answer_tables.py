"""Answers -> HTML tables: scores by overlap with training, recall of hidden ones."""

import itertools
from collections.abc import Mapping, Sequence

from masklearn.evaluation import overlap as overlaps
from masklearn.evaluation.results import Display, RecallRow, ResultRow
from masklearn.io.visible import isolated
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
  found = {
    result: [r.overlaps for r in rows if r.overlaps and _cell(r) == _cell(result)]
    for result in results
  }
  shared = {split for seeds in found.values() for seed in seeds for split in seed}
  splits = [split for split in overlaps.SPLITS if split in shared]
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
    tables.line(
      result.name,
      *(tables.mean([seed[s]['em'] for seed in seeds if s in seed], 3) for s in splits),
    )
    for result, seeds in found.items()
    if seeds
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
    title = f'{isolated(file)}, {passages:,} passages'
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
      tables.Column(f'Above {isolated(workdir.title(display, name))}', 'paired', span=2)
      for name in references
    ),
    tables.Column('Masked', 'words'),
    tables.Column('Masked', 'spans'),
    tables.Column('Questions'),
  )
  lines = []
  for row in rows:
    mean, low, high = (f'{row.recall[k]:.3f}' for k in ('mean', 'low', 'high'))
    differences = [_difference(row.above.get(name)) for name in references]
    lines.append(
      tables.line(
        workdir.title(display, row.policy),
        tables.number(element('b', mean)),
        tables.number(element('small', f'{low}–{high}')),
        *itertools.chain(*differences),
        *(f'{row.words:.2f}', f'{row.spans:.2f}', f'{row.n:,}'),
      )
    )
  return tables.table(title, columns, lines)


def _difference(found: dict | None) -> tuple[str, Markup | str]:
  if found is None:
    return 'reference', ''
  mean, low, high = (findings.signed(found[k]) for k in ('mean', 'low', 'high'))
  return mean, tables.number(element('small', f'{low} to {high}'))


def _cell(one: Result | ResultRow) -> tuple:
  """Returns what a row shares with the result that it belongs to."""
  return *summary.section(one), one.policy, one.policy_task, one.setting
