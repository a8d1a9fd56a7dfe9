"""Giving a policy its parameters by counting: seconds, and nothing is trained."""

import time
from collections.abc import Callable
from typing import Any

from masklearn.policies import ngrams
from masklearn.policies.counts import Sources
from masklearn.study import stage
from masklearn.training.context import StageContext


def count_policy(
  weights: Callable[[Sources, int], dict[int, float]],
  sources: Sources,
  longest: int,
  entries: int,
  context: StageContext,
) -> dict[str, Any]:
  """Counts the weights of n-grams.

  Args:
    weights: of `policies.counts`.
    sources: the questions and passages to count in.
    longest: words of an n-gram at most.
    entries: n-grams that the policy keeps at most.
    context: where.

  Returns:
    `seconds`, and how many `ngrams` there are and were kept; `theta` in the stage's
    directory gets the parameters.

  Raises:
    Impossible: there is nothing to count.
  """
  done = stage.finished(context.directory, 'theta')
  if done:
    return done
  began = time.monotonic()
  found = weights(sources, longest)
  theta = ngrams.table(found, entries)
  context.progress.check()
  done = {
    'seconds': time.monotonic() - began,
    'ngrams': len(found),
    'kept': min(len(found), entries),
  }
  return stage.finish(context.directory, done, 'theta', context.layout.place(theta))
