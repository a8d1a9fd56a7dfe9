"""A work directory in a bucket is like one on a disk, from whichever machine."""

import os
import pathlib
import shutil
import time

import pytest

from experiments import app
from masklearn.io import bucket, checksums, files, mirror, progress
from masklearn.types import InputError
from tests import storage

URL = f'gs://{storage.BUCKET}/runs/one'


@pytest.fixture
def server(monkeypatch):
  """A server of its own for each test."""
  pytest.importorskip('google.cloud.storage', reason='needs the extra `gcs`')
  with storage.emulator() as address:
    monkeypatch.setenv('STORAGE_EMULATOR_HOST', address)
    yield address


def contents(directory):
  """The files of a directory, by name, with what is in them."""
  return {
    path.relative_to(directory).as_posix(): path.read_bytes()
    for path in pathlib.Path(directory).rglob('*')
    if path.is_file()
  }


class Stage:
  """The files of a stage that trains, as they are on a disk at some moments."""

  def __init__(self, directory):
    self.directory = pathlib.Path(directory) / 'base' / '0'

  def save(self, step):
    """A line of the history, then a checkpoint in place of the one before."""
    folder = self.directory / 'checkpoints'
    before = list(folder.glob('[0-9]*'))
    files.write_jsonl(self.directory / 'history.jsonl', [{'step': step}])
    new = folder / str(step) / 'd'
    new.mkdir(parents=True)
    for name in 'ab':
      (new / name).write_text(f'{name} of {step}')
    checksums.add(folder, [str(step)], keep=False)
    for path in before:
      shutil.rmtree(path)

  def finish(self):
    """Parameters, done.json, and no checkpoint any more."""
    (self.directory / 'params' / '0').mkdir(parents=True)
    (self.directory / 'params' / '0' / 'x').write_text('numbers')
    checksums.add(self.directory / 'params', ['0'])
    checksums.seal(
      self.directory / 'done.json', {'seconds': 1}, [f'params/{checksums.NAME}']
    )
    shutil.rmtree(self.directory / 'checkpoints')

  def check(self):
    """What every reader of a stage relies on; returns how far it is."""
    if (self.directory / 'done.json').exists():
      checksums.check(self.directory)
      checksums.check(self.directory / 'params')
      return 'done'
    steps = sorted((self.directory / 'checkpoints').glob('[0-9]*'))
    if not steps:
      return 0
    step = int(steps[-1].name)
    assert {path.name for path in steps[-1].glob('d/*')} == {'a', 'b'}
    checksums.check(self.directory / 'checkpoints', [f'{step}/*'])
    assert files.read_jsonl(self.directory / 'history.jsonl')[-1]['step'] >= step
    return step


def test_another_machine_goes_on_from_the_bucket(server, tmp_path):
  """All is there, what was removed is gone, and nothing but that."""
  with mirror.copied(URL, home=tmp_path / 'a') as first:
    stage = Stage(first)
    stage.save(4)
    (pathlib.Path(first) / 'x.partial').write_text('half')
    (pathlib.Path(first) / 'made.jsonl.partial').write_text('half, as said')
    (pathlib.Path(first) / 'made.jsonl.state').write_text('half')
    wanted = contents(first)
  del wanted['x.partial']
  with mirror.copied(URL, home=tmp_path / 'b') as second:
    assert contents(second) == wanted
    Stage(second).save(8)
  with mirror.copied(URL, home=tmp_path / 'a') as first:
    assert Stage(first).check() == 8
    wanted.pop('base/0/checkpoints/4/d/a')
    assert contents(first).keys() - wanted.keys() == {
      'base/0/checkpoints/8/d/a', 'base/0/checkpoints/8/d/b'
    }  # fmt: skip


def test_what_was_not_uploaded_is_not_lost(server, tmp_path):
  """The machine that wrote last goes on from what it has."""
  with mirror.copied(URL, home=tmp_path) as directory:
    Stage(directory).save(4)
  Stage(directory).save(8)  # by a process that was killed before it could upload
  with mirror.copied(URL, home=tmp_path) as directory:
    assert Stage(directory).check() == 8
  with mirror.copied(URL, home=tmp_path / 'other') as directory:
    assert Stage(directory).check() == 8


class Failing(bucket.Bucket):
  """A bucket whose connection is lost after `left` changes."""

  left = 1000

  def __getattribute__(self, name):
    """An attribute; one that changes the bucket counts."""
    if name in ('write', 'upload', 'remove'):
      self.left -= 1
      if self.left < 0:
        raise InputError('no connection')
    return super().__getattribute__(name)


