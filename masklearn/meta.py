"""The downstream loss, differentiated through the model's own training to a policy.

A policy's parameters theta are worth what they do to a later task: the outer loss
on questions after (a) one denoising step on passages that the policy masked and (b)
J fine-tuning steps on questions,

  params'  = update(params,  grad L_pre(params; theta))             (a)
  params'' = update(params', grad L_support(params'))               (b), J times
  outer    = L_query(params'').

The mixture relaxation: a draw hides spans one after the other until a budget of
words is used up, so that in the long run the loss of a hidden word is

  L_pre = sum_s pi(s) L_s / sum_s pi(s) n(s),

with pi the softmax of the policy's scores over all candidate spans of a passage,
L_s the summed loss of hiding span s alone and n(s) its words. A word that adds
nothing is charged at the going rate. With v the cotangent that the outer loss
leaves on the gradient of step (a), carried back through (b) and through the VJP of
the optimizer's update,

  d outer / d w(s) = <grad L_s(params), v>,   w(s) = pi(s) / sum_t pi(t) n(t),

one directional derivative of the vector of candidate losses: the influence of every
span, without a graph of a backward pass. Exact for a step on L_pre. Where memory
holds the gradients of all candidates, the same products serve every question.

The candidates are spans sampled from a passage, see `policies.candidates`, and the
sums over all spans are estimated from them without bias.

References:
  Ye et al., On the Influence of Masking Policies in Intermediate Pre-training
  (2021), section 3.2: one denoising step and one fine-tuning step, then the loss on
  the same question. Kemaev et al., MixFlow-MG (2025), arXiv 2505.00793: forward over
  reverse for the Hessian of the later steps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn import objective, steps
from masklearn.policies import candidates as proposals
from masklearn.types import (
  Batch,
  Corrupted,
  InputError,
  Policy,
  Specials,
  TrainState,
)


class Episode(NamedTuple):
  """Passages and Q questions about them; each question is an episode of the paper.

  All start from the same denoising step, and have fine-tuning steps of their own.
  """

  passages: Batch  # [P, L]; P = 1 in the paper
  support: Corrupted  # [Q, R, ..] R questions of each one's fine-tuning steps
  query: Corrupted  # [Q, R, ..] R questions of each outer loss; the paper: the same
  unit: jax.Array  # [Q] what gains are counted in, see `Episodes.measure_units`


class MetaGradient(NamedTuple):
  """Four functions of one episode, over the same candidates."""

  sample: Callable  # (theta, passages, key) -> Candidates
  outer_loss: Callable  # (theta, state, episode, candidates, key) -> [Q]
  # (theta, state, episode, candidates, key) -> ([Q], influences [Q, P, M], before [Q])
  # The derivatives of the outer losses by the candidates' weights, and what the outer
  # losses are without the denoising step.
  influences: Callable
  gradient: Callable  # the same, but ([Q], gradients by theta [Q, ..], before [Q])


def make_meta_gradient(
  policy: Policy,
  row_sums: Callable,
  tx: optax.GradientTransformation,
  ids: Specials,
  rate: float,
  *,
  target: str = 'spans',
  target_length: int | None = None,
  candidates: int = 16,
  explore: float = 0.5,
  blot: float = 0.0,
  fine_tune_steps: int = 0,
  chunk: int = 64,
  memory: str = 'low',
) -> MetaGradient:
  """The outer losses of an episode and their gradients with respect to the policy.

  `influences` are exact for `outer_loss` at the given candidates, and `gradient` is
  them through the candidates' weights. `outer_loss` runs the same steps forward and
  can be differentiated as it is, at the cost of a graph of the inner backward passes.

  Args:
    policy: whose scores are differentiated.
    row_sums: of the model, see `losses.make_row_sums`.
    tx: the inner optimizer, of both kinds of steps; any differentiable one. Adam
      needs `eps_root` > 0, or the gradient is NaN.
    ids: the special tokens.
    rate: the policy's, for the spans that are drawn before a candidate.
    target: the objective's output format.
    target_length: T of the candidates' targets.
    candidates: M, spans sampled from each passage.
    explore: share of uniform candidates, see `policies.candidates`.
    blot: share of the tokens that the policy sees as `<mask>`, anew in every
      sample: what it cannot always see it cannot learn by heart.
    fine_tune_steps: J.
    chunk: candidate examples in memory at once.
    memory: 'low' recomputes the candidates, once for the step and once for every
      question, forwards; 'fast' keeps the gradients of all P * M, which costs half
      for one question and next to nothing for each further one. It runs each
      candidate by itself, under one dropout mask for all: with dropout it is a
      gradient of the same loss under other masks than those of `outer_loss`.

  Raises:
    InputError: if `explore * candidates` is no whole number, or `memory` is unknown.
  """
  if memory not in ('low', 'fast'):
    raise InputError(f"memory must be 'low' or 'fast', got {memory!r}.")
  if explore * candidates % 1:
    raise InputError(
      'explore * candidates, the spans sampled uniformly, must be a whole number, '
      f'got {explore} * {candidates}.'
    )

  def question_loss(params, key, questions):
    total, weight = row_sums(params, key, questions)
    return (total / jnp.maximum(weight, 1e-6)).mean()

  def sample(theta, passages, key):
    return proposals.sample(
      policy, theta, passages, key, ids.mask, rate, candidates, explore, blot
    )

  def chunks(episode, spans):
    examples = objective.corrupt_spans(
      episode.passages, spans.start, spans.length, ids, target, target_length
    )
    return _in_chunks(examples, chunk)

  def inner_gradient(params, weight, examples, key):
    """The gradient of the expected loss; weight [C, chunk] as `examples`."""

    def add(total, item):
      examples, weight = item

      def expected_loss(params):
        return (weight * row_sums(params, key, examples)[0]).sum()

      return jax.tree.map(jnp.add, total, jax.grad(expected_loss)(params)), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    return jax.lax.scan(add, zeros, (examples, weight))[0]

  def candidate_gradients(params, examples, key):
    def of_row(row):
      rows = jax.tree.map(lambda x: x[None], row)
      return jax.grad(lambda params: row_sums(params, key, rows)[0].sum())(params)

    each = jax.lax.map(jax.vmap(of_row), examples)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), each)

  def products(params, v, examples, key):
    def of_chunk(examples):
      def candidate_losses(params):
        return row_sums(params, key, examples)[0]

      return jax.jvp(candidate_losses, (params,), (v,))[1]

    return jax.lax.map(of_chunk, examples)

  def tune_gradient(params, support, key, j):
    key = jax.random.fold_in(key, j)
    return jax.grad(question_loss)(params, key, support)

  def outer_loss(theta, state, episode, spans, key):
    key_inner, key_tune, key_outer = jax.random.split(key, 3)
    examples = chunks(episode, spans)
    weight = _in_chunks(proposals.weights(policy, theta, spans).reshape(-1), chunk)
    grads = inner_gradient(state.params, weight, examples, key_inner)
    after = steps.apply_gradients(tx, state, grads)

    def one(questions):
      return tuned_loss(after, *questions, key_tune, key_outer)

    return jax.lax.map(one, (episode.support, episode.query))

  def tuned_loss(state, support, query, key_tune, key_outer):
    """The outer loss of one question after (b) from `state`."""
    for j in range(fine_tune_steps):
      grads = tune_gradient(state.params, support, key_tune, j)
      state = steps.apply_gradients(tx, state, grads)
    return question_loss(state.params, key_outer, query)

  def tune(after, support, query, key_tune, key_outer):
    """The outer loss of one question, and its cotangent for the state `after` (a)."""
    tuning = []
    for j in range(fine_tune_steps):
      before, grad_fn = after, lambda p, j=j: tune_gradient(p, support, key_tune, j)
      after, pull = _vjp_update(tx, before, grad_fn(before.params))
      tuning.append((before.params, grad_fn, pull))
    outer, v = jax.value_and_grad(question_loss)(after.params, key_outer, query)
    cotangent = _zero_cotangent(after).replace(params=v)
    # Each step adds its Hessian times the gradient's cotangent.
    for params, grad_fn, pull in reversed(tuning):
      cotangent, v = pull(cotangent)
      _, curvature = jax.jvp(grad_fn, (params,), (v,))
      cotangent = cotangent.replace(
        params=jax.tree.map(jnp.add, cotangent.params, curvature)
      )
    return outer, cotangent

  def influences(theta, state, episode, spans, key):
    key_inner, key_tune, key_outer = jax.random.split(key, 3)
    examples = chunks(episode, spans)
    weight = proposals.weights(policy, theta, spans)  # [P, M]

    # (a) the denoising step on the expected loss.
    if memory == 'fast':
      each = candidate_gradients(state.params, examples, key_inner)  # [P * M, ..]
      grads = jax.tree.map(lambda g: jnp.tensordot(weight.reshape(-1), g, 1), each)
    else:
      flat = _in_chunks(weight.reshape(-1), chunk)
      grads = inner_gradient(state.params, flat, examples, key_inner)
    after, pull_inner = _vjp_update(tx, state, grads)

    def one(questions):
      outer, cotangent = tune(after, *questions, key_tune, key_outer)
      before = tuned_loss(state, *questions, key_tune, key_outer)
      return outer, before, pull_inner(cotangent)[1]

    # Back through (a): the influence of each candidate, and so of its weight.
    questions = episode.support, episode.query
    if memory == 'fast':
      outer, before, v = jax.vmap(one)(questions)
      influence = _products(v, each)  # [Q, P * M]
    else:
      outer, before, v = jax.lax.map(one, questions)
      influence = jax.lax.map(
        lambda v: products(state.params, v, examples, key_inner), v
      )
    influence = influence.reshape(-1, *weight.shape)  # [Q, P, M]
    return outer, influence, before

  def gradient(theta, state, episode, spans, key):
    outer, influence, before = influences(theta, state, episode, spans, key)
    _, pull = jax.vjp(lambda theta: proposals.weights(policy, theta, spans), theta)
    return outer, jax.vmap(pull)(influence)[0], before

  return MetaGradient(sample, outer_loss, influences, gradient)


class Probed(NamedTuple):
  """What hiding spans of E episodes does to the questions of each."""

  spans: proposals.Candidates  # [E, ..]
  outer: jax.Array  # [E, Q] the outer losses
  influence: jax.Array  # [E, Q, P, M] their derivatives by the candidates' weights
  before: jax.Array  # [E, Q] the outer losses without the denoising step


def probe(meta_gradient: MetaGradient, theta, state, episodes, keys) -> Probed:
  """Samples candidates for each of E episodes, and measures their influences.

  Every episode has inner steps of its own, from the same `state` of the model: what
  one passage teaches shows in the questions about it, and would be lost in the mean
  over the questions about others. One is in memory at a time.

  Args:
    meta_gradient: see `make_meta_gradient`.
    theta: of the policy.
    state: of the model, before the denoising step.
    episodes: an `Episode` of arrays [E, ..].
    keys: E random keys.
  """

  def one(item):
    episode, key = item
    key_sample, key_steps = jax.random.split(key)
    spans = meta_gradient.sample(theta, episode.passages, key_sample)
    return Probed(
      spans, *meta_gradient.influences(theta, state, episode, spans, key_steps)
    )

  return jax.lax.map(one, (episodes, keys))


def make_policy_step(policy: Policy, tx, bonus):
  """Returns `step(state, probed, unit) -> (state, metrics)` on theta.

  `probed` is of E episodes with the theta of `state`, and `unit` [E, Q] theirs. Theta
  ascends the mean of `gain + bonus(step) * entropy`; a question's gain is what the
  denoising step lowers its outer loss by, in its unit. Alone it is linear in the
  policy, and would end in the one most influential span of a passage, while a draw
  hides several.

  Args:
    policy: what learns.
    tx: the optimizer of theta.
    bonus: weight of the entropy, a function of the step such as optax's schedules.
  """

  def step(state: TrainState, probed: Probed, unit: jax.Array):
    weight = bonus(state.step)
    # The mean over questions, each in its unit, goes back to theta at once.
    slopes = (probed.influence / unit[..., None, None]).mean(1)  # [E, P, M]

    def one(item):
      spans, slope = item

      def descended(theta):
        # On the passages as they were shown: on others the entropy would undo what
        # they teach.
        nats = proposals.entropy(policy, theta, spans.shown)
        chosen = proposals.weights(policy, theta, spans)
        return (slope * chosen).sum() - weight * nats, nats

      return jax.grad(descended, has_aux=True)(state.params)

    gradients, nats = jax.lax.map(one, (probed.spans, slopes))
    gradient = jax.tree.map(lambda x: x.mean(0), gradients)
    metrics = {
      'loss': probed.outer.mean(),
      'gain': ((probed.before - probed.outer) / unit).mean(),
      'entropy': nats.mean(),
      'grad_norm': optax.tree.norm(gradient),
    }
    return steps.apply_gradients(tx, state, gradient), metrics

  return step


def _products(v, each) -> jax.Array:
  """The products [Q, R] of trees whose leaves are [Q, ..] and [R, ..]."""

  def product(a, b):
    return a.reshape(len(a), -1) @ b.reshape(len(b), -1).T

  return sum(jax.tree.leaves(jax.tree.map(product, v, each)))


def _vjp_update(tx, state, grads):
  return jax.vjp(lambda s, g: steps.apply_gradients(tx, s, g), state, grads)


def _zero_cotangent(tree):
  """Zeros to pull back; integers, such as counts of steps, have none but float0."""

  def zero(x):
    if jnp.issubdtype(x.dtype, jnp.inexact):
      return jnp.zeros_like(x)
    return np.zeros(x.shape, jax.dtypes.float0)

  return jax.tree.map(zero, tree)


def _in_chunks(tree, chunk):
  """Rows [R, ...] as [R / chunk, chunk, ...]; the largest chunk that divides R."""
  rows = len(jax.tree.leaves(tree)[0])
  chunk = max(c for c in range(1, min(chunk, rows) + 1) if rows % c == 0)
  return jax.tree.map(lambda x: x.reshape(rows // chunk, chunk, *x.shape[1:]), tree)
