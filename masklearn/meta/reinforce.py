"""REINFORCE: a meta-gradient that differentiates nothing but the policy."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from masklearn.io.lookup import check_name
from masklearn.meta import unroll
from masklearn.meta.gradient import MetaGradient, merge_steps
from masklearn.meta.outer import make_outer
from masklearn.meta.relaxations import Relaxation
from masklearn.policies import sampling
from masklearn.training import corruption
from masklearn.types import Batch, InputError, Policy, Specials

BASELINE = 'baseline'  # of theta: the gain that the learned one expects, in scales


class Draws(NamedTuple):
  """S hard draws of the passages of an episode."""

  spans: sampling.Spans  # [S, K, P, ..]
  shown: Batch  # [K, P, L] the passages as the policy reads them
  passages: Batch  # [K, P, L] as they are


def with_baseline(theta):
  """The parameters of a policy with one for the learned baseline, which expects 0."""
  return {**theta, BASELINE: jnp.zeros(())}


def without_baseline(theta):
  """The parameters of a policy alone."""
  return {name: value for name, value in theta.items() if name != BASELINE}


def hard_draws(
  policy: Policy,
  loss_sums: Callable,
  ids: Specials,
  rate: float,
  *,
  target: str = 'spans',
  target_length: int | None = None,
  samples: int = 4,
  baseline: str = 'others',
  token_dropout: float = 0.0,
) -> Relaxation:
  """S hard draws, whose decisions are their log-probabilities [S].

  With the baseline 'learned', `theta[BASELINE]` is one decision more, [S + 1].

  Args:
    policy: that draws by scores.
    loss_sums: of the model, see `losses.make_loss_sums`.
    ids: the special tokens.
    rate: the policy's budget.
    target: the objective's output format.
    target_length: T of the targets.
    samples: S, at least 2 with the baseline 'others'.
    baseline: 'others', or 'learned' for a theta of `with_baseline`.
    token_dropout: share of the tokens that the policy sees as `<mask>`, in all S alike.

  Raises:
    InputError: there is no such baseline, or no other sample for it.
  """
  check_name(('others', 'learned'), baseline, 'baseline')
  if baseline == 'others' and samples < 2:
    raise InputError(f"The baseline 'others' needs at least 2 samples, got {samples}.")

  def value(params, decisions, batch, key):
    texts, draw = batch
    examples = corruption.corrupt(texts, draw, ids, target, target_length)
    total, weight = loss_sums(params, key, examples)
    return (total / jnp.maximum(weight, 1e-6)).mean()

  def sample(theta, passages, key, temperature=1.0):
    key_drop, key_draw = jax.random.split(key)
    shown = sampling.drop_tokens(key_drop, passages, ids.mask, token_dropout)
    texts = merge_steps(shown)
    scores = policy.scores(theta, texts)

    def one(key):
      return sampling.draw_spans(key, scores, texts, rate)

    spans = jax.lax.map(one, jax.random.split(key_draw, samples))
    shape = passages.tokens.shape[:2]
    spans = jax.tree.map(lambda x: x.reshape(samples, *shape, *x.shape[2:]), spans)
    return Draws(spans, shown, passages)

  def decide(theta, draws):
    texts = merge_steps(draws.shown)
    scores = policy.scores(theta, texts)

    def one(spans):
      return sampling.log_prob(scores, merge_steps(spans), texts, rate).sum()

    log_probs = jax.lax.map(one, draws.spans)
    if baseline == 'others':
      return log_probs
    return jnp.concatenate([log_probs, theta[BASELINE][None].astype(log_probs.dtype)])

  return Relaxation(sample, decide, unroll.make_loss(value))


def make_score_gradient(
  draws: Relaxation,
  loss_sums: Callable,
  tx: optax.GradientTransformation,
  *,
  baseline: str = 'others',
  fine_tune_steps: int = 0,
  tuning_tx=None,
) -> MetaGradient:
  """REINFORCE: what hard draws cost goes to their log-probabilities.

  Unbiased for the expected outer loss under hard draws, through any steps, and of
  high variance: nothing is differentiated but the policy. An influence is what a draw
  has cost beyond its baseline, over S. The baseline is the mean of the other draws, or
  a learned one: the outer loss without the denoising steps, less the gain that
  `theta[BASELINE]` expects, in the question's scale. The influence of that decision
  over the scale is the slope of half its squared error in scales.

  Args:
    draws: of `hard_draws`, with the same baseline.
    loss_sums: of the model, see `losses.make_loss_sums`.
    tx: the inner optimizer; any.
    baseline: 'others' or 'learned'.
    fine_tune_steps: J.
    tuning_tx: of the fine-tuning steps, such as with another learning rate; it goes
      on with the state of `tx`, see `inner.apart` for a state of its own. None is `tx`.

  References:
    Williams, REINFORCE (1992). Kool et al., Buy 4 REINFORCE Samples, Get a Baseline
    for Free (2019). Kang et al., Neural Mask Generator (2020), has it with a reward.
  """
  outer = make_outer(loss_sums, tuning_tx or tx, fine_tune_steps)

  def outer_losses(state, episode, drawn, key):
    """Of each sample, [S, Q]; and without the denoising steps, [Q]."""
    key_inner, key_tune, key_outer = jax.random.split(key, 3)
    keys = unroll.keys(key_inner, len(drawn.shown.tokens))

    def one(spans):
      masks = jax.vmap(sampling.to_draw)(spans, drawn.passages)
      items = unroll.Items((), (drawn.passages, masks), keys)
      after = unroll.run(draws.loss, tx, state, items)
      return outer.run(after, episode, key_tune, key_outer)

    return jax.lax.map(one, drawn.spans), outer.run(state, episode, key_tune, key_outer)

  def influences(theta, state, episode, drawn, key):
    values, before = outer_losses(state, episode, drawn, key)
    samples = len(values)
    if baseline == 'others':
      expected = (values.sum(0)[None] - values) / (samples - 1)
      return values.mean(0), ((values - expected) / samples).T, before
    expected = before - theta[BASELINE] * episode.scale
    beyond = (values - expected[None]) / samples  # [S, Q]
    slope = beyond.sum(0, keepdims=True)
    return values.mean(0), jnp.concatenate([beyond, slope]).T, before

  return MetaGradient(draws.sample, draws.decide, influences)
