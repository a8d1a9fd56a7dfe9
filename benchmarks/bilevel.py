"""The episode that the cases about meta-gradients share, and its meta-gradients."""

from typing import NamedTuple

import jax
import numpy as np
import optax

from benchmarks import model_sizes
from masklearn import meta, policies
from masklearn.meta import estimators, relaxations
from masklearn.meta.outer import Episode
from masklearn.training import losses
from masklearn.types import Batch, Corrupted, Policy

PASSAGES, LENGTH = 8, 128  # of each denoising step; with <s> and </s>
QUESTIONS, SOURCE, TARGET = 8, 16, 8
RATE = 0.05  # of plain SGD, in the denoising steps and in the one of fine-tuning
TX = optax.sgd(RATE)
HIDDEN = 0.15  # of the words of a passage
IDS = model_sizes.IDS['bart']
# How to go back, by name: a mode and what it keeps.
ESTIMATORS = {
  'low': {'mode': 'mixed', 'memory': 'low'},
  'fast': {'mode': 'mixed', 'memory': 'fast'},
  'reverse': {'mode': 'reverse'},
}
CHUNK = {'low': 4, 'fast': PASSAGES, 'reverse': 4}  # passages in memory at once
CANDIDATES, TARGET_LENGTH = 16, 16  # of each passage, and of each candidate's target


class Work(NamedTuple):
  """The inputs of both sides, as numpy arrays."""

  tokens: np.ndarray  # [K, P, L] int32
  shares: np.ndarray  # [K, P, L] how much of each token is hidden
  support: Corrupted  # questions of the fine-tuning step
  query: Corrupted  # and of the outer loss

  @property
  def whole(self) -> tuple[np.ndarray, np.ndarray]:
    """The passages with <s> and </s>, and as the decoder reads them: [K, P, L + 2]."""
    ends = (0, 0), (0, 0), (1, 1)
    ids = (0, 0), (0, 0), (IDS.bos, IDS.eos)
    whole = np.pad(self.tokens, ends, constant_values=ids)
    start = np.full_like(whole[..., :1], IDS.decoder_start)
    return whole, np.concatenate([start, whole[..., :-1]], -1)

  @property
  def episode(self) -> Episode:
    """The same for our side: every token is a word."""
    tokens, none = self.tokens, np.zeros_like(self.tokens)
    word = none + np.arange(tokens.shape[-1], dtype=np.int32)
    passages = Batch(tokens, none == 0, word, none, none, none)
    support, query = jax.tree.map(lambda x: x[None], (self.support, self.query))
    return Episode(passages, support, query, np.ones(1, np.float32))


def make_work(vocabulary: int, count: int, dtype: str = 'float32') -> Work:
  """Everything random, from one seed, for K = `count` steps."""
  rng = np.random.default_rng(0)
  shape = count, PASSAGES, LENGTH - 2
  tokens = rng.integers(110, vocabulary, shape).astype(np.int32)
  shares = rng.uniform(0.05, 0.3, shape).astype(dtype)

  def question():
    source = rng.integers(110, vocabulary, (QUESTIONS, SOURCE)).astype(np.int32)
    target = rng.integers(110, vocabulary, (QUESTIONS, TARGET)).astype(np.int32)
    shifted = np.roll(target, 1, axis=1)
    shifted[:, 0] = IDS.decoder_start
    weight = np.ones(target.shape, dtype)
    return Corrupted(source, np.ones(source.shape, bool), shifted, target, weight)

  return Work(tokens, shares, question(), question())


def make_policy(model) -> Policy:
  """The learned one, with a table of words as wide as the model's."""
  vocabulary, width = model.config.vocab_size, model.config.width
  return policies.POLICIES['learned'](HIDDEN, vocabulary, embedding=width)


def make_gradient(
  model, policy: Policy | None, estimator: str, name: str = 'soft', **options
) -> tuple[relaxations.Relaxation, meta.MetaGradient]:
  """A relaxation by name and the meta-gradient through it, with J = 1.

  Options are the relaxation's; without `decide` among them it needs a policy.
  """
  loss_sums = losses.make_loss_sums(model)
  options['chunk'] = CHUNK[estimator]
  if name == 'mixture':
    options |= {'candidates': CANDIDATES, 'target_length': TARGET_LENGTH}
    options['chunk'] *= 2  # as a candidate's target is short
  relaxation = estimators.RELAXATIONS[name](policy, loss_sums, IDS, HIDDEN, **options)
  how = {'fine_tune_steps': 1, **ESTIMATORS[estimator]}
  return relaxation, meta.make_meta_gradient(relaxation, loss_sums, TX, **how)
