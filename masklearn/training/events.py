"""Numbers for TensorBoard, written by who logs them.

The writer of tensorboardX has a thread, which ends where a disk is full; who logs would
then wait for it without an end.
"""

import contextlib
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping

from masklearn.io import disk


class EventFile:
  """A file of scalars by step, in a directory that is made."""

  def __init__(self, directory: str | os.PathLike, step: int):
    """Begins, or goes on after `step`: later ones of earlier files do not count."""
    with _hidden('torch', 'google.cloud.storage'):  # seconds to load
      from tensorboardX import event_file_writer, summary
      from tensorboardX.proto import event_pb2

    self._event, self._scalar = event_pb2.Event, summary.scalar
    self._directory = pathlib.Path(directory)
    self._directory.mkdir(exist_ok=True)
    with disk.naming(self._directory):
      prefix = str(self._directory / 'events')
      self._file = event_file_writer.EventsWriter(prefix)
      if step:
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(step=step + 1, file_version='brain.Event:2')
        self._write(step=step + 1, session_log=start)

  def add(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds the metrics of a step."""
    with disk.naming(self._directory):
      for name, value in metrics.items():
        self._write(step=step, summary=self._scalar(name, value))

  def flush(self) -> None:
    """Writes everything to disk."""
    with disk.naming(self._directory):
      self._file.flush()

  def close(self) -> None:
    """Ends the file."""
    with disk.naming(self._directory):
      try:
        self._file.flush()
      finally:  # Its own `close` would leave the file open where a flush fails.
        self._file._py_recordio_writer.close()

  def _write(self, **fields):
    self._file.write_event(self._event(wall_time=time.time(), **fields))


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
  """Hides modules that tensorboardX would load, and numbers in files do not need."""
  unloaded = [name for name in names if name not in sys.modules]
  sys.modules.update(dict.fromkeys(unloaded))
  try:
    yield
  finally:
    for name in unloaded:
      del sys.modules[name]
