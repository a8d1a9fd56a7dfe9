"""How much of a meta-gradient is left in fewer digits than float64.

One episode of span mixtures, K = J = 1, with the same candidates for all. What differs
are the digits of matrix products, which accelerators round unless they are told not to
(TF32 on GPUs, bfloat16 passes on TPUs), and those of the model's computation.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from benchmarks import bilevel, model_sizes
from masklearn.training import steps

# Name -> dtype of the model, precision of float32 products.
VARIANTS = {
  'float32, highest': ('float32', 'highest'),
  'float32, as the device likes': ('float32', 'default'),
  'float32, TF32': ('float32', 'tensorfloat32'),
  'float32, bfloat16 passes': ('float32', 'bfloat16'),
  'bfloat16': ('bfloat16', 'default'),
}


def measure(size: str) -> dict[str, dict[str, float]]:
  """Compares influences and gains with float64's on the processor.

  Args:
    size: of a BART.

  Returns:
    For each variant the `cosine` and the rank correlation `spearman` of the influences,
    and the largest error of a question's `gain`, relative to the largest gain.
  """
  draw = _draw(size)
  processor = jax.devices('cpu')[0]
  with jax.enable_x64(True), jax.default_device(processor):
    wanted, gains = _influences(size, 'float64', draw)
  found = {}
  for name, (dtype, products) in VARIANTS.items():
    with jax.default_matmul_precision(products):
      influence, gain = _influences(size, dtype, draw)
    norms = np.linalg.norm(influence) * np.linalg.norm(wanted)
    found[name] = {
      'cosine': float(influence @ wanted / norms),
      'spearman': float(stats.spearmanr(influence, wanted).statistic),
      'gain_error': float(np.abs(gain - gains).max() / np.abs(gains).max()),
    }
  return found


@functools.cache
def _given(size, dtype):
  """The model, its policy, theta and the meta-gradient."""
  model = model_sizes.make_model('bart', size, dtype=dtype)
  policy = bilevel.make_policy(model)
  _, gradient = bilevel.make_gradient(model, policy, 'low', 'mixture')
  return model, policy, gradient


def _draw(size):
  model, policy, gradient = _given(size, 'float32')
  work = bilevel.make_work(model.config.vocab_size, 1)
  theta = policy.init(jax.random.key(0))
  given = theta, work.episode.passages, jax.random.key(1)
  return jax.device_get((theta, jax.jit(gradient.sample)(*given)))


def _influences(size, dtype, given):
  """The influences [N] and the gain of each question [Q]."""
  theta, draw = given
  model, _, gradient = _given(size, dtype)
  pair = model_sizes.pair('bart', size)  # the same parameters for all
  wide = 'float64' if dtype == 'float64' else 'float32'
  work = bilevel.make_work(model.config.vocab_size, 1, wide)

  def cast(tree):
    return jax.tree.map(
      lambda x: jnp.asarray(x, wide) if np.issubdtype(x.dtype, np.floating) else x,
      jax.device_get(tree),
    )

  theta, draw, params, episode = map(cast, (theta, draw, pair.params, work.episode))
  state = steps.init_state(params, bilevel.TX)
  key = jax.random.key(2, impl='rbg')
  outer, influence, before = jax.device_get(
    jax.jit(gradient.influences)(theta, state, episode, draw, key)
  )
  influence = jax.tree.leaves(influence)[0]
  return influence.ravel().astype(np.float64), (before - outer).astype(np.float64)
