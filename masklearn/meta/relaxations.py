"""Relaxations of a hard draw: decisions that a model's loss is smooth in.

A hard draw is a choice, and has no derivative. A relaxation puts decisions d in its
place that the policy's parameters theta move smoothly, and a pre-training loss

  L(params, d) = mean over passages of l(params, d of the passage)

that is smooth in them. What is random is sampled first, and held.

  mixture            d = pi(s) of candidate spans, L = the expected loss of a draw
  soft               d = share of each token that is hidden, under a temperature
  straight_through   d = a hard draw, with the derivatives of the soft one; biased

Mixture: a draw hides spans one after the other until a budget of words is used up, so
that in the long run the loss of a hidden word is

  l = sum_s pi(s) L_s / sum_s pi(s) n(s),

with pi the softmax of the policy's scores over all candidate spans of the passage, L_s
the summed loss of hiding span s alone and n(s) its words. A word that adds nothing is
charged at the going rate. The sums are estimated from sampled spans, without bias, see
`mixture.propose`. It is exact for a step on this L. It equals the gradient of hard
draws to first order in the step, and only where a draw is one span (of targets with
equally many tokens): spans of a draw are hidden together, and none is drawn twice.

Soft: tokens' embeddings are mixed with that of `<mask>`, and the loss of a token counts
by how much it is hidden (`spans`) or fully (`full`), see `corruption.corrupt_tokens`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from masklearn.meta import mixture as proposals
from masklearn.meta import soft as shares
from masklearn.meta import unroll
from masklearn.training import corruption
from masklearn.types import InputError, Policy, Specials


class Relaxation(NamedTuple):
  """Decisions, and the loss of a step on them; P passages are their first axis."""

  sample: Callable  # (theta, passages [P, L], key, temperature) -> draw
  decide: Callable  # (theta, draw) -> decisions
  loss: unroll.Loss  # of (params, decisions, draw, key)


def mixture(
  policy: Policy,
  loss_sums: Callable,
  ids: Specials,
  rate: float,
  *,
  target: str = 'spans',
  target_length: int | None = None,
  candidates: int | None = 16,
  uniform_share: float = 0.5,
  token_dropout: float = 0.0,
  chunk: int = 64,
) -> Relaxation:
  """The expected loss over spans, estimated from some of each passage.

  Args:
    policy: whose scores are differentiated.
    loss_sums: of the model, see `losses.make_loss_sums`.
    ids: the special tokens.
    rate: the policy's, for the spans that are drawn before a candidate.
    target: the objective's output format.
    target_length: T of the candidates' targets.
    candidates: M, spans sampled from each passage; None for all of them.
    uniform_share: share of uniform candidates, see `mixture.propose`.
    token_dropout: share of the tokens that the policy sees as `<mask>`, others in every
      sample: what it cannot always see it cannot learn by heart.
    chunk: candidate examples in memory at once.

  Raises:
    InputError: if `uniform_share * candidates` is no whole number.
  """
  if candidates is not None and uniform_share * candidates % 1:
    raise InputError(
      'uniform_share * candidates, the spans sampled uniformly, must be a whole '
      f'number, got {uniform_share} * {candidates}.'
    )

  settings = ids.mask, rate, candidates, uniform_share, token_dropout

  def sample(theta, passages, key, temperature):
    return proposals.sample(policy, theta, passages, key, *settings)

  def rows(weight, spans):
    return weight.reshape(-1), corruption.corrupt_spans(
      spans.passages, spans.start, spans.length, ids, target, target_length
    )

  def row_losses(params, weight, examples, key):
    return weight * loss_sums(params, key, examples)[0]

  loss = _in_rows(row_losses, rows, chunk)
  loss = loss._replace(recorded=_with_kept_gradients(loss_sums, rows, chunk))
  return Relaxation(sample, functools.partial(proposals.weights, policy), loss)


def soft(
  policy: Policy,
  loss_sums: Callable,
  ids: Specials,
  rate: float,
  *,
  target: str = 'spans',
  token_dropout: float = 0.0,
  chunk: int = 4,
  decide: Callable = shares.shares,
) -> Relaxation:
  """Gumbel-softmax shares of tokens under the budget; of spans, as the policy's are.

  Args:
    policy: whose scores are differentiated.
    loss_sums: of the model, see `losses.make_loss_sums`.
    ids: the special tokens.
    rate: the policy's budget.
    target: the objective's output format.
    token_dropout: share of the tokens that the policy sees as `<mask>`, see `mixture`.
    chunk: passages in memory at once, in every derivative of a step. A few cost less
      memory, and with 'low' hardly any time.
    decide: `soft.shares`, or `soft.straight`.
  """

  def sample(theta, passages, key, temperature):
    return shares.sample(
      policy, theta, passages, key, temperature, ids.mask, token_dropout
    )

  def row_losses(params, decisions, noise, key):
    examples = corruption.corrupt_tokens(noise.passages, decisions, ids, target)
    total, weight = loss_sums(params, key, examples)
    return total / jnp.maximum(weight, 1e-6)

  return Relaxation(
    sample,
    lambda theta, noise: decide(policy, theta, noise, rate),
    _in_rows(row_losses, lambda decisions, noise: (decisions, noise), chunk),
  )


# Hard draws with soft derivatives; arguments are those of `soft`.
straight_through = functools.partial(soft, decide=shares.straight)


def _in_rows(row_losses, rows, chunk) -> unroll.Loss:
  """The mean over passages of what rows add up to, and its derivatives, by chunks.

  Args:
    row_losses: `(params, decisions [R, ..], data [R, ..], key) -> [R]`.
    rows: `(decisions [P, ..], draw) -> (decisions [R, ..], data [R, ..])`.
    chunk: rows in memory at once.
  """

  def prepared(decisions, draw):
    return _in_chunks(rows(decisions, draw), chunk), len(decisions)

  def total(params, decisions, data, key, passages):
    return row_losses(params, decisions, data, key).sum() / passages

  def value(params, decisions, draw, key):
    chunks, passages = prepared(decisions, draw)
    return jax.lax.map(lambda c: total(params, *c, key, passages), chunks).sum()

  def gradients(params, decisions, draw, key):
    chunks, passages = prepared(decisions, draw)

    def add(sums, item):
      gradient, slopes = jax.grad(total, (0, 1))(params, *item, key, passages)
      return jax.tree.map(jnp.add, sums, gradient), slopes

    zeros = jax.tree.map(jnp.zeros_like, params)
    gradient, slopes = jax.lax.scan(add, zeros, chunks)
    return gradient, slopes.reshape(decisions.shape)

  def slopes(params, decisions, draw, key):
    chunks, passages = prepared(decisions, draw)
    found = jax.lax.map(lambda c: jax.grad(total, 1)(params, *c, key, passages), chunks)
    return found.reshape(decisions.shape)

  return unroll.with_gradients(value, gradients, slopes)


def _with_kept_gradients(loss_sums, rows, chunk):
  """The `recorded` of a mixture's loss; see `unroll.Loss`.

  It keeps the gradients of all candidates, whose products with any v cost little. Each
  candidate is run by itself, under one dropout mask for all.
  """

  def recorded(params, weight, spans, key):
    flat, examples = rows(weight / len(weight), spans)
    examples = _in_chunks(examples, chunk)

    def of_row(row):
      row = jax.tree.map(lambda x: x[None], row)
      return jax.grad(lambda params: loss_sums(params, key, row)[0].sum())(params)

    each = jax.lax.map(jax.vmap(of_row), examples)
    each = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), each)  # [P * M, ..]
    gradient = jax.tree.map(lambda g: jnp.tensordot(flat, g, 1), each)

    def along(v):
      products = jax.tree.map(
        lambda g, v: v.reshape(1, -1) @ g.reshape(len(g), -1).T, each, v
      )
      return sum(jax.tree.leaves(products)).reshape(weight.shape) / len(weight)

    return gradient, along

  return recorded


def _in_chunks(tree, chunk):
  """Rows [R, ...] as [R / chunk, chunk, ...]; the largest chunk that divides R."""
  rows = len(jax.tree.leaves(tree)[0])
  chunk = max(c for c in range(1, min(chunk, rows) + 1) if rows % c == 0)
  return jax.tree.map(lambda x: x.reshape(rows // chunk, chunk, *x.shape[1:]), tree)
