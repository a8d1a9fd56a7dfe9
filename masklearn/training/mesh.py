"""Devices: a mesh of them, and where parameters, batches and episodes lie on it.

A mesh has two axes. Rows of batches are split over both; episodes over `data` alone.
Parameters are split over `fsdp`, each by the rule for its name, and so is what an
optimizer keeps of them. On a mesh of one device all of this is nothing, and the same
code runs.

References:
  Rajbhandari et al., ZeRO (2020), stage 3: fully sharded data parallelism.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from masklearn.types import InputError

AXES = 'data', 'fsdp'
# The end of a parameter's name -> its axis that is split. Products read a matrix over
# the axis that is summed away or written, never over single heads.
RULES = (
  (r'embedding$', 0),  # over the vocabulary, or over positions
  (r'(q_proj|k_proj|v_proj|fc1|wi|wi_0|wi_1)/kernel$', 0),
  (r'(out_proj|fc2|wo)/kernel$', 1),
)
HOST = 'pinned_host'  # the memory that devices copy to and from


@dataclasses.dataclass(frozen=True)
class Layout:
  """Where arrays lie on a mesh; hashable, as compiled functions depend on it."""

  mesh: Mesh
  smallest: int = 0  # bytes of an array that is split; what is smaller is everywhere

  @functools.cached_property
  def everywhere(self) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(self.mesh, P())

  @functools.cached_property
  def rows(self) -> NamedSharding:
    """The first axis over all devices: rows of a batch."""
    return NamedSharding(self.mesh, P(AXES))

  @functools.cached_property
  def episodes(self) -> NamedSharding:
    """The first axis over `data`: episodes, each with the parameters over `fsdp`."""
    return NamedSharding(self.mesh, P('data'))

  @property
  def size(self) -> int:
    """The number of devices."""
    return self.mesh.size

  @property
  def is_one(self) -> bool:
    """Whether there is one device, and so nothing to split."""
    return self.mesh.size == 1

  def multiple(self, rows: int) -> int:
    """The rows of a batch that are as many or more, and that devices can share."""
    return -(-rows // self.size) * self.size

  def of(self, tree: Any) -> Any:
    """The sharding of each leaf of parameters, or of a state with an optimizer.

    Args:
      tree: arrays or their shapes, under the names of parameters.
    """
    parts = self.mesh.shape['fsdp']

    def one(path, x):
      name = jax.tree_util.keystr(path, simple=True, separator='/')
      axis = next((axis for rule, axis in RULES if re.search(rule, name)), None)
      small = math.prod(x.shape) * x.dtype.itemsize < self.smallest
      if axis is None or small or len(x.shape) <= axis or x.shape[axis] % parts:
        return self.everywhere
      return NamedSharding(self.mesh, P(*[None] * axis, 'fsdp'))

    return jax.tree_util.tree_map_with_path(one, tree)

  def shapes(self, tree: Any) -> Any:
    """Shapes with the sharding of each leaf, such as `checkpoint.restore` takes."""
    return jax.tree.map(
      lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
      tree,
      self.of(tree),
    )

  def place(self, tree: Any) -> Any:
    """Parameters or a state, moved to where they belong."""
    # What one process has alone goes to the devices of all by way of its memory.
    alone = not self.everywhere.is_fully_addressable
    given = jax.tree.map(
      lambda x: jax.device_get(x) if alone and _is_addressable(x) else x, tree
    )
    return jax.device_put(given, self.of(tree))

  def on_host(self, shapes: Any) -> Any:
    """The same shapes, in the memory of the hosts."""

    def one(x):
      place = x.sharding.with_memory_kind(HOST)
      return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)

    return jax.tree.map(one, shapes)

  def to_host(self, tree: Any) -> Any:
    """A copy in the memory of the hosts, from where `place` brings it back."""
    places = jax.tree.map(lambda x: x.sharding.with_memory_kind(HOST), tree)
    return jax.device_put(tree, places)

  def keep(self, tree: Any) -> Any:
    """The same within a compiled function: where its results are to lie."""
    return jax.lax.with_sharding_constraint(tree, self.of(tree))

  def batch(self, read: Callable[[slice], Any], size: int) -> Any:
    """A batch whose rows are split, of which each process reads its own.

    Args:
      read: `read(slice)` returns those rows, a tree of numpy arrays [n, ..].
      size: rows of all; a multiple of the number of devices.
    """
    if self.is_one:
      return read(slice(0, size))
    places = self.rows.addressable_devices_indices_map((size,)).values()
    bounds = [place[0].indices(size)[:2] for place in places]
    first, last = min(a for a, _ in bounds), max(b for _, b in bounds)
    own = read(slice(first, last))
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(
        self.rows, x, (size, *x.shape[1:])
      ),
      own,
    )

  def split(self, tree: Any, place: NamedSharding) -> Any:
    """Arrays that every process has, such as a stack of episodes, split by `place`."""
    if self.is_one:  # Arrays have a place all the same, see `scalar`.
      return jax.tree.map(
        lambda x: jax.device_put(x, place) if isinstance(x, jax.Array) else x, tree
      )
    return jax.tree.map(
      lambda x: jax.make_array_from_callback(x.shape, place, lambda i: x[i]), tree
    )

  @functools.cached_property
  def scalar(self) -> Callable[[Any], jax.Array]:
    """A compiled function that puts a number on every device.

    JAX compiles once more for an argument that has a place, where it had none before.
    """
    return jax.jit(lambda x: x, out_shardings=self.everywhere)

  def read(self, tree: Any) -> Any:
    """Arrays of a compiled function as NumPy's, also those of other processes."""
    if all(map(_is_addressable, jax.tree.leaves(tree))):
      return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)

  def whole(self, tree: Any) -> Any:
    """Within a compiled function: results that every process is to read."""
    return jax.lax.with_sharding_constraint(tree, self.everywhere)

  def spread(self, probe: Callable) -> Callable:
    """A function of many episodes, computed by each part of `data` for its own.

    Args:
      probe: `probe(theta, state, episodes, keys, *rest)`, such as `meta.probe`; what it
        returns has the episodes first.
    """
    if self.is_one:
      return probe

    def apart(*arguments):
      places = *(P(), P(), P('data'), P('data')), *[P()] * (len(arguments) - 4)
      return jax.shard_map(
        probe, mesh=self.mesh, axis_names={'data'}, in_specs=places,
        out_specs=P('data'), check_vma=False,
      )(*arguments)  # fmt: skip

    return apart

  def jit_step(self, step: Callable) -> Callable:
    """Compiles `step(state, ..) -> (state, metrics)`, which is given away its state."""

    def placed(state, *rest):
      state, metrics = step(state, *rest)
      return self.keep(state), self.whole(metrics)

    return jax.jit(placed, donate_argnums=0)

  def jit_rows(self, function: Callable) -> Callable:
    """Compiles a function whose results have rows first, as its batch has."""

    def placed(*arguments):
      return jax.lax.with_sharding_constraint(function(*arguments), self.rows)

    return jax.jit(placed)

  def jit_whole(self, function: Callable) -> Callable:
    """Compiles a function whose results every process reads."""
    return jax.jit(lambda *arguments: self.whole(function(*arguments)))

  def init(self, function: Callable, *arguments) -> Any:
    """The result of a function that makes parameters, made where they belong."""
    places = self.of(jax.eval_shape(function, *arguments))
    return jax.jit(function, out_shardings=places)(*arguments)

  def local(self, function: Callable, rows: Sequence[int] | None = None) -> Callable:
    """A function of arrays with rows first, computed by each device for its own rows.

    Args:
      function: of trees; what it returns has rows first.
      rows: the numbers of the arguments that have rows; None for all. Of the others
        each device has the whole.
    """
    if self.is_one:
      return function

    def apart(*arguments):
      split = range(len(arguments)) if rows is None else rows
      places = tuple(P(AXES) if i in split else P() for i in range(len(arguments)))
      return jax.shard_map(
        function, mesh=self.mesh, in_specs=places, out_specs=P(AXES), check_vma=False
      )(*arguments)

    return apart


