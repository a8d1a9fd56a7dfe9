"""What a study found, in sentences that claim no more than its rows show."""

import math
import statistics
from collections.abc import Mapping, Sequence

from masklearn.evaluation import contrasts, intervals
from masklearn.evaluation.contrasts import Estimate
from masklearn.evaluation.results import (
  Display,
  ImpossibleRecord,
  ResultRow,
  StudyRecord,
)
from masklearn.io.visible import isolated
from masklearn.report import comparison, summary, workdir
from masklearn.report.comparison import Comparison
from masklearn.report.summary import Result

_SHOWN = 3  # of a long list
TARGETS = {'spans': 'masked spans only', 'full': 'full sentence'}


def headline(found: Comparison) -> str:
  """Returns the number of a finding, such as `85%` of what a reference gains.

  The gain itself where there are too few seeds for a share, or none can be given.
  """
  if len(found.seeds) >= comparison.SEEDS and comparison.is_known(found.share):
    return f'{100 * found.share.mean:.0f}%'.replace('-', '\u2212')
  return signed(found.gain.mean)


def sentence(found: Comparison, results: Sequence[Result]) -> str:
  """Returns the finding of one section: what, how sure, against whom, at what cost.

  results: those of all sections, which say how this one differs.
  """
  learned, random = isolated(found.learned.title), isolated(found.random.title)
  where = place(summary.section(found.learned), results)
  text = (
    f'On {where}, the {learned} policy reaches an exact match of'
    f' {found.score(found.learned):.3f}, {_difference(found.gain, random)}'
  )
  if found.rival and found.rival is not found.random:
    text += f'; {_difference(found.lead, isolated(found.rival.title))}'
    text += ', the best other policy on validation questions'
  return f'{text}. {_share(found)} {_basis(found)}{_cost(found)}'


def primary(study: StudyRecord, results: Sequence[Result]) -> list[str]:
  """Returns a sentence for each section on the difference that a study is about."""
  found = []
  for ours, other, estimate in comparison.primary(results, study.primary):
    where = place(summary.section(ours), results)
    much = _difference(estimate, isolated(other.title))
    equal = study.margin and contrasts.equivalent(estimate, study.margin)
    found.append(
      f'The contrast that was chosen before the run: on {where},'
      f' {isolated(ours.title)} has {much}'
      + (f'; equally good, within {study.margin:g}.' if equal else '.')
    )
  return found


def highest(results: Sequence[Result]) -> list[str]:
  """Returns a sentence for each section: which policy is above all others, if any.

  For studies without a learned policy or a reference to compare it with.
  """
  found = []
  for key, group in summary.sections(results).items():
    ranked = [r for r in group if not r.reference] or group
    ranked = sorted(ranked, key=lambda r: -r.mean_em)
    top, where = comparison.best(group), place(key, results)
    if top:
      second = next(r for r in ranked if r is not top)
      lead = _difference(comparison.gain(top, second), isolated(second.name))
      text = f'On {where}, {isolated(top.name)} is above all others: {lead}.'
    else:
      first = ', '.join(f'{isolated(r.name)} {r.mean_em:.3f}' for r in ranked[:_SHOWN])
      more = ' ..' * (len(ranked) > _SHOWN)
      text = f'On {where}, no policy is clearly above all others: {first}{more}.'
    found.append(text)
  return found or ['No results yet.']


def _difference(found: Estimate, than: str) -> str:
  """`0.218 more than random tokens (95% interval +0.170 to +0.260)`."""
  size, side = f'{abs(found.mean):.3f}', 'less' if found.mean < 0 else 'more'
  if not comparison.is_known(found):
    return f'{size} {side} than {than}'
  zero = '' if found.clear else ', which includes zero'
  bounds = f'{signed(found.low)} to {signed(found.high)}{zero}'
  return f'{size} {side} than {than} (95% interval {bounds})'


def _share(found: Comparison) -> str:
  reference = isolated(found.reference.title)
  score = f'{found.score(found.reference):.3f}'
  if not found.room.mean > 0 or not (found.room.clear or math.isnan(found.room.low)):
    return (
      f'The reference, {reference}, has {score} and is not clearly better than'
      f' {isolated(found.random.title)}: there is little to learn here.'
    )
  text = f'The reference, {reference}, has {score}'
  if len(found.seeds) < comparison.SEEDS:
    return f'{text}.'
  if not comparison.is_known(found.share):
    return f'{text}; no share of its gain can be given.'
  low, high = (
    f'{100 * bound:.0f}%'.replace('-', '\u2212')
    for bound in (found.share.low, found.share.high)
  )
  earned = f'{headline(found)} of its gain ({low} to {high})'
  return f'{text}: {isolated(found.learned.title)} earns {earned}.'


