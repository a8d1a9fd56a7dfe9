"""The scales of a policy's episodes: measured once, shown, and kept in a file."""

import dataclasses
from collections.abc import Callable, Iterable

import jax
import numpy as np

from masklearn import data
from masklearn.io import files, hosts
from masklearn.meta.episodes import Episodes
from masklearn.training.context import StageContext
from masklearn.types import InputError

SAVE_EVERY = 10  # batches


def measure(
  episodes: Episodes,
  used: Iterable[np.ndarray],
  probe: Callable,
  size: int,
  key: jax.Array,
  context: StageContext,
) -> None:
  """Measures the scales of the episodes that will be used; goes on where it was.

  Args:
    episodes: gets the scales.
    used: rows of episodes, in any order and number.
    probe: see `Episodes.measure_scales`.
    size: E, episodes of a probe.
    key: a random key.
    context: a file in its directory has what was measured.

  Raises:
    KeyboardInterrupt: somebody asked to stop; what was measured is saved.
  """
  rows = _distinct(used, len(episodes))
  batches = rows[data.filled(len(rows), size)]
  context.directory.mkdir(exist_ok=True)  # not its parents: those may be gone
  path = context.directory / 'scales.json'
  made_by = {'batches': len(batches), 'questions': len(episodes.scales)}
  done, sums = hosts.told(lambda: _measured(path, made_by))
  sums = None if sums is None else np.array(sums, np.float64)
  shown = context.progress.start(context.title, len(batches), done, 'probes')

  def after(done, sums):
    shown.update(done, note='influence of spans')
    stops = context.progress.stop.is_set()
    if stops or done % SAVE_EVERY == 0 or done == len(batches):
      said = {'made_by': made_by, 'done': done, 'sums': sums.tolist()}
      files.write_text(path, files.json_text(said), parents=False)
    context.progress.check()

  episodes.measure_scales(probe, batches, key, sums, done, after)


def of_part(context: StageContext, name: str) -> StageContext:
  """The context of the scales of a part of the episodes, such as 'validation'."""
  return dataclasses.replace(
    context,
    directory=context.directory / f'scales-{name}',
    title=f'{context.title}: scales, {name}',
  )


def _measured(path, made_by):
  """Batches that were measured before, and their sums."""
  if not path.exists():
    return 0, None
  with files.remade(path):
    said = files.read_object(path, ['made_by', 'done', 'sums'])
    if said['made_by'] != made_by:
      return 0, None
    try:
      done, sums = int(said['done']), np.array(said['sums'], np.float64)
    except (TypeError, ValueError) as error:
      raise InputError(f'{path} is damaged: {error}.') from error
    fits = sums.shape == (2, made_by['questions']) and np.isfinite(sums).all()
    if not (fits and 0 <= done <= made_by['batches']):
      raise InputError(f'{path} is damaged: its numbers cannot be.')
  return done, sums.tolist()


def _distinct(used, count):
  """The rows, each once and in order; looks no further once all have come."""
  seen = np.zeros(count, bool)
  for rows in used:
    seen[rows] = True
    if seen.all():
      break
  return np.flatnonzero(seen)
