"""Computation in floating point operations, as XLA counts them, and what it buys.

Counted and not timed, so that a number of updates which depends on it is the same each
time, and whatever else a machine does meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
from jax.extend import core

from masklearn import data, text
from masklearn.study.programs import Programs
from masklearn.training import mesh
from masklearn.types import Batch, Task


def operations(function: Callable, *arguments) -> float:
  """The floating point operations of a call, before XLA optimizes it.

  XLA counts the body of a loop once; those with a known number of turns, `lax.scan` and
  `lax.map`, are counted as often here. Others, `lax.while_loop`, still count once.

  Args:
    function: is traced, and not compiled.
    *arguments: arrays or shapes.

  >>> x = jax.ShapeDtypeStruct((2, 3), 'float32')
  >>> operations(lambda x: x + 1, x)
  6.0
  """
  return _counts(jax.jit(function).trace(*arguments).jaxpr)[1]


def longer_updates(
  updates: int, step: float, learning: Iterable[tuple[int, float]]
) -> int:
  """Updates of pre-training that cost as much as others with learning a policy.

  Args:
    updates: of the others: the result is `updates` (1 + cost of learning / cost of
      pre-training).
    step: operations of an update.
    learning: how often each part of learning is done, and its operations.

  >>> longer_updates(10, 4.0, [(3, 2.0), (1, 8.0)])
  14
  """
  cost = sum(count * each for count, each in learning)
  return round(updates * (1 + cost / (updates * step)))


def with_learning(
  config, setup, passages: Batch, tasks: Sequence[Task], target: str
) -> int:
  """The updates of a pre-training that is also charged what learning a policy costs.

  Learning is the warm-up and the updates of the policy, as the config has them, without
  the validation of both and the measuring of scales. Questions are as long as those of
  the task with the longest.

  Args:
    config: of the study.
    setup: tokenizer and model.
    passages: of pre-training, encoded [P, L].
    tasks: of the study.
    target: the format that pre-training restores.
  """
  c, used = config.copy_and_resolve_references().unlock(), setup.tokenizer
  c.saving.chunk = 0  # as many operations, in a loop whose turns are unknown
  asked = question_lengths(tasks, used)
  given = c, setup.model, used.specials, mesh.one_device(), passages, asked
  programs = Programs(*given)
  step, warm_up, probe, policy = (
    operations(program.function, *program.arguments)
    for program in (
      programs.pretraining(target),
      programs.warm_up(),
      programs.probe(),
      programs.policy(),
    )
  )
  parts = (c.learn.updates, probe + policy), (c.learn.warmup.updates, warm_up)
  return longer_updates(c.pretrain.updates, step, parts)


def question_lengths(
  tasks: Iterable[Task], tokenizer: text.Tokenizer
) -> tuple[int, int]:
  """Tokens of the longest question and of the longest answer of some tasks."""
  found = (data.encode_examples(task.examples, tokenizer) for task in tasks)
  shapes = [(one.source.shape[1], one.target.shape[1]) for one in found]
  source, target = zip(*shapes, strict=True)
  return max(source), max(target)


def _counts(closed: core.ClosedJaxpr) -> tuple[float, float]:
  """Operations with the body of each loop once, as XLA counts, and with all turns."""
  shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in closed.in_avals]
  lowered = jax.jit(core.jaxpr_as_fun(closed)).lower(*shapes)
  once = total = float(lowered.cost_analysis().get('flops', 0.0))
  for turns, body in _loops(closed.jaxpr):
    body_once, body_total = _counts(body)
    total += turns * body_total - body_once
  return once, total


def _loops(jaxpr: core.Jaxpr) -> Iterator[tuple[int, core.ClosedJaxpr]]:
  """Yields the turns and the body of each loop, but not those of loops within it."""
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'scan':
      yield equation.params['length'], equation.params['jaxpr']
      continue
    for value in jax.tree.leaves(
      list(equation.params.values()), is_leaf=lambda x: isinstance(x, core.Jaxpr)
    ):
      if isinstance(value, core.ClosedJaxpr):
        yield from _loops(value.jaxpr)
      elif isinstance(value, core.Jaxpr):
        yield from _loops(value)
