"""The matmuls of a function, run alone: what no way of writing it can do without."""

import collections
import statistics
import timeit

import jax
import jax.numpy as jnp

REPEATS = 5


def seconds(function, *args) -> float:
  """The seconds of the matmuls of `function(*args)`, each of them alone.

  Every `dot_general` of its jaxpr, with random operands of the same shapes, times how
  often it is there; medians of several runs.
  """
  found: collections.Counter = collections.Counter()
  _collect(jax.make_jaxpr(function)(*args).jaxpr, 1, found)
  return sum(count * _time(*product) for product, count in found.items())


def _collect(jaxpr, times, found):
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'dot_general':
      left, right = (v.aval for v in equation.invars)
      found[
        (left.shape, left.dtype.name),
        (right.shape, right.dtype.name),
        equation.params['dimension_numbers'],
        str(equation.params['preferred_element_type']),
      ] += times
    inner = times * equation.params.get('length', 1)  # of a scan
    for value in equation.params.values():
      for one in value if isinstance(value, (tuple, list)) else (value,):
        one = getattr(one, 'jaxpr', one)
        if hasattr(one, 'eqns'):
          _collect(one, inner, found)


def _time(left, right, dimensions, dtype):
  keys = jax.random.split(jax.random.key(0))
  operands = [
    jax.random.normal(key, shape, jnp.float32).astype(kind)
    for key, (shape, kind) in zip(keys, (left, right), strict=True)
  ]
  how = {'preferred_element_type': None if dtype == 'None' else dtype}
  run = jax.jit(lambda a, b: jax.lax.dot_general(a, b, dimensions, **how))

  def once():
    jax.block_until_ready(run(*operands))

  once()  # compiles
  return statistics.median(timeit.repeat(once, number=1, repeat=REPEATS))
