"""Results -> HTML tables: scores, kinds of question, transfer."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from masklearn.io.visible import isolated
from masklearn.report import comparison, findings, summary, workdir
from masklearn.report.axes import Axis
from masklearn.report.page import Markup, element, join
from masklearn.report.summary import Result

DASH = '\u2013'  # for what a run has not recorded


class Column(NamedTuple):
  """The heading of a column, or of several."""

  title: str
  note: str = ''  # below the title
  span: int = 1  # columns that it heads
  text: bool = False  # numbers are aligned to the right, text to the left


def scores(
  name: str,
  results: Sequence[Result],
  validation: Sequence[Result],
  majority: float | None,
) -> Markup:
  """Returns the table of one section, best policy first.

  validation: results on the validation split, shown beside where they exist.
  majority: exact match of the most common answer of the training questions.
  """
  reference = comparison.declared_random(results)
  best = comparison.best(results)
  lines = [_score(r, reference, best, validation) for r in results]
  if majority is not None:
    above = sum(r.mean_em >= majority for r in results)
    cells = f'{majority:.3f}', element('td', colspan=11)
    lines.insert(above, line('majority answer', *cells, class_='baseline'))
  versus = f'over {isolated(reference.name)}, paired' if reference else ''
  columns = (
    Column('Policy', text=True),
    Column('EM', 'mean, 95% interval', span=2),
    Column('Gain', versus, span=2),
    Column('F1'),
    Column('EM', 'validation'),
    *map(Column, ('Seeds', 'Questions', 'Updates')),
    Column('Masked', 'words'),
    Column('Run', 'per seed'),
    Column('Learning', 'per seed'),
  )
  return table(name, columns, lines, class_='scores')


def kinds(
  results: Sequence[Result],
  scored: dict[str, dict[str, tuple[float, ...]]],
  title: str = 'EM by kind of question',
) -> Markup | None:
  """Returns scores of each policy by kind of question; None where none is known."""
  runs = [(r, scored.get(workdir.variant(r))) for r in results]
  runs = [(r, known) for r, known in runs if known]
  labels = list(dict.fromkeys(label for _, known in runs for label in known))
  if not any(labels):
    return None
  lines = [_row(r, [_shaded(known.get(k)) for k in labels]) for r, known in runs]
  heads = columns(['Policy'], [k.replace('_', ' ') or 'other' for k in labels])
  return table(title, heads, lines)


def transfer(name: str, learned: Sequence[Result], others: Sequence[Result]) -> Markup:
  """Returns EM by the task a policy was learned on and the task it is used for.

  others: every result of the same target and base: random and reference policies of
    each column are shown below.
  """
  used = list(dict.fromkeys(r.task for r in learned))
  sources = list(dict.fromkeys(r.policy_task or r.task for r in learned))
  cells = {(r.policy_task or r.task, r.task): r for r in learned}
  lines = []
  for source in sources:
    own = [_cell(cells.get((source, task)), own=source == task) for task in used]
    lines.append(line(f'learned on {isolated(source)}', *own))
  rivals = [[r for r in others if r.task == task] for task in used]
  randoms = [comparison.declared_random(rs) for rs in rivals]
  bounds = {next((r.title for r in randoms if r), 'random'): randoms}
  for title in dict.fromkeys(r.title for r in others if r.reference):
    own = [next((r for r in rs if r.title == title), None) for rs in rivals]
    bounds[f'{isolated(title)} (reference)'] = own
  lines += [
    line(bound, *map(_cell, found), class_='baseline')
    for bound, found in bounds.items()
    if any(found)
  ]
  return table(
    name, columns(['Policy'], [f'used for {isolated(t)}' for t in used]), lines
  )


def along(axis: Axis, value: Callable[[Result], Any]) -> Markup:
  """Returns a line for each policy of an axis and a column for each of its places.

  value: of a result, the content of its cell.
  """
  heads = [Column('Policy', text=True)]
  heads += [Column(*both) for both in zip(axis.ticks, axis.notes, strict=True)]
  lines = [
    _row(next(filter(None, found)), [number(value(r)) if r else DASH for r in found])
    for found in axis.lines.values()
  ]
  if axis.level:
    rest = [element('td', colspan=len(axis.places) - 1)][: len(axis.places) - 1]
    cells = number(value(axis.level)), *rest
    lines.append(line(axis.level.name, *cells, class_='baseline'))
  return table(f'{axis.label}, {axis.title}', heads, lines)


def score(result: Result) -> Markup:
  """Returns the mean exact match of a result and its interval."""
  bounds = element('small', findings.bounds(result.em))
  return join(element('b', f'{result.mean_em:.3f}'), ' ', bounds)


def forgetting(results: Sequence[Result]) -> Markup | None:
  """Returns the loss of each policy on the base model's passages; None if unknown."""
  known = [r for r in results if r.kept_loss]
  if not known:
    return None
  heads = Column('Policy', text=True), Column('Loss'), Column('Over the base model')
  lines = [_row(r, [mean(r.kept_loss, 3), forgotten(r)]) for r in known]
  return table('Forgetting', heads, lines)


