"""Estimators of a policy's gradient: a relaxation, a mode, and their numbers."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import optax

from masklearn.io.lookup import lookup
from masklearn.meta import reinforce, relaxations
from masklearn.meta.gradient import MetaGradient, make_meta_gradient
from masklearn.types import Policy, Specials

# (policy, loss_sums, ids, rate, *, target, ..) -> Relaxation. An argument that has the
# name of a field of `Estimator` gets its value.
RELAXATIONS: dict[str, Callable] = {
  'mixture': relaxations.mixture,
  'soft': relaxations.soft,
  'straight_through': relaxations.straight_through,
  'score': reinforce.hard_draws,
}
# The fields of `Estimator` that belong to each mode.
OPTIONS = {
  'truncated': ('window',),
  'implicit': ('solver', 'solver_iterations', 'damping'),
}


class Estimator(NamedTuple):
  """Plain numbers, so that equal ones share what is compiled for them."""

  relaxation: str = 'mixture'  # a key of `RELAXATIONS`
  mode: str = 'mixed'  # of `unroll.MODES`; 'score' has no use for one
  memory: str = 'low'  # 'fast' keeps more, see `meta.make_meta_gradient`
  fine_tune_steps: int = 0  # J
  token_dropout: float = 0.0  # share of the tokens that the policy does not see
  candidates: int = 16  # M, of 'mixture': spans sampled from a passage
  uniform_share: float = 0.5  # share of them that is uniform
  samples: int = 4  # S, of 'score': draws of a passage
  baseline: str = 'others'  # of 'score', or 'learned'
  window: int = 1  # of 'truncated': steps that are differentiated
  solver: str = 'cg'  # of 'implicit', or 'neumann'
  solver_iterations: int = 10
  damping: float = 1.0  # of either

  @property
  def learns_baseline(self) -> bool:
    """Whether theta has a number beside the policy's parameters."""
    return self.relaxation == 'score' and self.baseline == 'learned'


def make_estimator(
  estimator: Estimator,
  policy: Policy,
  loss_sums: Callable,
  tx: optax.GradientTransformation,
  ids: Specials,
  rate: float,
  *,
  target: str = 'spans',
  span_length: int | None = None,
  draw_length: int | None = None,
  tuning_tx: optax.GradientTransformation | None = None,
) -> MetaGradient:
  """The meta-gradient of a policy by an estimator.

  Args:
    estimator: which, and its numbers.
    policy: what learns.
    loss_sums: of the model, see `losses.make_loss_sums`.
    tx: the inner optimizer.
    ids: the special tokens.
    rate: the policy's budget.
    target: the objective's output format.
    span_length: T of targets that hold one span, for a relaxation of spans.
    draw_length: T of targets that hold a whole draw, for hard draws.
    tuning_tx: of the fine-tuning steps, see `make_meta_gradient`.

  Raises:
    InputError: relaxation, mode, memory or a number is none that there is.
  """
  relax = lookup(RELAXATIONS, estimator.relaxation, 'relaxation')
  hard = relax is reinforce.hard_draws
  lengths = {'target_length': draw_length if hard else span_length}
  given = estimator._asdict() | lengths | {'target': target}
  taken = given.keys() & inspect.signature(relax).parameters
  relaxation = relax(policy, loss_sums, ids, rate, **{key: given[key] for key in taken})
  make, names = make_meta_gradient, ('mode', 'memory', *OPTIONS.get(estimator.mode, ()))
  if hard:
    make, names = reinforce.make_score_gradient, ('baseline',)
  numbers = {name: given[name] for name in ('fine_tune_steps', *names)}
  return make(relaxation, loss_sums, tx, tuning_tx=tuning_tx, **numbers)
