"""The history of a run: what is logged, in lines and for TensorBoard."""

import pathlib
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from masklearn.io import files
from masklearn.training import events
from masklearn.types import InputError


class History:
  """The lines of `history.jsonl`, and the same numbers for TensorBoard.

  `window.json` has the metrics of the steps behind the last line, where a run was
  stopped between two lines, so that the next one has the same mean.
  """

  def __init__(self, directory: pathlib.Path, step: int):
    """Keeps what was logged up to `step`; what came later is run again."""
    self._path, self._window = directory / 'history.jsonl', directory / 'window.json'
    self.rows = []
    if step:
      with files.remade(directory):
        self.rows = self._logged(step)
    self._writer = events.EventFile(directory / 'tensorboard', step)

  def _logged(self, step):
    if not self._path.is_file():
      raise InputError(f'{self._path} is missing.')
    rows = files.read_jsonl(self._path, ['step'])
    if not all(isinstance(row['step'], int) for row in rows):
      raise InputError(f'{self._path} is damaged: a step is no whole number.')
    rows = [row for row in rows if row['step'] <= step]
    # A checkpoint is written behind a line, or behind what is in no line yet.
    if not rows and not self.window(step):
      raise InputError(f'{self._path} is damaged: nothing is left of it.')
    return rows

  def add(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds metrics of a step, to those that it has."""
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

  def window(self, step: int) -> list[dict[str, np.float32]]:
    """The metrics of steps behind the last line, as a run left them at `step`."""
    if not (step and self._window.exists()):
      return []
    with files.remade(self._window.parent):
      said = files.read_json(self._window)
      try:
        rows = [{k: np.float32(v) for k, v in row.items()} for row in said['metrics']]
        return rows if said['step'] == step else []
      except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f'{self._window} is damaged: {error!r}.') from error

  def is_validated(self, step: int) -> bool:
    """Whether metrics of a validation were logged at this step."""
    last = self.rows[-1] if self.rows else {'step': -1}
    return last['step'] == step and any(k.startswith('validation_') for k in last)

  def flush(
    self, step: int = 0, window: Sequence[Mapping[str, jax.Array]] = ()
  ) -> None:
    """Writes everything to disk.

    Args:
      step: how far the run got.
      window: metrics of the steps that are in no line yet.
    """
    self._writer.flush()
    files.write_jsonl(self._path, self.rows, parents=False)
    if window:
      metrics = [{k: float(v) for k, v in row.items()} for row in window]
      said = {'step': step, 'metrics': metrics}
      files.write_text(self._window, files.json_text(said), parents=False)
    else:
      self._window.unlink(missing_ok=True)

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    self._writer.close()
