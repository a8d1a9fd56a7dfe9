"""Devices: episodes are spread over them, everything else is on each."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding


class Spread(NamedTuple):
  """A function of `(theta, state, episodes, keys, *rest)` on several devices."""

  compute: Callable  # pure, to be jitted with arguments that are in their places
  run: Callable  # moves arguments to their places, and results to the first device
  place: Callable  # moves there what `run` is given more than once: not the episodes


def spread(
  probe: Callable, episodes: int, devices: Sequence[Any] | None = None
) -> Spread:
  """Each device takes its share of the episodes, one after the other.

  As many devices are used as divide their number.

  Args:
    probe: such as `meta.probe`, whose results have the episodes first.
    episodes: E.
    devices: to choose from; None for all that there are.
  """
  devices = jax.devices() if devices is None else devices
  most = range(min(len(devices), episodes), 0, -1)
  count = next(n for n in most if episodes % n == 0)
  if count == 1:
    return Spread(probe, jax.jit(probe), lambda tree: tree)
  mesh = Mesh(np.array(devices[:count]), ('episodes',))
  own, same = PartitionSpec('episodes'), PartitionSpec()
  one_each, everywhere = NamedSharding(mesh, own), NamedSharding(mesh, same)

  def compute(*arguments):
    places = same, same, own, own, *[same] * (len(arguments) - 4)
    return jax.shard_map(
      probe, mesh=mesh, in_specs=places, out_specs=own, check_vma=False
    )(*arguments)

  compiled = jax.jit(compute)

  def place(tree):
    return jax.device_put(tree, everywhere)

  def run(theta, state, episodes, keys, *rest):
    theta, state, rest = place((theta, state, rest))
    episodes, keys = jax.device_put((episodes, keys), one_each)
    return jax.device_put(compiled(theta, state, episodes, keys, *rest), on(devices[0]))

  return Spread(compute, run, place)


def on(device) -> SingleDeviceSharding:
  """The place of an array that lies on one device."""
  return SingleDeviceSharding(device)
