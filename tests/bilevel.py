"""A bilevel problem in float64, small enough for finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn import meta, models, policies
from masklearn.meta import estimators, inner
from masklearn.meta.outer import Episode
from masklearn.training import losses, steps
from tests.hf import jit
from tests.small import IDS, T5_IDS, corrupt, make_batch, noise_like

PASSAGES = make_batch([[1, 2, 1, 1], [1, 1]])
QUESTIONS = make_batch([[1, 1, 1], [1, 1], [1]])
LONGEST, RATE = 2, 0.4
SIZES = {
  'width': 8, 'encoder_layers': 1, 'decoder_layers': 1, 'encoder_heads': 2,
  'decoder_heads': 2, 'encoder_ffn': 6, 'decoder_ffn': 6,
}  # fmt: skip
MORE = {
  'bart': {'max_positions': 16},
  't5': {'head_width': 3, 'buckets': 4, 'max_distance': 6},
}
OPTIMIZERS = {
  'sgd': lambda: optax.sgd(0.3),
  'momentum': lambda: optax.sgd(0.2, momentum=0.9),
  'adam': lambda: optax.adam(0.05, eps_root=1e-8),
  'along_gradient': lambda: optax.chain(
    optax.normalize_by_update_norm(), optax.scale(-0.3)
  ),
}


def wide(tree):
  """Every float of a tree as float64."""
  return jax.tree.map(
    lambda x: x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x, tree
  )


@functools.cache
def make_policy_and_theta():
  """A learned policy, moved away from its uniform start."""
  learned = policies.POLICIES['learned']
  policy = learned(RATE, 40, longest=LONGEST, width=4, kernel_size=3)
  # The last layer starts at zero, where the layers below have no gradient.
  theta = noise_like(jax.eval_shape(policy.init, jax.random.key(1)), 0.5, 2)
  return policy, theta


@functools.cache
def make_model(family='bart', dropout=0.1):
  """A tiny model in float64, and parameters; its special tokens."""
  ids = IDS if family == 'bart' else T5_IDS
  sizes = {**SIZES, **MORE[family], 'dtype': 'float64', 'dropout': dropout}
  net = models.make_model(family, 'tiny', 40, ids, **sizes)
  shapes = jax.eval_shape(functools.partial(models.init_params, net), jax.random.key(0))
  noise = noise_like(shapes, 0.3, 0)
  # Of a norm's scale, what is added to one.
  params = jax.tree_util.tree_map_with_path(
    lambda path, x: x + 1.0 if path[-1].key == 'scale' else x, noise
  )
  return net, params, ids


def warm(tx, params):
  """A state with moments: a fresh Adam's first step is nearly the gradient's sign."""

  def step(params, noise):
    return steps.apply_gradients(tx, steps.init_state(params, tx), noise)

  return jit(step)(params, noise_like(params, 0.1, 5))


@functools.cache
def questions(seed, ids):
  """Three questions in one array."""
  draw = policies.POLICIES['random'](0.5).draw({}, jax.random.key(seed), QUESTIONS)
  return wide(corrupt(QUESTIONS, draw, ids))


def make_episode(passages, ids=IDS):
  """Two questions, each of three rows, with others to tune on."""
  support, query = (
    jax.tree.map(lambda *x: jnp.stack(x), *[questions(seed, ids) for seed in seeds])
    for seeds in ((1, 2), (3, 4))
  )
  return Episode(passages, support, query, jnp.array([0.5, 2.0]))


def of_steps(count, passages=PASSAGES):
  """The passages of `count` steps."""
  return jax.tree.map(lambda x: np.stack([x] * count), passages)


class Problem:
  """A policy, a model and an episode, and meta-gradients of them."""

  def __init__(
    self, relaxation, family, count, optimizer, dropout=True, tuning='', **options
  ):
    """`count` is K, `tuning` another optimizer; options are the relaxation's."""
    self.policy, self.theta = make_policy_and_theta()
    net, params, ids = make_model(family)
    self.loss_sums = losses.make_loss_sums(net, train=dropout)
    self.tx, self.tuning_tx = OPTIMIZERS[optimizer](), None
    if tuning:
      self.tx, self.tuning_tx = inner.apart(self.tx, OPTIMIZERS[tuning]())
    self.state = warm(self.tx, params)
    if tuning:  # Either has moments, as those of the warm-up.
      moments = warm(self.tuning_tx, params).opt.fine_tuning
      self.state = self.state.replace(opt=self.state.opt._replace(fine_tuning=moments))
    self.episode = make_episode(of_steps(count), ids)
    if relaxation == 'mixture':
      options = {'candidates': 4, 'token_dropout': 0.3, 'chunk': 2, **options}
    self.relaxation = estimators.RELAXATIONS[relaxation](
      self.policy, self.loss_sums, ids, RATE, **options
    )
    # Compiling threefry takes longer than all the rest.
    self.key = jax.random.key(4, impl='rbg')
    sample = jit(functools.partial(self.meta(0).sample, temperature=0.7))
    self.draw = wide(sample(self.theta, self.episode.passages, jax.random.key(3)))

  def meta(self, tuned, **how):
    """A `MetaGradient` with so many fine-tuning steps."""
    how = {'tuning_tx': self.tuning_tx, 'fine_tune_steps': tuned, **how}
    return meta.make_meta_gradient(self.relaxation, self.loss_sums, self.tx, **how)

  def arguments(self):
    """What its functions take."""
    return self.theta, self.state, self.episode, self.draw, self.key
