"""Which device does what: episodes are spread, everything else is everywhere."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding


def spread(
  probe: Callable, episodes: int, devices: Sequence[Any] | None = None
) -> tuple[Callable, Callable]:
  """A function of `(theta, state, episodes, keys, *rest)`, on several devices at once.

  Each takes its share of the episodes, one after the other. As many devices are used
  as divide their number.

  Args:
    probe: such as `meta.probe`; what it returns has the episodes first.
    episodes: E.
    devices: to choose from; None for all that there are.

  Returns:
    The function, compiled when it is called first: it moves its arguments to where
    they are needed, and its results to the first device, where the rest of a program
    is. And `place(tree)`, which moves there what it is to be given more than once.
  """
  devices = jax.devices() if devices is None else devices
  most = range(min(len(devices), episodes), 0, -1)
  count = next(n for n in most if episodes % n == 0)
  if count == 1:
    return jax.jit(probe), lambda tree: tree
  mesh = Mesh(np.array(devices[:count]), ('episodes',))
  own, same = PartitionSpec('episodes'), PartitionSpec()
  one_each, everywhere = NamedSharding(mesh, own), NamedSharding(mesh, same)
  shared = jax.jit(
    jax.shard_map(
      lambda whole, parts, rest: probe(*whole, *parts, *rest),
      mesh=mesh,
      in_specs=(same, own, same),
      out_specs=own,
      check_vma=False,
    )
  )

  def place(tree):
    return jax.device_put(tree, everywhere)

  def spread_out(theta, state, episodes, keys, *rest):
    parts = jax.device_put((episodes, keys), one_each)
    found = shared(place((theta, state)), parts, place(rest))
    return jax.device_put(found, on(devices[0]))

  return spread_out, place


def on(device) -> SingleDeviceSharding:
  """The place of an array that lies on one device."""
  return SingleDeviceSharding(device)
