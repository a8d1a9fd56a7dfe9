"""Training steps of a model, and the backward pass through them to what they hid.

A step's loss depends on the parameters and on decisions d, such as how much each token
is hidden, and step k takes the state s_k = (parameters, optimizer's state) to

  s_{k+1} = update(s_k, g_k),   g_k = grad L_k(params_k, d_k).

Let c be the cotangent of s_{k+1}: what a later loss gains by each of its numbers. The
VJP of the update gives the cotangents of s_k and of g_k, v, and then

  cotangent of params_k  +=  H_k v          H_k the Hessian of L_k
  cotangent of d_k        =  d <grad L_k, v> / d d_k

both of which are one directional derivative, along v, of the gradients of L_k by
parameters and decisions: forward over reverse, so no gradient is differentiated
backwards, and no graph of one outlives its step. Of the first step only the second
line is needed, for which no weights' gradients are formed.

`MODES` are the backward passes that there are. All take a `Loss` and return `(state,
pull)`, where `pull(cotangent of the state)` gives the cotangents of the start and of
the decisions.

References:
  Kemaev et al., MixFlow-MG (2025), arXiv 2505.00793: forward over reverse.
  Chen et al., Training Deep Nets with Sublinear Memory Cost (2016), section 4.
  Shaban et al., Truncated Back-propagation for Bilevel Optimization (2019).
  Lorraine et al., Optimizing Millions of Hyperparameters by Implicit Differentiation
  (2020), the Neumann series. Finn et al., MAML (2017), section 5.2, first order.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn.io.lookup import lookup
from masklearn.training import steps
from masklearn.training.steps import TrainState


class Loss(NamedTuple):
  """A step's loss and derivatives, each of `(params, decisions, data, key)`."""

  value: Callable  # []
  gradients: Callable  # by parameters and by decisions
  slopes: Callable  # by decisions alone
  # The gradient, and a linear function of v: that of `slopes` along v, from what the
  # gradient has left in memory.
  recorded: Callable


class Items(NamedTuple):
  """The inputs of K steps besides the state: every array is [K, ..]."""

  decisions: Any
  data: Any
  key: jax.Array


def make_loss(value: Callable) -> Loss:
  """A loss whose derivatives are those that JAX makes of it."""
  return with_gradients(value, jax.grad(value, (0, 1)), jax.grad(value, 1))


def with_gradients(value: Callable, gradients: Callable, slopes: Callable) -> Loss:
  """A loss with derivatives of its own, that do the same as JAX's in another way."""

  def recorded(params, decisions, data, key):
    (gradient, _), along = jax.linearize(
      lambda params: gradients(params, decisions, data, key), params
    )
    return gradient, lambda v: along(v)[1]

  return Loss(value, gradients, slopes, recorded)


def keys(key: jax.Array, count: int) -> jax.Array:
  """A key for each of `count` steps."""
  return jax.vmap(lambda i: jax.random.fold_in(key, i))(
    jnp.arange(count, dtype=jnp.int32)
  )


def run(loss: Loss, tx, state: TrainState, items: Items) -> TrainState:
  """The state after K steps from `state`."""

  def step(state, item):
    gradient, _ = loss.gradients(state.params, *item)
    return steps.apply_gradients(tx, state, gradient), None

  return jax.lax.scan(step, state, items)[0]


def mixed(
  loss, tx, state, items, *, memory='low', to_start=True, curvature=True
) -> tuple[TrainState, Callable]:
  """Runs K steps, exactly differentiable.

  Args:
    loss: of a step.
    tx: the optimizer; any differentiable one. Adam needs `eps_root` > 0, or the
      cotangents are NaN.
    state: s_0.
    items: of K >= 1 steps.
    memory: 'low' keeps some 3 sqrt(K) states and gradients, and recomputes what the
      backward pass of a step needs; 'fast' keeps each step's linearized gradient, and
      is compiled step by step.
    to_start: whether the cotangent of s_0 is wanted; without it the first step is
      cheaper.
    curvature: whether to add H v; False is the first-order approximation.

  Returns:
    s_K; and `pull(cotangent)`, from that of s_K to that of s_0, or None, and of the
    decisions, [K, ..].
  """
  pulls = []
  if not to_start:
    state, pull = _first_step(loss, tx, state, _at(items, 0), memory)
    pulls.append(pull)
    items = jax.tree.map(lambda x: x[1:], items)
  if memory == 'fast':
    # Not in a loop, which would copy all that is kept of a step into one array.
    for k in range(len(items.key)):
      state, pull = _linearized_step(loss, tx, state, _at(items, k), curvature)
      pulls.append(pull)
  elif len(items.key):
    state, pull = _recomputed(loss, tx, state, items, curvature)
    pulls.append(pull)

  def pull_all(cotangent):
    found = []
    for pull in reversed(pulls):
      cotangent, slopes = pull(cotangent)
      found.insert(0, slopes)
    return cotangent, jax.tree.map(lambda *x: jnp.concatenate(x), *found)

  return state, pull_all


