"""Guards before a policy is learned: whether an inner step overshoots.

Each is measured once, when learning begins, and kept in guards.json of the stage. What
would be noise is refused before time is spent, what is doubtful is said.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from masklearn.io import files, hosts
from masklearn.meta import Probed
from masklearn.training.context import StageContext
from masklearn.types import InputError

BATCHES = 4  # of episodes that are measured before the first update
FACTORS = 1 / 3, 3.0  # of the inner learning rate, at which influences are compared
SURE = 0.01  # the p-value below which a claim is no chance
# Share of the signs that a third of the step leaves; below, it is told. The demo has
# 0.99, with ten times its learning rate 0.93, and with a hundred times 0.79.
GOOD = 0.9


def kept(
  context: StageContext, name: str, measure: Callable[[], Mapping[str, Any]]
) -> dict[str, Any]:
  """What a measurement has found: measured at the first call, then read.

  Args:
    context: a file in its directory has what was found.
    name: of the measurement.
    measure: returns JSON.

  Raises:
    InputError: what `measure` raises; the next call measures again.
  """
  path = context.directory / 'guards.json'

  def read():
    with files.remade(path):
      return files.read_object(path) if path.exists() else {}

  found = hosts.told(read)
  if name not in found:
    found[name] = dict(measure())
    context.directory.mkdir(exist_ok=True)  # not its parents: those may be gone
    files.write_text(path, files.json_text(found), parents=False)
  return found[name]


def step_size(
  probe: Callable[[float], Probed], rate: float, context: StageContext
) -> dict[str, dict[str, float]]:
  """Compares influences at a third and at three times the inner learning rate.

  A small step changes the outer loss in proportion to its rate: divided by it, the
  influences are nearly the same at each, and their order and signs are. A step that
  overshoots says what a span changes in another place, and not what it teaches.

  Args:
    probe: what is found, on the host, at so many times the rate; of the same episodes,
      draws and keys.
    rate: the inner learning rate.
    context: what is found is said there.

  Returns:
    `sign_agreement`, the share of influences that have the sign that they have at the
    rate itself, and `rank_correlation`, Spearman's with these: each by factor. Empty
    where nothing has an influence, of which `policy_update.warn` tells.

  Raises:
    InputError: influences are not finite, reversed by a smaller step, or from a step
      that more than doubles the outer loss.
  """
  return kept(context, 'step_size', lambda: _step_size(probe, rate, context))


def _step_size(probe, rate, context):
  own = probe(1.0)
  cure = f'try a smaller learn.inner_learning_rate, such as {rate / 10:g}'
  must = f'learn.inner_learning_rate={rate:g}: an inner step must not overshoot'
  if not all(np.isfinite(x).all() for x in (own.influence, own.outer, own.before)):
    raise InputError(f'{must}, influences must be finite, and some are not; {cure}.')
  # The signs alone do not tell: a model that is lost agrees with itself, as all spans
  # are harmful (the demo with 0.3: 94% of the signs are those with 0.1).
  if _is_below((2 * own.before - own.outer).mean(1), 0.0):
    before, after = float(own.before.mean()), float(own.outer.mean())
    raise InputError(
      f'{must}, the outer loss must not double in it, and it goes from {before:.3g} to '
      f'{after:.3g}; {cure}.'
    )
  if not own.influence.any():
    return {}
  compared = {f: _agreement(own.influence, probe(f).influence) for f in FACTORS}
  signs, ranks = compared[FACTORS[0]]
  # Against the smaller step: what a larger one would do is no fault of this one. The
  # influences of an episode hang together, so an episode counts as one observation, and
  # two that have nothing in common agree in half of the signs: reversed is what is
  # below that beyond chance, and what is not known to be goes on.
  if _is_below(signs, 0.5) or _is_below(ranks, 0.0):
    raise InputError(
      f'{must}, a third of it must leave most influences their sign, and it leaves '
      f'{signs.mean():.0%} and a rank correlation of {ranks.mean():.2f}; {cure}.'
    )
  names = [f'{factor:.2g}' for factor in FACTORS]
  found = {
    name: {
      key: float(pair[k].mean())
      for key, pair in zip(names, compared.values(), strict=True)
    }
    for k, name in enumerate(('sign_agreement', 'rank_correlation'))
  }
  said = ', '.join(
    f'{pair[0].mean():.1%} and {pair[1].mean():.3f} at {key} times it'
    for key, pair in zip(names, compared.values(), strict=True)
  )
  context.progress.say(
    f'{context.title}: influences at inner_learning_rate={rate:g}, agreement of signs '
    f'and rank correlation: {said}'
  )
  if signs.mean() < GOOD:
    context.progress.say(
      f'WARNING: {context.title}: an inner step is so large that a third of it changes '
      f'{1 - signs.mean():.0%} of the signs of influences; if the policy does not '
      f'learn, {cure}.'
    )
  return found


def _agreement(own, other) -> np.ndarray:
  """Same signs and rank correlation of the influences [E, ..] of each episode, [2, E].

  Of episodes in which there are some.
  """
  found = []
  for a, b in zip(own.reshape(len(own), -1), other.reshape(len(own), -1), strict=True):
    moved = (a != 0) | (b != 0)  # not of padding, or of a step that is left out
    if len(np.unique(a[moved])) > 1 and len(np.unique(b[moved])) > 1:
      same = (np.sign(a) == np.sign(b))[moved].mean()
      found.append((same, stats.spearmanr(a[moved], b[moved]).statistic))
  return np.array(found or [(1.0, 1.0)]).T


def _is_below(values, bound) -> bool:
  """Whether the mean of independent values is below a bound, and not by chance."""
  if len(values) < 2:
    return False
  error = max(values.std(ddof=1) / len(values) ** 0.5, 1e-12)
  return bool(stats.t.cdf((values.mean() - bound) / error, len(values) - 1) < SURE)
