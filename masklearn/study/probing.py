"""The probe of a policy's first parameters, before it learns."""

from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn.meta import Probed
from masklearn.meta.outer import Episode
from masklearn.meta.policy_update import PolicyUpdate
from masklearn.training.mesh import Layout


class Probing(NamedTuple):
  """What a stack of episodes [E, ..] is probed with."""

  update: PolicyUpdate
  theta: Any  # of the policy
  start: Any  # the state of the model
  temperature: float  # of soft draws
  layout: Layout

  def influences(self, stack: Episode, keys: jax.Array) -> Probed:
    """What is found, with the influences on the host; see `Episodes.sizes`."""
    probed = self._probed(stack, keys)[0]
    return probed._replace(influence=self.layout.read(probed.influence))

  def moments(self, stack: Episode, keys: jax.Array) -> tuple[Any, np.ndarray]:
    """The moments of the episodes' gradients, on the host; see `meta.make_moments`."""
    probed, stack = self._probed(stack, keys)
    return self.layout.read(self.update.moments(self.theta, probed, stack.scale))

  def _probed(self, stack, keys):
    warmth = self.layout.scalar(np.float32(self.temperature))
    stack, keys = self.layout.split((stack, keys), self.layout.episodes)
    return self.update.probe(self.theta, self.start, stack, keys, warmth), stack
