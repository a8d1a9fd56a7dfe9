"""The history of a run: what is logged, in lines and for TensorBoard."""

import pathlib
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from masklearn.io import files, hosts
from masklearn.training import events
from masklearn.types import InputError

WINDOW = 'window.json'


class History:
  """The lines of `history.jsonl`, and the same numbers for TensorBoard.

  `window.json` has the metrics of the steps behind the last line, where a run was
  stopped between two lines, so that the next one has the same mean. What a run began
  with stays in it, as another may begin from the same checkpoint.
  """

  def __init__(self, directory: pathlib.Path, step: int):
    """Keeps what was logged up to `step`; what came later is run again."""
    self._path, self._window = directory / 'history.jsonl', directory / WINDOW
    self._step, self._windows, self.rows = step, {}, []
    if step:
      with files.remade(directory):
        self._windows = self._read_windows()
        self.rows = self._logged(step)
    self._writer = None  # of the first process alone
    if hosts.is_first():
      self._writer = events.EventFile(directory / 'tensorboard', step)

  def _logged(self, step):
    if not self._path.is_file():
      raise InputError(f'{self._path} is missing.')
    rows = files.read_jsonl(self._path, ['step'])
    if not all(isinstance(row['step'], int) for row in rows):
      raise InputError(f'{self._path} is damaged: a step is no whole number.')
    rows = [row for row in rows if row['step'] <= step]
    # A checkpoint is written behind a line, or behind what is in no line yet.
    if not rows and not self.window():
      raise InputError(f'{self._path} is damaged: nothing is left of it.')
    return rows

  def add(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds metrics of a step, to those that it has."""
    if self._writer:
      self._writer.add(step, metrics)
    if self.rows and self.rows[-1]['step'] == step:
      self.rows[-1].update(metrics)
    else:
      self.rows.append({'step': step, **metrics})

  def add_mean(
    self, step: int, window: Sequence[Mapping[str, jax.Array]]
  ) -> dict[str, float]:
    """Adds the mean of each metric over some steps, which it returns."""
    means = {k: float(np.mean([np.asarray(m[k]) for m in window])) for k in window[-1]}
    self.add(step, means)
    return means

  def window(self) -> list[dict[str, np.float32]]:
    """The metrics of steps behind the last line, as the run before left them."""
    return list(self._windows.get(self._step, ()))

  def _read_windows(self):
    if not self._window.exists():
      return {}
    said = files.read_object(self._window)
    try:
      return {
        int(step): [{k: np.float32(v) for k, v in row.items()} for row in rows]
        for step, rows in said.items()
      }
    except (TypeError, ValueError, AttributeError) as error:
      raise InputError(f'{self._window} is damaged: {error!r}.') from error

  def save(self, step: int, window: Sequence[Mapping[str, jax.Array]]) -> None:
    """Writes everything to disk before a checkpoint.

    Args:
      step: how far the run got.
      window: metrics of the steps that are in no line yet.
    """
    self.flush()
    windows = {self._step: self.window(), step: window}
    said = {
      str(step): [{k: float(v) for k, v in row.items()} for row in rows]
      for step, rows in windows.items()
      if rows
    }
    if said:
      files.write_text(self._window, files.json_text(said), parents=False)

  def flush(self) -> None:
    """Writes the lines to disk."""
    if self._writer:
      self._writer.flush()
    files.write_jsonl(self._path, self.rows, parents=False)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    if self._writer:
      self._writer.close()
