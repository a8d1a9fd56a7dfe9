"""Whoever writes when there is no room: one error with the file, and nothing half."""

import contextlib
import resource

import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import data
from masklearn.data import array_files
from masklearn.io import checkpoint, checksums, disk, files
from masklearn.training import events
from masklearn.types import Passage

TREE = {'w': jnp.linspace(0.0, 1.0, 5000)}
ROWS = np.arange(6_000).reshape(30, 200)
TEXT = ' '.join(map(str, range(5000)))


@contextlib.contextmanager
def no_room(size):
  """Files of at most so many bytes: what is longer is refused as by a full disk."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_resumable(path):
  """A file that grows."""
  with files.ResumableFile(path / 'a.jsonl', {}, {}) as out:
    out.add([TEXT], {})
    out.finish()


def write_events(path):
  """More than a buffer of them."""
  file = events.EventFile(path / 'tensorboard', 0)
  with contextlib.closing(file):
    for step in range(300):
      file.add(step, {'loss': 1.0})


WRITERS = {
  'text': lambda path: files.write_text(path / 'a.txt', TEXT),
  'checksums': lambda path: checksums.seal(path / 'done.json', {'a': TEXT}),
  'resumable': write_resumable,
  'checkpoint': lambda path: checkpoint.save(path / 'params', TREE),
  'store': lambda path: data.write_store(path / 's', [Passage('a', TEXT)]),
  'arrays': lambda path: array_files._write(path / 'e', [{'tokens': ROWS}], 30, 9_999),
  'events': write_events,
}


@pytest.mark.parametrize('name', WRITERS)
def test_no_room_is_one_error_with_the_file(tmp_path, name):
  """Of whatever library writes; with room, the same call goes through."""
  with no_room(3_000), pytest.raises(OSError, match='File too large') as raised:
    WRITERS[name](tmp_path)
  assert str(raised.value.filename).startswith(str(tmp_path))
  said = disk.explain(raised.value)
  assert 'make room' in said
  assert '\n' not in said
  if name != 'events':
    # What was begun is under a name of its own, or gone.
    assert not [path for path in tmp_path.glob('*') if path.suffix in ('.txt', '.json')]
  WRITERS[name](tmp_path)


def test_a_checkpoint_that_does_not_fit_is_not_begun(tmp_path, monkeypatch):
  """The one before it stays, and is what a restart reads."""
  with checkpoint.Checkpoints(tmp_path / 'a') as checkpoints:
    checkpoints.save(1, TREE)
    room = disk.shutil.disk_usage(tmp_path)._replace(free=19_999)
    monkeypatch.setattr(disk.shutil, 'disk_usage', lambda path: room)
    with pytest.raises(OSError, match='No space left on device') as raised:
      checkpoints.save(2, TREE)
    assert raised.value.filename == str(tmp_path / 'a')
  assert sorted(path.name for path in (tmp_path / 'a').iterdir()) == ['1', 'SHA256SUMS']
  np.testing.assert_array_equal(
    checkpoint.restore(tmp_path / 'a', TREE)['w'], TREE['w']
  )


def test_arrays_are_written_as_numpy_writes_them(tmp_path):
  """The files are those of `np.save`."""
  parts = [{'tokens': ROWS[:10]}, {'tokens': ROWS[10:]}]
  assert array_files._write(tmp_path / 'e', parts, 30, 9_999) == ['tokens']
  np.save(tmp_path / 'whole.npy', ROWS.astype(np.uint16))
  got = (tmp_path / 'e' / 'tokens.npy').read_bytes()
  assert got == (tmp_path / 'whole.npy').read_bytes()