def forgotten(result: Result) -> str:
  """Returns by how much the loss on the base model's passages has grown, in nats."""
  known = result.forgotten
  return findings.signed(statistics.fmean(known)) if known else DASH


def columns(texts: Iterable[str], numbers: Iterable[str] = ()) -> list[Column]:
  """Returns headings without notes: of columns of text, then of numbers."""
  return [*(Column(title, text=True) for title in texts), *map(Column, numbers)]


def table(
  title: str,
  columns: Iterable[Column],
  lines: Sequence[Markup],
  class_: str | None = None,
) -> Markup:
  """Returns a table that scrolls by itself on a narrow screen."""
  heads = [
    element(
      'th',
      name(column.title),
      element('small', name(column.note)) if column.note else None,
      scope='col',
      colspan=column.span if column.span > 1 else None,
      class_=None if column.text else 'number',
    )
    for column in columns
  ]
  rows = element(
    'table',
    element('thead', element('tr', *heads)),
    element('tbody', *lines),
    class_=class_,
  )
  return element(
    'div', rows, class_='scroll', tabindex=0, role='region', aria_label=title
  )


def line(label: Any, *cells: Markup | str, class_: str | None = None) -> Markup:
  """Returns a line of a table; a cell that is a plain string is a number."""
  made = (cell if isinstance(cell, Markup) else number(cell) for cell in cells)
  return element('tr', element('th', name(label), scope='row'), *made, class_=class_)


def name(*content: Any) -> Markup:
  """Returns a name that is broken into lines where it is too long for a table."""
  return element('span', *content, class_='name')


def words(content: Any) -> Markup:
  """Returns a cell of text."""
  return element('td', name(content))


def number(content: Any, *classes: str) -> Markup:
  """Returns a cell whose digits are aligned with those above and below."""
  return element('td', content, class_=' '.join(('number', *classes)))


def mean(values: Sequence[float], digits: int = 2) -> str:
  """Returns the mean of what was recorded."""
  return f'{statistics.fmean(values):.{digits}f}' if values else DASH


def extent(values: Sequence[float]) -> str:
  """Returns what all seeds share, or the smallest and the largest."""
  if not values:
    return DASH
  low, high = min(values), max(values)
  return f'{low:,.0f}' if low == high else f'{low:,.0f}\u2013{high:,.0f}'


def _score(result, reference, best, validation) -> Markup:
  difference, bounds = _gain(result, reference)
  return _row(
    result,
    [
      number(element('b', f'{result.mean_em:.3f}'), 'em'),
      number(element('small', findings.bounds(result.em))),
      difference,
      number(element('small', bounds)),
      mean(result.f1, 3),
      _validation_em(result, validation),
      str(len(result.seeds)),
      extent(result.n),
      extent(result.updates),
      mean(result.masked_words),
      _mean_time(result.seconds),
      _mean_time(result.learning_seconds),
    ],
    element('span', 'clearly highest', class_='chip') if result is best else None,
  )


def _row(result: Result, cells: Sequence[Any], *notes: Markup | None) -> Markup:
  """Returns a policy's line: learned ones stand out, references stand apart."""
  kind = 'bound' if result.reference else None
  if result.role == 'learned':
    kind = 'learned' if result.learned else 'transfer'
  told = element('span', 'reference', class_='chip') if result.reference else None
  return line((result.name, told, *notes), *cells, class_=kind)


def _gain(result: Result, reference: Result | None) -> tuple[str, str]:
  """Returns the paired difference from the reference and its interval."""
  if result is reference:
    return 'baseline', ''
  gain = comparison.gain(result, reference) if reference else None
  if gain is None:
    return DASH, ''
  mean, low, high = (findings.signed(value, digits=2) for value in gain[:3])
  return mean, f'{low} to {high}' if comparison.is_known(gain) else 'one seed'


def _validation_em(result: Result, validation: Sequence[Result]) -> str:
  for other in validation:
    same = (other.policy, other.policy_task) == (result.policy, result.policy_task)
    if same and summary.section(other) == summary.section(result):
      return f'{other.mean_em:.3f}'
  return DASH


def _cell(result: Result | None, own: bool = False) -> Markup:
  if result is None:
    return number(DASH)
  seeds, text = len(result.seeds), f'{result.mean_em:.3f}'
  note = element('small', 'one seed' if seeds == 1 else f'{seeds} seeds')
  return number((element('b', text) if own else text, ' ', note))


def _shaded(values: Sequence[float] | None) -> Markup:
  if values is None:
    return number(DASH)
  value = statistics.fmean(values)
  style = f'--share:{value:.3f}'
  return element('td', f'{value:.2f}', class_='number shaded', style=style)


def _mean_time(seconds: Sequence[float]) -> str:
  return findings.duration(statistics.fmean(seconds)) if seconds else DASH
