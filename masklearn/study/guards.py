"""Guards before a policy is learned: whether an inner step overshoots, and the noise.

Each is measured once, when learning begins, and kept in guards.json of the stage. What
would be noise is refused before time is spent, what is doubtful is said.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats

from masklearn.io import files, hosts
from masklearn.meta import Probed
from masklearn.meta.outer import Episode
from masklearn.training.context import StageContext
from masklearn.types import InputError

BATCHES = 4  # of episodes, from which the gradient's noise is estimated
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


class Noise(NamedTuple):
  """The noise of a policy's gradient."""

  # The squared norm of the mean gradient over the variance of an update's; of nothing
  # but noise it is 0 on average, and may be negative.
  start_snr: float
  # Episodes of an update at which that is 1; None if no signal was found.
  noise_scale: float | None


def noise_scale(total: Any, squares: float, count: int, episodes: int) -> Noise:
  """The noise scale of a gradient, from those g of n episodes.

  With the mean m, the variance of one episode's gradient and the squared norm of the
  expected one are estimated without bias by

    S = (sum |g|^2 - n |m|^2) / (n - 1),    G = |m|^2 - S / n.

  An update of E episodes has the signal-to-noise ratio G / (S / E), and S / G episodes
  have a ratio of 1.

  Args:
    total: the sum of the gradients, a tree of arrays.
    squares: the sum of their squared norms.
    count: n > 1.
    episodes: E, of an update.

  References:
    McCandlish et al., An Empirical Model of Large-Batch Training (2018), arXiv
    1812.06162: the simple noise scale, equation 2.9 and appendix A.1.

  >>> total = np.array([6.0, 0.0])  # of [1, 1], [2, -1] and [3, 0]
  >>> round(noise_scale(total, 2.0 + 5.0 + 9.0, 3, 2).start_snr, 2)
  3.33
  """
  mean = [np.asarray(x, np.float64) / count for x in jax.tree.leaves(total)]
  size = sum(float((x**2).sum()) for x in mean)
  variance = max((squares - count * size) / (count - 1), 1e-30)
  signal = size - variance / count
  return Noise(signal * episodes / variance, variance / signal if signal > 0 else None)


def gradient_noise(
  moments: Callable[[Episode, jax.Array], tuple[Any, np.ndarray]],
  stack: Callable[[int], Episode],
  key: jax.Array,
  episodes: int,
  context: StageContext,
) -> dict[str, float | None]:
  """The noise of the gradient before learning, of the first batches of episodes.

  Args:
    moments: of a batch and its keys, on the host: see `meta.make_moments`.
    stack: the episodes of batch i.
    key: a random key.
    episodes: E, of a batch.
    context: what is found is said there.

  Returns:
    The fields of `Noise`.
  """

  def measure():
    total, squares, count = None, 0.0, BATCHES * episodes
    for i in range(BATCHES):
      keys = jax.random.split(jax.random.fold_in(key, i), episodes)
      found, square = moments(stack(i), keys)
      total = found if total is None else jax.tree.map(np.add, total, found)
      squares += float(square)
      context.progress.check()
    noise = noise_scale(total, squares, count, episodes)
    needed = f'more than {count} episodes can tell'
    if noise.noise_scale is not None:
      needed = f'{noise.noise_scale:.0f} episodes an update'
    context.progress.say(
      f'{context.title}: signal to noise of the first gradient {noise.start_snr:.2f} '
      f'with {episodes} episodes an update; for 1 it takes {needed}'
    )
    return noise._asdict()

  return kept(context, 'noise', measure)


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