def reverse(loss, tx, state, items, *, to_start=True):
  """The same by reverse mode over reverse mode: the graph of every step is kept."""

  def after(state, decisions):
    return run(loss, tx, state, items._replace(decisions=decisions))

  value, vjp = jax.vjp(after, state, items.decisions)

  def pull(cotangent):
    start, slopes = vjp(cotangent)
    return start if to_start else None, slopes

  return value, pull


# Every H v dropped, the derivative by the decisions kept: each step as if last.
first_order = functools.partial(mixed, curvature=False)


def truncated(loss, tx, state, items, *, window: int, memory='low', to_start=True):
  """The last `window` steps; the decisions of those before get zeros."""
  early = max(len(items.key) - window, 0)
  before = jax.tree.map(lambda x: x[:early], items)
  if early:
    state = run(loss, tx, state, before)
  late = jax.tree.map(lambda x: x[early:], items)
  state, pull_late = mixed(
    loss, tx, state, late, memory=memory, to_start=to_start and not early
  )

  def pull(cotangent):
    start, slopes = pull_late(cotangent)
    zeros = optax.tree.zeros_like(before.decisions)
    return start, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), zeros, slopes)

  return state, pull


def implicit(
  loss, tx, state, items, *, solver, solver_iterations, damping, to_start=False
):
  """As if the steps had ended where the mean gradient of their losses is zero.

  There, d params / d d_k is -(H + damping)^-1 of the cross derivative, with H the mean
  of the steps' Hessians at the end. After few steps this is a biased approximation.

  Args:
    loss: of a step.
    tx: the optimizer.
    state: s_0.
    items: of K steps.
    solver: 'cg', or 'neumann', whose series (I - H - damping) ^ i needs a Hessian
      below 2.
    solver_iterations: of either.
    damping: added to the Hessian.
    to_start: has no meaning, as an end where all is flat depends on no start.
  """
  solve = lookup(SOLVERS, solver, 'solver')
  state = run(loss, tx, state, items)
  count = len(items.key)

  def product(v, item):
    """H v of a step, and its slopes along v."""
    return jax.jvp(lambda p: loss.gradients(p, *item), (state.params,), (v,))[1]

  def times(v):
    def add(total, item):
      return optax.tree.add(total, product(v, item)[0]), None

    turned = jax.lax.scan(add, optax.tree.zeros_like(v), items)[0]
    return jax.tree.map(lambda h, x: h / count + damping * x, turned, v)

  def pull(cotangent):
    v = solve(times, cotangent.params, solver_iterations)
    slopes = jax.lax.map(lambda item: product(v, item)[1], items)
    return None, jax.tree.map(lambda x: -x / count, slopes)

  return state, pull


def _conjugate(times, b, iterations):
  return jax.scipy.sparse.linalg.cg(times, b, maxiter=iterations)[0]


def _neumann(times, b, iterations):
  def add(_, item):
    total, power = item
    power = optax.tree.sub(power, times(power))
    return optax.tree.add(total, power), power

  return jax.lax.fori_loop(0, iterations, add, (b, b))[0]


SOLVERS = {'cg': _conjugate, 'neumann': _neumann}
MODES = {
  'mixed': mixed,
  'reverse': reverse,
  'truncated': truncated,
  'first_order': first_order,
  'implicit': implicit,
}