def _is_addressable(x):
  return not isinstance(x, jax.Array) or x.is_fully_addressable


def make_layout(
  data: int = 1,
  fsdp: int = 1,
  devices: Sequence[Any] | None = None,
  smallest: int = 0,
) -> Layout:
  """The layout of a mesh of `data` x `fsdp` devices.

  Args:
    data: over which batches and episodes are split.
    fsdp: over which parameters are split, and batches as well.
    devices: to take from, the first ones; None for all that there are.
    smallest: see `Layout`.

  Raises:
    InputError: there are not so many devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  if data * fsdp > len(devices):
    raise InputError(
      f'A mesh of {data} x {fsdp} devices needs {data * fsdp}, and there are '
      f'{len(devices)}.'
    )
  chosen = np.array(devices[: data * fsdp]).reshape(data, fsdp)
  every, used = ({d.process_index for d in some} for some in (devices, chosen.flat))
  if idle := every - used:
    raise InputError(
      f'A mesh of {data} x {fsdp} devices leaves process {min(idle)} without one: of '
      f'{len(devices)} devices every process needs some.'
    )
  return Layout(Mesh(chosen, AXES, axis_types=(AxisType.Auto,) * 2), smallest)


def count() -> int:
  """The devices that there are, those of other processes included."""
  return jax.device_count()


@functools.cache
def one_device() -> Layout:
  """The layout of the first device alone."""
  return make_layout(devices=jax.local_devices()[:1])
