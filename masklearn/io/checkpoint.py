"""Saving and restoring trees of arrays: the only place that knows orbax.

Beside the steps of a directory stands SHA256SUMS, with the checksums of the newest: a
flipped bit would be read as another number.
"""

import contextlib
import errno
import logging
import os
import pathlib
import shutil
import threading
from typing import Any

import jax
from orbax.checkpoint.experimental import v1 as ocp

from masklearn.io import checksums, disk, files, hosts
from masklearn.types import InputError

# Orbax numbers operations by a counter of the whole process, and one that is under
# way asks for the number again: of two at a time, from stages side by side, each may
# wait for the other's signal until it times out.
_TURN = threading.RLock()


class Checkpoints:
  """The checkpoints of one stage, the newest one kept; a context manager.

  A save is whole or absent: it is written beside the others and renamed, so that
  a process killed in the middle of one restores the one before.
  """

  def __init__(self, directory: str | os.PathLike):
    path = pathlib.Path(directory).absolute()
    hosts.told(lambda: _clear(path))
    self._path = path
    training = ocp.training
    with _TURN, _quiet(), _reading(path):
      self._checkpointer = training.Checkpointer(
        path,
        preservation_policy=training.preservation_policies.LatestN(1),
        save_decision_policy=training.save_decision_policies.AnySavePolicy([]),
      )

  @property
  def latest(self) -> int | None:
    """The step of the newest checkpoint, None if there is none."""
    newest = self._checkpointer.latest
    return None if newest is None else newest.step

  def save(self, step: int, tree) -> None:
    """Writes `tree` as the checkpoint of `step`, unless it is there already.

    Raises:
      OSError: the system refused; names the directory, which holds what it held.
    """
    with _TURN, _quiet(), disk.naming(self._path):  # until it is on disk
      if step == self.latest:
        return
      if not self._path.is_dir():  # Orbax would make what somebody has removed.
        said = os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, said, str(self._path))
      disk.check_room(self._path, sum(x.nbytes for x in jax.tree.leaves(tree)))
      self._checkpointer.save(step, tree, force=True)
      checksums.add(self._path, [str(step)], keep=False)
      hosts.wait()

  def resume(self, like):
    """The newest checkpoint, see `restore`, or `like` itself if there is none."""
    if self.latest is None:
      return like
    with files.remade(self._path):
      return self.restore(like)

  def restore(self, like):
    """The newest checkpoint, with the structure, shapes and dtypes of `like`.

    Raises:
      InputError: it has others, or it is damaged.
    """
    with _TURN, _quiet(), _reading(self._path):
      newest = self._checkpointer.latest
      if newest is None:
        raise InputError(f'There is no checkpoint at {self._path}.')
      checksums.check(self._path, [f'{newest.step}/*'])
      # Orbax would find out as well, and leave what it has begun to read behind.
      there = _shapes(self._checkpointer.metadata(newest).metadata)
      wanted = _shapes(like)
      for name in [*wanted, *there]:
        if there.get(name) != wanted.get(name):
          raise InputError(
            f'The checkpoint at {self._path} does not fit: expected '
            f'{_said(wanted.get(name))} as {name}, got {_said(there.get(name))}.'
          )
      return self._checkpointer.load(None, _abstract(like))

  def shapes(self) -> Any:
    """The shapes of the newest checkpoint."""
    with _TURN, _quiet(), _reading(self._path):
      newest = self._checkpointer.latest
      if newest is None:
        raise InputError(f'There is no checkpoint at {self._path}.')
      return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype),
        self._checkpointer.metadata(newest).metadata,
      )

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    try:
      with _TURN, _quiet(), disk.naming(self._path):
        self._checkpointer.close()
    except Exception:  # where a save has failed, this says so again
      if exception[0] is None:
        raise


def save(path: str | os.PathLike, tree) -> None:
  """Writes what a finished stage hands over; a step number would mean nothing.

  What is there is of a stage that did not finish, and is replaced.
  """
  hosts.told(lambda: shutil.rmtree(path, ignore_errors=True))
  with Checkpoints(path) as checkpoints:
    checkpoints.save(0, tree)


def restore(path: str | os.PathLike, like):
  """Reads what `save` wrote, with the structure, shapes and dtypes of `like`.

  Raises:
    InputError: it has others, is damaged, or is not there.
  """
  if not os.path.isdir(path):
    raise InputError(f'There is no checkpoint at {path}.')
  with Checkpoints(path) as checkpoints:
    return checkpoints.restore(like)


def shapes(path: str | os.PathLike) -> Any:
  """The shapes of what `save` wrote, in dicts: what `restore` takes, on one device."""
  with Checkpoints(path) as checkpoints:
    return checkpoints.shapes()


def _clear(path):
  """Makes the directory, without what a killed process has left there.

  Orbax would remove that in the background, while it lists the directory and while the
  next save of that step begins.
  """
  path.mkdir(parents=True, exist_ok=True)
  for unfinished in path.glob('*.orbax-checkpoint-tmp*'):
    shutil.rmtree(unfinished)


@contextlib.contextmanager
def _quiet():
  """Keeps orbax from printing, thread by thread, what it raises in the end."""

  def of_others(record):
    return f'{os.sep}orbax{os.sep}' not in record.pathname

  logger = logging.getLogger('absl')
  logger.addFilter(of_others)
  try:
    yield
  finally:
    logger.removeFilter(of_others)


@contextlib.contextmanager
def _reading(path):
  """Turns whatever orbax raises of damaged files into one line that names them."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:
    said = ' '.join(f'{type(error).__name__}: {error}'.split())
    raise InputError(f'The checkpoint at {path} is damaged: {said:.200}') from error


def _shapes(tree):
  """The shape of every leaf by its path; steps into a tree are all alike."""
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): tuple(leaf.shape)
    for path, leaf in jax.tree.leaves_with_path(tree)
  }


def _said(shape):
  return 'nothing' if shape is None else f'shape {list(shape)}'


def _abstract(tree):
  here = jax.numpy.zeros(()).sharding  # for shapes that have no place yet

  def leaf(x):
    sharding = getattr(x, 'sharding', None) or here
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(leaf, tree)
