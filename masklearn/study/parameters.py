"""Parameters that the stages of a study begin with: what finished ones have left."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from masklearn import models
from masklearn.io import checkpoint
from masklearn.study import plan, stage
from masklearn.study.setup import Setup
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Policy


class Parameters:
  """Those of a work directory, each read when a stage begins with it."""

  def __init__(
    self,
    workdir: pathlib.Path,
    setup: Setup,
    layout: Layout,
    made: Mapping[str, Policy],
    with_base: bool,
    reference: str,
  ):
    """Reads nothing yet.

    Args:
      workdir: of the study.
      setup: with the model.
      layout: where parameters are to lie.
      made: the policies by name.
      with_base: whether a base model is trained.
      reference: a policy that is trained, see `plan.teacher`.
    """
    self._workdir, self._setup, self._layout = workdir, setup, layout
    self._made, self._with_base, self._reference = made, with_base, reference

  def first(self, seed: int) -> Start:
    """What the base model is trained from."""
    if published := self._setup.params:
      like = self._layout.shapes(self._shapes)
      return Start(self._shapes, lambda: checkpoint.restore(published, like))
    init = functools.partial(models.init_params, self._setup.model)
    return Start(self._shapes, lambda: self._layout.init(init, jax.random.key(seed)))

  def base(self, seed: int) -> Start:
    """Those of the base model."""
    return self._of(f'base/{seed}') if self._with_base else self.first(seed)

  def pretrained(self, cell: plan.Cell) -> Start:
    """Those after the pre-training of a cell; of the base where it has none."""
    if not plan.entry(cell.policy).make:
      return self.base(cell.seed)
    return self._of(f'pretrain/{cell.variant}/{cell.seed}')

  def theta(self, policy: str, task: str | None, seed: int) -> Any:
    """The parameters of a kind of policy; None where they are still to be learned.

    The task does not matter to a policy that is given none.
    """
    taught = plan.teacher(policy, self._reference)
    if not taught:
      return {}
    folder = plan.folder(taught, task if plan.entry(taught).sees_task else None)
    directory = self._workdir / 'policies' / folder / str(seed) / 'theta'
    if not directory.exists():
      return None
    init = self._made[plan.policy_of(taught)].init
    shapes = jax.eval_shape(init, jax.random.key(0))
    return stage.saved(directory, shapes, self._layout).read()

  def _of(self, directory: str) -> Start:
    """Those of a finished stage."""
    path = self._workdir / directory / 'params'
    return stage.saved(path, self._shapes, self._layout)

  @functools.cached_property
  def _shapes(self):
    return models.param_shapes(self._setup.model)
