"""Which device does what: episodes are spread, everything else is everywhere."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec, SingleDeviceSharding


def spread(
  probe: Callable, episodes: int, devices: Sequence[Any] | None = None
) -> Callable:
  """The same function of `(theta, state, episodes, keys)`, on several devices at once.

  Each takes its share of the episodes, one after the other. As many devices are used
  as divide their number.

  Args:
    probe: such as `meta.probe`; what it returns has the episodes first, like its last
      two arguments.
    episodes: E.
    devices: to choose from; None for all that there are.
  """
  devices = jax.devices() if devices is None else devices
  most = range(min(len(devices), episodes), 0, -1)
  count = next(n for n in most if episodes % n == 0)
  if count == 1:
    return probe
  mesh = Mesh(np.array(devices[:count]), ('episodes',))
  own, same = PartitionSpec('episodes'), PartitionSpec()
  return jax.shard_map(
    probe,
    mesh=mesh,
    in_specs=(same, same, own, own),
    out_specs=own,
    check_vma=False,
  )


def on(device) -> SingleDeviceSharding:
  """The place of an array that lies on one device."""
  return SingleDeviceSharding(device)