def vjp_update(tx, state: TrainState, gradient):
  """The state after an update, and its VJP by state and gradient."""
  return jax.vjp(lambda s, g: steps.apply_gradients(tx, s, g), state, gradient)


def cotangent_of(state: TrainState, params) -> TrainState:
  """The cotangent of a state in which a loss depends on the parameters alone."""
  return _filled(None, state).replace(params=params)


def _first_step(loss, tx, state, item, memory):
  """The first step; its backward pass goes to the decisions, and no further."""
  if memory == 'fast':
    gradient, along = loss.recorded(state.params, *item)
  else:
    gradient, _ = loss.gradients(state.params, *item)

    def along(v):
      # A barrier, or the compiler keeps what the gradient has computed after all.
      params = jax.lax.optimization_barrier(state.params)
      return jax.jvp(lambda p: loss.slopes(p, *item), (params,), (v,))[1]

  after, update = vjp_update(tx, state, gradient)

  def pull(cotangent):
    return None, jax.tree.map(lambda x: x[None], along(update(cotangent)[1]))

  return after, pull


def _linearized_step(loss, tx, state, item, curvature):
  """A step whose backward pass uses the linearized gradient that it keeps."""
  (gradient, _), along = jax.linearize(
    lambda params: loss.gradients(params, *item), state.params
  )
  after, update = vjp_update(tx, state, gradient)

  def pull(cotangent):
    before, v = update(cotangent)
    turned, slopes = along(v)
    before = _plus(before, turned) if curvature else before
    return before, jax.tree.map(lambda x: x[None], slopes)

  return after, pull


def _recomputed(loss, tx, state, items, curvature):
  """All K steps in about sqrt(K) segments, of which only the first state is kept.

  States and gradients of the last segment stay from the forward pass; those of the
  others are recomputed, a segment at a time, in the backward pass.
  """
  count = len(items.key)
  size = math.isqrt(count)
  full = (count - size) // size * size  # steps in segments before the last
  last = jax.tree.map(lambda x: x[full:], items)
  early = jax.tree.map(lambda x: x[:full].reshape(-1, size, *x.shape[1:]), items)

  def forward(state, items):
    def one(state, item):
      gradient, _ = loss.gradients(state.params, *item)
      return steps.apply_gradients(tx, state, gradient), (state, gradient)

    return jax.lax.scan(one, state, items)

  if full:
    state, starts = jax.lax.scan(
      lambda state, items: (forward(state, items)[0], state), state, early
    )
  state, trace = forward(state, last)

  def backward(carry, trace, items):
    def one(carry, item):
      (state, gradient), item = item
      before, v = vjp_update(tx, state, gradient)[1](_filled(carry, state))
      turned, slopes = jax.jvp(
        lambda params: loss.gradients(params, *item), (state.params,), (v,)
      )[1]
      return _floats(_plus(before, turned) if curvature else before), slopes

    return jax.lax.scan(one, carry, (trace, items), reverse=True)

  def pull(cotangent):
    carry, slopes = backward(_floats(cotangent), trace, last)
    if full:

      def segment(carry, segment):
        start, items = segment
        return backward(carry, forward(start, items)[1], items)

      carry, earlier = jax.lax.scan(segment, carry, (starts, early), reverse=True)
      slopes = jax.tree.map(
        lambda a, b: jnp.concatenate([a.reshape(full, *a.shape[2:]), b]),
        earlier,
        slopes,
      )
    return _filled(carry, state), slopes

  return state, pull


def _at(items, k):
  return jax.tree.map(lambda x: x[k], items)


def _plus(cotangent: TrainState, params) -> TrainState:
  return cotangent.replace(params=optax.tree.add(cotangent.params, params))


def _floats(cotangent):
  """The leaves that can be carried through a scan: counts have none but float0."""
  return [x for x in jax.tree.leaves(cotangent) if x.dtype != jax.dtypes.float0]


def _filled(carry, state):
  """The cotangent of `state` with the leaves of `carry`; None stands for zeros."""
  carry = iter(carry) if carry is not None else None

  def one(x):
    if not jnp.issubdtype(x.dtype, jnp.inexact):
      return np.zeros(x.shape, jax.dtypes.float0)
    return jnp.zeros_like(x) if carry is None else next(carry)

  return jax.tree.map(one, state)
