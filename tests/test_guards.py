"""What is looked at before a policy learns: overshooting steps, and gradient noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.io import files
from masklearn.io.progress import Progress
from masklearn.meta import Probed
from masklearn.study import guards
from masklearn.training.context import StageContext
from masklearn.types import InputError

SHAPE = 8, 3, 1, 1, 5  # episodes, questions, K, P, candidates
INFLUENCE = np.random.default_rng(0).normal(size=SHAPE)


class Said(Progress):
  """Keeps what is said."""

  def __init__(self):
    super().__init__()
    self.lines = []

  def say(self, line):
    """Keeps a line."""
    self.lines.append(line)


def context_in(folder):
  """The context of a stage, with what it says."""
  return StageContext(folder, 'test', Said(), save_every=4, seed=0)


def probed(influence, before=1.0, after=0.9):
  """What a probe finds, with the same losses everywhere."""
  losses = np.ones(influence.shape[:2])
  return Probed(None, after * losses, influence, before * losses)


def checked(folder, own, third, **losses):
  """The check of a step of 0.3 with these influences, and what it says."""
  context = context_in(folder)
  by_factor = {1.0: own, guards.FACTORS[0]: third, guards.FACTORS[1]: 3 * own}
  found = guards.step_size(lambda f: probed(by_factor[f], **losses), 0.3, context)
  return found, context.progress.lines


def turned(share):
  """The influences with this share of their signs exchanged, and the sizes left."""
  at = np.random.default_rng(1).random(SHAPE) < share
  return np.where(at, -INFLUENCE, INFLUENCE) / 3


def test_a_small_step_has_the_influences_of_a_smaller_one(tmp_path):
  """Divided by the rate they are the same; said in one line, and measured once."""
  found, said = checked(tmp_path, INFLUENCE, INFLUENCE / 3)
  assert found['sign_agreement'] == {'0.33': 1.0, '3': 1.0}
  np.testing.assert_allclose(list(found['rank_correlation'].values()), 1.0, rtol=1e-6)
  assert len(said) == 1
  assert '100.0% and 1.000 at 0.33 times it' in said[0]
  assert checked(tmp_path, np.nan * INFLUENCE, INFLUENCE) == (found, [])


def test_padding_and_idle_episodes_do_not_count(tmp_path):
  """Influences that are zero at both rates agree in nothing."""
  own = INFLUENCE.copy()
  own[..., :2] = 0
  own[3] = 0
  found, _ = checked(tmp_path, own, np.where(own > 0.2, -own, own))
  wanted = 1 - (own > 0.2)[np.arange(8) != 3][..., 2:].mean()
  np.testing.assert_allclose(found['sign_agreement']['0.33'], wanted)
  assert checked(tmp_path / 'idle', 0 * own, 0 * own) == ({}, [])


@pytest.mark.parametrize('seed', range(3))
def test_noise_does_not_stop_it_and_is_told(seed, tmp_path):
  """Influences that have nothing in common have half of the signs by chance."""
  other = np.random.default_rng(10 + seed).normal(size=SHAPE)
  found, said = checked(tmp_path, INFLUENCE, other)
  assert 0.3 < found['sign_agreement']['0.33'] < 0.7
  assert 'WARNING' in said[1]
  assert 'learn.inner_learning_rate, such as 0.03' in said[1]


@pytest.mark.parametrize(('share', 'told'), [(0.02, False), (0.3, True)])
def test_some_signs_that_change_are_told(share, told, tmp_path):
  """Above a tenth of them."""
  _, said = checked(tmp_path, INFLUENCE, turned(share))
  assert ['WARNING' in line for line in said] == [False, *[True] * told]


@pytest.mark.parametrize(
  ('own', 'third', 'losses', 'message'),
  [
    (
      INFLUENCE,
      turned(0.8),
      {},
      'leave most influences their sign, and it leaves [12].%',
    ),
    (INFLUENCE, turned(1.0), {}, 'it leaves 0% and a rank correlation of -1.00'),
    (np.nan * INFLUENCE, INFLUENCE, {}, 'influences must be finite'),
    (INFLUENCE, INFLUENCE, {'after': np.inf}, 'influences must be finite'),
    (INFLUENCE, INFLUENCE, {'after': 2.5}, 'not double in it, and it goes from 1 to 2'),
  ],
)
def test_a_step_that_overshoots_is_refused(own, third, losses, message, tmp_path):
  """In one line, with what to try; nothing is kept, and the next call is refused."""
  for _ in range(2):
    with pytest.raises(InputError, match=message) as raised:
      checked(tmp_path, own, third, **losses)
    assert 'learn.inner_learning_rate=0.3' in str(raised.value)
    assert 'a smaller learn.inner_learning_rate, such as 0.03' in str(raised.value)
  # One episode may be any.
  if np.isfinite(own).all() and losses.get('after') != np.inf:
    checked(tmp_path, own[:1], third[:1], **losses)


def test_the_noise_scale_is_that_of_all_pairs_of_gradients():
  """Without bias: the mean product of two gradients, and their variance."""
  g = np.random.default_rng(0).normal(0.8, 1.0, size=(7, 4))
  total = {'a': g.sum(0)[:3], 'b': g.sum(0)[3:]}
  found = guards.noise_scale(total, (g**2).sum(), 7, 5)
  products = g @ g.T
  signal = products[~np.eye(7, dtype=bool)].mean()
  variance = g.var(0, ddof=1).sum()
  np.testing.assert_allclose(found.start_snr, 5 * signal / variance)
  np.testing.assert_allclose(found.noise_scale, variance / signal)


def test_the_noise_scale_of_known_gradients():
  """On average it finds them; of nothing but noise there is no signal on average."""
  rng, mean = np.random.default_rng(0), np.array([0.6, 0.0, 0.0, 0.8])
  for expected, size in ((mean, 1.0), (0 * mean, 0.0)):
    g = rng.normal(expected, 1.5, size=(400, 48, 4))
    ratios = [guards.noise_scale(x.sum(0), (x**2).sum(), 48, 9).start_snr for x in g]
    # The variance of an update of 9 is that of four numbers over 9.
    np.testing.assert_allclose(np.mean(ratios), size / (4 * 1.5**2 / 9), atol=0.01)
  assert guards.noise_scale(np.zeros(4), 48.0, 48, 9).noise_scale is None


def test_the_noise_of_the_first_batches(tmp_path):
  """Of all their episodes, each batch with keys of its own; measured once."""
  g = np.random.default_rng(0).normal(1.0, 1.0, size=(guards.BATCHES, 3, 4))
  keys = []

  def moments(stack, own):
    keys.append(jax.random.key_data(own))
    return {'a': stack.sum(0)}, np.float32((stack**2).sum())

  context = context_in(tmp_path)
  given = moments, lambda i: jnp.asarray(g[i]), jax.random.key(0), 3, context
  found = guards.gradient_noise(*given)
  flat = g.reshape(-1, 4)
  wanted = guards.noise_scale(flat.sum(0), (flat**2).sum(), len(flat), 3)
  np.testing.assert_allclose(found['start_snr'], wanted.start_snr, rtol=1e-5)
  np.testing.assert_allclose(found['noise_scale'], wanted.noise_scale, rtol=1e-5)
  assert len(np.unique(np.concatenate(keys), axis=0)) == len(flat)
  assert guards.gradient_noise(*given) == found
  assert len(keys) == guards.BATCHES
  (said,) = context.progress.lines
  assert f'first gradient {wanted.start_snr:.2f} with 3 episodes an update' in said


def test_what_was_measured_is_read(tmp_path):
  """Of each measurement by itself; a damaged file is said."""
  context = context_in(tmp_path)
  assert guards.kept(context, 'one', lambda: {'a': 1.5}) == {'a': 1.5}
  assert guards.kept(context, 'two', lambda: {'b': None}) == {'b': None}
  assert guards.kept(context, 'one', dict) == {'a': 1.5}
  assert files.read_object(tmp_path / 'guards.json').keys() == {'one', 'two'}
  (tmp_path / 'guards.json').write_text('{"one"')
  with pytest.raises(InputError, match=r'guards.json'):
    guards.kept(context, 'one', dict)
