"""Results -> the table that a study prints when it is done."""

import statistics
from collections.abc import Sequence

import rich.box
import rich.table
import rich.text

from masklearn.io.visible import one_line, visible
from masklearn.report import comparison, findings, summary, tables
from masklearn.report.summary import Result

_WIDTHS = {'EM': 5, '95% CI': 9, 'unseen': 6, 'seeds': 5, 'learning': 8}
_LONGEST = 40  # characters of a name, which leaves room for its numbers


def table(
  results: Sequence[Result],
  validation: Sequence[Result],
  majority: dict[str, float],
  primary: Sequence[str] = (),
  left_out: Sequence[str] = (),
) -> rich.table.Table:
  """Returns the policies by section, best first, with the findings below it.

  `unseen` is the exact match on questions whose answer no training question has,
  `learning` what it took to learn a policy, for each seed.

  Args:
    results: to show.
    validation: those of the validation split, where others are shown.
    majority: exact match of the majority answer by task.
    primary: sentences on the difference that the study is about.
    left_out: sentences on what is not in the table.
  """
  compared = comparison.compare(results, validation)
  found = [*primary, *(findings.sentence(c, results) for c in compared)]
  found = [*(found or findings.highest(results)), *left_out]
  table = rich.table.Table(
    title=f'Exact match, {results[0].split} split' if results else 'No results yet',
    # Names are text, not rich's markup, and no commands of a terminal.
    caption=rich.text.Text(visible('\n\n'.join(found), keep='\n')),
    title_justify='left',
    caption_justify='left',
    caption_style='',
    box=rich.box.SIMPLE_HEAD,
  )
  table.add_column('policy')  # a long name is broken where room is short
  unseen = any(r.unseen for r in results)
  titles = 'EM', '95% CI', *(['unseen'] if unseen else []), 'seeds', 'learning'
  for title in titles:
    width = _WIDTHS[title]
    table.add_column(title, justify='right', no_wrap=True, min_width=width)
  for key, group in summary.sections(results).items():
    best = comparison.best(group)
    lines = [(r.mean_em, _cells(r, r is best, unseen), _style(r)) for r in group]
    if (em := majority.get(key[0])) is not None:
      lines.append((em, ['  majority answer', f'{em:.3f}'], 'dim italic'))
    table.add_row(_text(findings.place(key, results)), style='bold')
    for _, cells, style in sorted(lines, key=lambda line: -line[0]):
      table.add_row(*map(_text, cells), style=style)
    table.add_section()
  return table


def _text(content: str) -> rich.text.Text:
  return rich.text.Text(one_line(content))


def _name(name: str) -> str:
  return one_line(name, _LONGEST)


def _cells(result: Result, best: bool, unseen: bool) -> list[str]:
  seconds = result.learning_seconds
  notes = ' (reference)' * result.reference + ' \u25c0 highest' * best
  return [
    f'  {_name(result.name)}{notes}',
    f'{result.mean_em:.3f}',
    findings.bounds(result.em),
    *([tables.mean(result.unseen, 3)] if unseen else []),
    str(len(result.seeds)),
    findings.duration(statistics.fmean(seconds)) if any(seconds) else '',
  ]


def _style(result: Result) -> str:
  if result.learned:
    return 'bold green'
  return 'dim' if result.reference else ''
