"""The outer loss: that of questions after fine-tuning steps on questions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from masklearn.meta import unroll
from masklearn.types import Batch, Corrupted


class Episode(NamedTuple):
  """Passages and Q questions about them; each question is an episode of the paper.

  All start from the same denoising steps, and have fine-tuning steps of their own.
  """

  passages: Batch  # [K, P, L] of each denoising step; K = P = 1 in the paper
  support: Corrupted  # [Q, R, ..] R questions of each one's fine-tuning steps
  query: Corrupted  # [Q, R, ..] R questions of each outer loss; the paper: the same
  scale: jax.Array  # [Q] by which gains are divided, see `Episodes.scales`


class Outer(NamedTuple):
  """Of each question of an episode by itself."""

  loss: Callable  # (params, key, questions [R, ..]) -> [], the mean over questions
  tuning: unroll.Loss  # the same, of a fine-tuning step
  items: Callable  # (support, key) -> unroll.Items of the J fine-tuning steps
  one: Callable  # (state, (support, query), key_tune, key_outer) -> [], run forward
  run: Callable  # (state, episode, key_tune, key_outer) -> [Q], one after the other
  # (state, episode, key) -> [Q], the share of its loss that a question which is tuned
  # on loses by the fine-tuning steps.
  fall: Callable


def make_outer(loss_sums: Callable, tx, fine_tune_steps: int) -> Outer:
  """J fine-tuning steps on the same questions, and the outer loss.

  Args:
    loss_sums: of the model, see `losses.make_loss_sums`.
    tx: the optimizer of the fine-tuning steps.
    fine_tune_steps: J.
  """

  def loss(params, key, questions):
    total, weight = loss_sums(params, key, questions)
    return (total / jnp.maximum(weight, 1e-6)).mean()

  tuning = unroll.make_loss(lambda params, _, support, key: loss(params, key, support))

  def items(support, key):
    # Of one copy: what is broadcast takes no memory.
    many = jax.tree.map(
      lambda x: jnp.broadcast_to(x, (fine_tune_steps, *x.shape)), support
    )
    return unroll.Items((), many, unroll.keys(key, fine_tune_steps))

  def one(state, questions, key_tune, key_outer):
    support, query = questions
    if fine_tune_steps:
      state = unroll.run(tuning, tx, state, items(support, key_tune))
    return loss(state.params, key_outer, query)

  def run(state, episode, *keys):
    questions = episode.support, episode.query
    return jax.lax.map(lambda pair: one(state, pair, *keys), questions)

  def fall(state, episode, key):
    def of(support):
      before = loss(state.params, key, support)
      after = one(state, (support, support), key, key)
      return (before - after) / jnp.maximum(before, 1e-6)

    return jax.lax.map(of, episode.support)

  return Outer(loss, tuning, items, one, run, fall)
