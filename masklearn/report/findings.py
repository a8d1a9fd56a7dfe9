"""What a study found, in sentences that claim no more than its rows show."""

import math
from collections.abc import Mapping, Sequence

from masklearn.evaluation import intervals
from masklearn.evaluation.results import Display, ResultRow
from masklearn.io.visible import isolated
from masklearn.report import summary
from masklearn.report.summary import Comparison, Result

_SHOWN = 3  # of a long list
TARGETS = {'spans': 'masked spans only', 'full': 'full sentence'}


def headline(comparison: Comparison) -> str:
  """Returns the share of the reference's gain that was learned, e.g. `93%`."""
  share = comparison.share
  return 'n/a' if math.isnan(share) else f'{100 * share:.0f}%'.replace('-', '\u2212')


def sentence(comparison: Comparison, results: Sequence[Result]) -> str:
  """Returns the finding of one section, with its scores and its uncertainty.

  results: those of all sections, which say how this one differs.
  """
  c = comparison
  learned, random, reference = map(isolated, c.titles)
  scores = (
    f'exact match {c.learned:.3f}, against {c.random:.3f} for {random} and'
    f' {c.reference:.3f} for the {reference}, an upper bound.'
  )
  if math.isnan(c.share) and max(c.room) > 0:
    claim = (
      f'the {reference} does not beat random masking on every seed, so no share of'
      ' its gain can be given'
    )
  elif math.isnan(c.share):
    claim = (
      f'the {reference} does not beat random masking, so there is nothing to learn'
    )
  elif c.learned <= c.random:
    claim = f'the {learned} policy does not beat random masking'
  else:
    claim = (
      f'the {learned} policy earns {headline(c)} of what the {reference} gains over'
      ' random masking'
    )
  where = place(summary.section(c), results)
  return f'On {where}, {claim}: {scores} {uncertainty(c)}'


def uncertainty(comparison: Comparison) -> str:
  """Returns how far the difference between learned and random can be trusted."""
  mean, low, high = comparison.difference
  seeds = comparison.seeds
  if len(seeds) == 1:
    return f'One seed ({seeds[0]}): a demonstration, no interval can be given.'
  verdict = '' if low > 0 or high < 0 else ', which includes zero'
  return (
    f'Paired difference over {len(seeds)} seeds {signed(mean)}, 95% interval'
    f' {signed(low)} to {signed(high)}{verdict}.'
  )


def highest(results: Sequence[Result]) -> list[str]:
  """Returns a sentence for each section: its best policies, and how one compares.

  For studies without a learned policy or a reference to compare it with.
  """
  found = []
  for key, group in summary.sections(results).items():
    ranked = [r for r in group if not r.upper_bound] or group
    most = max(r.mean_em for r in ranked)
    top, *equals = [r for r in ranked if r.mean_em == most]
    text = (
      f'On {place(key, results)}, the highest exact match is {most:.3f}:'
      f' {", ".join(isolated(r.name) for r in (top, *equals))}.'
    )
    random = None if equals else summary.best_random(group)
    gain = summary.gain(top, random) if random and random is not top else None
    if gain and not math.isnan(gain[1]):
      mean, low, high = map(signed, gain)
      verdict = ', which includes zero' if gain[1] <= 0 <= gain[2] else ''
      text += (
        f' Paired difference from {isolated(random.name)} {mean}, 95% interval {low} to'
        f' {high}{verdict}.'
      )
    found.append(text)
  return found or ['No results yet.']


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