def test_an_upload_may_end_anywhere(server, tmp_path):
  """Another machine finds the stage before or behind, and never half of one."""
  found = []
  for left in range(40):
    connection = Failing(f'{URL}-{left}')
    here = mirror.Mirror(connection, tmp_path / f'here{left}')
    here.pull()
    stage = Stage(tmp_path / f'here{left}')
    stage.save(4)
    here.push()
    connection.left = left
    whole = True
    for change in (lambda s=stage: s.save(8), stage.finish):
      change()
      try:
        here.push()
      except InputError:
        whole = False
        break
    there = mirror.Mirror(bucket.Bucket(f'{URL}-{left}'), tmp_path / f'there{left}')
    there.pull()
    found.append(Stage(tmp_path / f'there{left}').check())
    if whole:
      break
  assert found[-1] == 'done'
  assert set(found) == {4, 8, 'done'}
  assert found == sorted(found, key=[4, 8, 'done'].index)


def test_a_folder_has_one_writer(server, tmp_path):
  """The second is told who; one that was lost is taken over, and told so."""
  first = bucket.Lease(bucket.Bucket(URL))
  with (
    pytest.raises(InputError, match=rf'in use by process {os.getpid()} on'),
    mirror.copied(URL, home=tmp_path),
  ):
    pass
  first._generation = 1  # as where the answer to a sign of life was lost
  assert not first.renew()
  second = bucket.Lease(bucket.Bucket(URL), lost=0)
  assert first.renew().startswith(f'process {os.getpid()} on')
  first.release()  # not its own any more
  assert not second.renew()
  second.release()
  with mirror.copied(URL, home=tmp_path):
    pass
  assert not bucket.Bucket(URL).sums()  # nothing was written, and nothing is left


def test_a_copy_that_was_cleared_away_removes_nothing(server, tmp_path):
  """It is made again from the bucket, whose last writer it was."""
  with mirror.copied(URL, home=tmp_path) as directory:
    Stage(directory).save(4)
    wanted = contents(directory)
  for whole in (False, True):
    shutil.rmtree(directory if whole else f'{directory}/base')
    with mirror.copied(URL, home=tmp_path) as directory:
      assert contents(directory) == wanted


def test_who_was_taken_over_stops(server, tmp_path):
  """With one line that says by whom, and nothing more is uploaded."""

  def work():
    copied = mirror.copied(URL, home=tmp_path, period=0.1)
    with copied as directory, progress.Progress() as going:
      bucket.Lease(bucket.Bucket(URL), lost=0)
      Stage(directory).save(4)
      while True:
        going.check()
        time.sleep(0.01)

  with pytest.raises(InputError, match='was taken over by process'):
    work()
  assert 'base/0/history.jsonl' not in bucket.Bucket(URL).sums()


@pytest.mark.parametrize(
  ('workdir', 'message'),
  [
    ('s3://bucket/run', 'or gs://BUCKET/FOLDER, got the URL s3://bucket/run'),
    ('gs://bucket', 'A folder in a bucket is gs://BUCKET/FOLDER, got gs://bucket'),
    ('gs:///run', 'A folder in a bucket is'),
    ('gs://nobody/run', 'gs://nobody/run cannot be used: NotFound'),
  ],
)
def test_what_is_no_folder_is_refused(server, tmp_path, workdir, message):
  """In one line, with nothing made."""
  with (
    pytest.raises(InputError, match=message),
    mirror.copied(workdir, home=tmp_path / 'cache'),
  ):
    pass
  assert not list(tmp_path.iterdir())


def test_a_main_sees_the_copy(server, tmp_path, monkeypatch, capsys):
  """And the command says where all of it is."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  seen = []

  def main(workdir):
    seen.append(workdir)
    Stage(workdir).save(4)

  with pytest.raises(SystemExit) as ended:
    app.run(main, ['main', f'--workdir={URL}'])
  assert ended.value.code == 0
  assert capsys.readouterr().out == f'all of it is in {URL}\n'
  assert seen[0].startswith(str(tmp_path))
  assert 'base/0/history.jsonl' in bucket.Bucket(URL).sums()


@pytest.mark.parametrize(
  ('group', 'key', 'value'),
  [('mesh', 'processes', 4), ('study', 'scheduler', 'tcp://10.0.0.1:8786'),
   ('study', 'scheduler', 'slurm:2')],
)  # fmt: skip
def test_a_copy_is_not_for_several_machines(capsys, group, key, value):
  """They would each have another one; said before anything is reached."""
  flag = f'--config.{group}.{key}={value}'
  given = ['main', '--config=configs/world.py:smoke', flag, f'--workdir={URL}']
  with pytest.raises(SystemExit) as ended:
    app.run(lambda config, workdir: None, given)
  assert ended.value.code == 2
  assert 'several need a directory that all of them see' in capsys.readouterr().err
