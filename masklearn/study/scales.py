"""The scales of a policy's episodes: measured as these are used, and kept in a file."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from masklearn.io import files, hosts
from masklearn.meta.episodes import Episodes
from masklearn.meta.outer import Episode
from masklearn.training.context import StageContext
from masklearn.types import InputError

SAVE_EVERY = 10  # probes


class Scales:
  """Batches of episodes in the scales of their questions, see `Episodes.scales`.

  The scales of a batch depend on it and on those before it alone: they are the same
  for a run that was interrupted, and take no longer before the first batch of a large
  corpus than of a small one.
  """

  def __init__(
    self,
    episodes: Episodes,
    batches: Sequence[np.ndarray],
    probe: Callable,
    key: jax.Array,
    context: StageContext,
  ):
    """Reads what was measured before.

    Args:
      episodes: get the scales.
      batches: rows of episodes, [E] each.
      probe: see `Episodes.sizes`.
      key: a random key.
      context: a file in its directory has what was measured.

    Raises:
      InputError: the file is damaged.
    """
    self._episodes, self._batches = episodes, batches
    self._probe, self._key, self._context = probe, key, context
    self._seen = np.zeros(len(episodes), bool)
    self._done = 0  # batches whose episodes have their sizes
    self._path = context.directory / 'scales.json'
    size = len(batches[0])
    self._made_by = {'episodes': size, 'questions': len(episodes.questions.target)}
    shape = size, episodes.asked.shape[1]
    found = hosts.told(lambda: _measured(self._path, self._made_by, shape))
    self._sizes = {int(i): np.array(sizes) for i, sizes in found.items()}

  def stack(self, i: int) -> Episode:
    """Batch i; to be asked for in order."""
    self.measure(i + 1)
    return self._episodes.stack(self._batches[i])

  def measure(self, count: int) -> None:
    """Gives the episodes of the first `count` batches their sizes."""
    for i in range(self._done, count):
      rows = self._batches[i]
      new, first = np.unique(rows, return_index=True)
      fresh = first[~self._seen[new]]
      if len(fresh):
        self._episodes.add_sizes(rows[fresh], self._of_batch(i, rows)[fresh])
        self._seen[new] = True
      self._done = i + 1

  def measure_all(self, count: int) -> 'Scales':
    """Measures the first `count` batches, shows that it does, and returns itself.

    Raises:
      KeyboardInterrupt: somebody asked to stop; what was measured is saved.
    """
    progress, before = self._context.progress, min(len(self._sizes), count)
    shown = progress.start(self._context.title, count, before, 'probes')
    try:
      for i in range(count):
        self.measure(i + 1)
        shown.update(i + 1, note='influence of spans')
        progress.check()
    except KeyboardInterrupt:
      self._save()
      raise
    self._save()
    return self

  def _of_batch(self, i, rows):
    if i not in self._sizes:
      key = jax.random.fold_in(self._key, i)
      self._sizes[i] = self._episodes.sizes(self._probe, rows, key)
      if len(self._sizes) % SAVE_EVERY == 0:
        self._save()
    return self._sizes[i]

  def _save(self):
    self._context.directory.mkdir(exist_ok=True)  # not its parents: those may be gone
    sizes = {str(i): np.asarray(found).tolist() for i, found in self._sizes.items()}
    said = files.json_text({'made_by': self._made_by, 'sizes': sizes})
    files.write_text(self._path, said, parents=False)


def of_part(context: StageContext, name: str) -> StageContext:
  """The context of the scales of a part of the episodes, such as 'validation'."""
  return dataclasses.replace(
    context,
    directory=context.directory / f'scales-{name}',
    title=f'{context.title}: scales, {name}',
  )


def _measured(path, made_by, shape):
  """The sizes [E, Q] of batches that were measured before, by their numbers."""
  if not path.exists():
    return {}
  with files.remade(path):
    said = files.read_object(path, ['made_by'])
    if said['made_by'] != made_by or 'sizes' not in said:
      return {}
    try:
      found = {int(i): np.array(x, np.float64) for i, x in said['sizes'].items()}
    except (AttributeError, TypeError, ValueError) as error:
      raise InputError(f'{path} is damaged: {error}.') from error
    for i, sizes in found.items():
      if i < 0 or sizes.shape != shape or not np.isfinite(sizes).all():
        raise InputError(f'{path} is damaged: its numbers cannot be.')
  return {str(i): sizes.tolist() for i, sizes in found.items()}
