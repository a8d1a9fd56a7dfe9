"""Answers that policies hide on passages where they are known -> an HTML table."""

from collections.abc import Sequence

from masklearn.report import finding, summary, tables
from masklearn.report.markup import Markup, element


def by_file(rows: Sequence[dict]) -> list[Markup]:
  """Returns answer-span recall by policy, best first: heading and table of each file.

  rows: of recall.jsonl, see `masklearn.evaluation.recall.summary`.
  """
  found: dict[tuple, list[dict]] = {}
  for row in rows:
    found.setdefault((row['file'], row['passages']), []).append(row)
  parts = []
  for (file, passages), own in found.items():
    title = f'{file}, {passages:,} passages'
    parts += [element('h3', title), _table(title, own)]
  return parts


def _table(title: str, rows: Sequence[dict]) -> Markup:
  references = list(dict.fromkeys(name for row in rows for name in row['above']))
  columns = (
    tables.Column('Policy', text=True),
    tables.Column('Answers hidden', 'share, 95% interval', span=2),
    *(
      tables.Column(f'Above {summary.policy_name(name)}', 'paired', span=2)
      for name in references
    ),
    tables.Column('Masked', 'words'),
    tables.Column('Masked', 'spans'),
    tables.Column('Questions'),
  )
  lines = []
  for row in rows:
    found = row['recall']
    cells = [
      tables.number(element('b', f'{found["mean"]:.3f}')),
      tables.number(element('small', f'{found["low"]:.3f}–{found["high"]:.3f}')),
    ]
    for name in references:
      cells += _difference(row['above'].get(name))
    cells += [
      tables.number(f'{row["words"]:.2f}'),
      tables.number(f'{row["spans"]:.2f}'),
      tables.number(f'{row["n"]:,}'),
    ]
    label = element('th', summary.policy_name(row['policy']), scope='row')
    lines.append(element('tr', label, *cells))
  return tables.table(title, columns, lines)


def _difference(found: dict | None) -> list[Markup]:
  if found is None:
    return [tables.number('reference'), tables.number('')]
  mean, low, high = (finding.signed(found[k]) for k in ('mean', 'low', 'high'))
  return [tables.number(mean), tables.number(element('small', f'{low} to {high}'))]