def _basis(found: Comparison) -> str:
  seeds, asked = found.seeds, found.learned.questions
  if len(seeds) == 1 and asked:
    return f'One seed ({seeds[0]}): intervals are over its questions alone.'
  if len(seeds) == 1:
    return f'One seed ({seeds[0]}): a demonstration, no interval can be given.'
  return f'{len(seeds)} seeds.'


def _cost(found: Comparison) -> str:
  learning, run = found.learned.learning_seconds, found.learned.seconds
  if not learning or not run:
    return ''
  took, rest = statistics.fmean(learning), statistics.fmean(run)
  return (
    f' Learning the policy took {duration(took)} a seed, pre-training and fine-tuning'
    f' with it {duration(rest)}.'
  )


def duration(seconds: float) -> str:
  """Returns a time in the unit that reads best."""
  if seconds < 100:
    return f'{seconds:.0f} s'
  if seconds < 6000:
    return f'{seconds / 60:.1f} min'
  return f'{seconds / 3600:.1f} h'


def place(key: tuple[str, str, str], results: Sequence[Result]) -> str:
  """Returns the name of a section: its task, and target and base if they vary."""
  task, target, base = key
  details = []
  if len({r.target for r in results}) > 1:
    details.append(isolated(TARGETS.get(target, target)))
  if len({r.base for r in results}) > 1:
    details.append(isolated(base))
  task = isolated(task)
  return f'{task} ({", ".join(details)})' if details else task


def cautions(rows: Sequence[ResultRow], results: Sequence[Result]) -> list[str]:
  """Returns what a reader must know before trusting the comparison."""
  found = []
  for budget in summary.budgets(results):
    if not budget.equal:
      found.append(
        f'Unequal budgets on {place(summary.section(budget), results)}:'
        f' {budget.what} range from {budget.least:,.2f} to {budget.most:,.2f}, more'
        f' than {summary.BUDGET_TOLERANCE:.0%} apart, so the policies are not'
        ' comparable.'
      )
  commits = list(dict.fromkeys(row.commit for row in rows))
  if len(commits) > 1:
    found.append(
      f'The rows come from different commits: {", ".join(map(isolated, commits))}.'
    )
  configs = list(dict.fromkeys(row.config for row in rows))
  if len(configs) > 1:
    names = ', '.join(map(isolated, configs))
    found.append(f'The rows come from different configs: {names}.')
  if results and results[0].split != 'test':
    found.append('There are no test rows yet: these are validation scores.')
  return found


def unknown(results: Sequence[Result], display: Mapping[str, Display]) -> list[str]:
  """Returns a sentence on policies of which neither study nor table says the role."""
  names = dict.fromkeys(r.policy for r in results if r.policy not in display)
  if not names:
    return []
  listed = ', '.join(map(isolated, list(names)[:_SHOWN])) + ' ..' * (
    len(names) > _SHOWN
  )
  return [
    f'Nothing says what kind of policy {listed} is, so none of these counts as random,'
    ' learned or a reference.'
  ]


def impossible(
  records: Sequence[ImpossibleRecord], display: Mapping[str, Display]
) -> list[str]:
  """Returns a sentence for each policy that the data of a study do not allow."""
  found = []
  for record in records:
    name = isolated(workdir.title(display, record.policy))
    count = len(record.seeds)
    seeds = f'seed{"s" * (count > 1)} {", ".join(map(str, record.seeds))}'
    found.append(
      f'{name} is impossible on {isolated(record.task)}, {seeds}: {record.reason}.'
    )
  return found


def left_out(problems: Sequence[str]) -> list[str]:
  """Returns a sentence on the files that could not be used, naming the first."""
  if not problems:
    return []
  files = 'One file' if len(problems) == 1 else f'{len(problems):,} files'
  more = ' ..' if len(problems) > _SHOWN else ''
  return [f'{files} could not be used: {" ".join(problems[:_SHOWN])}{more}']


def bounds(values: Sequence[float]) -> str:
  """Returns the 95% interval of a score over seeds, cut where no score can be."""
  _, low, high = intervals.student(values)
  if math.isnan(low):
    return 'one seed'
  return f'{max(low, 0):.2f}\u2013{min(high, 1):.2f}'


def signed(value: float, digits: int = 3) -> str:
  """Returns `value` with its sign, a true minus; what rounds to zero is positive."""
  return f'{round(value, digits) + 0.0:+.{digits}f}'.replace('-', '\u2212')
