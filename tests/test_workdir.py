"""A work directory: one config, one process, and nothing left of what is refused."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest
from ml_collections import config_dict

from masklearn.io import disk, files, owner, provenance, workdir
from masklearn.types import InputError

ROOT = pathlib.Path(__file__).parents[1]
CORPUS = 'seed', 'corpus.'


def config(**changes):
  """A config with what a corpus is made with, and what it is not."""
  return config_dict.create(seed=0, corpus={'size': 3}, rate=changes.get('rate', 0.1))


def held(path, **changes):
  """The directory as a study holds it."""
  return workdir.held(path, config(**changes), last='study.json', corpus_keys=CORPUS)


def refused(path, message, work=lambda: None, **changes):
  """Holds the directory and does some work; it must be refused, in one line."""

  def hold():
    with held(path, **changes):
      work()

  with pytest.raises(InputError, match=message) as raised:
    hold()
  assert '\n' not in str(raised.value).replace(str(path), '')


def names(path):
  """Everything below a directory."""
  return {p.relative_to(path).as_posix() for p in path.rglob('*')}


@pytest.mark.parametrize('error', [InputError('no'), OSError(28, 'full', 'x')])
def test_what_is_refused_leaves_nothing(tmp_path, error):
  """Neither config.json nor folders, nested or above, so that it binds nobody."""
  path = tmp_path / 'a' / 'b'

  def work():
    (path / 'base' / '0' / 'tensorboard').mkdir(parents=True)
    raise error

  refused(path, 'no|full', work, rate=9)
  assert not names(tmp_path)
  with held(path, rate=0.2) as finished:
    assert not finished


def test_what_was_made_stays_and_binds(tmp_path):
  """A refusal after that changes nothing, and another config is refused."""
  path = tmp_path / 'a'

  def work():
    (path / 'base').mkdir()
    (path / 'base' / 'done.json').write_text('{}')
    raise InputError('late')

  refused(path, 'late', work)
  refused(path, r'rate is 0\.1 there and 0\.2 here', rate=0.2)
  assert names(path) == {'config.json', 'SHA256SUMS', 'base', 'base/done.json'}


def test_a_corpus_binds_what_it_is_made_with(tmp_path):
  """The rest of the config may change as long as there is nothing else."""
  with held(tmp_path / 'a'):
    (tmp_path / 'a' / 'corpus').mkdir()
  with held(tmp_path / 'a', rate=0.3):
    pass
  assert files.read_json(tmp_path / 'a' / 'config.json')['rate'] == 0.3
  other = config_dict.create(seed=0, corpus={'size': 4}, rate=0.3)
  with pytest.raises(InputError, match=r'corpus\.size is 3 there and 4 here'):
    provenance.claim(tmp_path / 'a', other, corpus_keys=CORPUS)


def test_what_says_where_a_study_runs_may_be_another(tmp_path):
  """Nothing is written again; without that freedom, it is refused."""
  first = config_dict.create(rate=0.1, mesh={'data': 8})
  other = config_dict.create(rate=0.1, mesh={'data': 4})
  provenance.claim(tmp_path, first)
  written = (tmp_path / 'config.json').read_bytes()
  provenance.claim(tmp_path, other, free_keys=('mesh.',))
  provenance.claim(tmp_path, other, free_keys=('mesh.data',))
  assert (tmp_path / 'config.json').read_bytes() == written
  for keys in ((), ('mesh',), ('mesh.fsdp',)):
    with pytest.raises(InputError, match=r'mesh\.data is 8 there and 4 here'):
      provenance.claim(tmp_path, other, free_keys=keys)


def test_a_lost_config_is_written_again_if_it_was_the_same(tmp_path):
  """By its checksum; another is refused, and so is a directory of something else."""
  with held(tmp_path):
    (tmp_path / 'base').mkdir()
  path = tmp_path / 'config.json'
  good = path.read_bytes()
  for content in (b'', b'[]', good[:20], b'\xff', good.replace(b'0.1', b'0.3'), None):
    path.write_bytes(content) if content is not None else path.unlink()
    refused(tmp_path, 'another config made it', rate=0.2)
    with held(tmp_path):
      assert path.read_bytes() == good
  for name in ('config.json', 'SHA256SUMS'):
    (tmp_path / name).unlink()
  refused(tmp_path, 'no study made it')


def test_a_place_that_is_none_is_refused(tmp_path):
  """A file, a dangling link; a link to a directory and odd names are right."""
  (tmp_path / 'file').write_text('x')
  (tmp_path / 'dangling').symlink_to(tmp_path / 'nowhere')
  (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
  for name, message in (
    ('file', 'is a file'),
    ('dangling', r'is a link to .*nowhere, which is not there'),
    ('loop', 'which is not there'),
    ('n' * 300, '255 are the most'),
  ):
    refused(tmp_path / name, message)
  assert not (tmp_path / 'nowhere').exists()
  (tmp_path / 'real').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'real')
  for name in ('link', 'a b\nc', 'Zürich 北京 [1:2]', 'n' * 255):
    with held(tmp_path / name) as finished:
      assert not finished
    assert (tmp_path / name / 'config.json').is_file()


def test_a_directory_that_disappears_does_not_come_back(tmp_path):
  """One line, whatever was being written."""
  path = tmp_path / 'a'

  def work():
    path.rename(tmp_path / 'b')
    files.write_text(path / 'results.jsonl', 'x', parents=False)

  refused(path, 'was removed or moved', work)
  with pytest.raises(InputError, match='was removed or moved'):
    workdir.check_there(path)
  assert not path.exists()


def test_what_is_in_the_way_is_named(tmp_path):
  """A directory in place of a file, and a file in place of a directory."""
  (tmp_path / 'a').mkdir()
  with held(tmp_path / 'a'):
    (tmp_path / 'a' / 'results.jsonl').mkdir()
    (tmp_path / 'a' / 'base').write_text('x')
  for name in ('results.jsonl', 'base/0/done.json'):
    place = re.escape(str(tmp_path / 'a' / name.partition('/')[0]))

    def work(path=tmp_path / 'a' / name):
      files.write_text(path, 'x', parents=False)

    refused(tmp_path / 'a', f'Remove {place} to make it again', work)


def test_a_directory_that_cannot_be_written_is_named(tmp_path, monkeypatch):
  """One that is finished is read all the same."""
  with held(tmp_path):
    pass

  def refuse(path, *_):
    raise OSError(30, 'Read-only file system', str(path))

  monkeypatch.setattr(owner.os, 'open', refuse)
  refused(tmp_path, r'Read-only file system \(.+ on /')
  files.write_text(tmp_path / 'study.json', '{}')
  with held(tmp_path) as finished:
    assert finished


def test_only_one_process_works_in_a_directory(tmp_path):
  """The second ends at once; a killed one keeps nobody out, and no lock is left."""
  script = textwrap.dedent("""
    import sys, time
    from masklearn.io import files, owner
    with owner.owned(sys.argv[1], sys.argv[1] + '/.lock'):
      print('mine', flush=True)
      time.sleep(600)
  """)
  arguments = [sys.executable, '-c', script, str(tmp_path)]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  options = {'env': environment, 'text': True, 'stdout': subprocess.PIPE}
  with subprocess.Popen(arguments, **options) as process:
    assert process.stdout.readline() == 'mine\n'
    refused(tmp_path, f'in use by process {process.pid} on ')
    other = subprocess.run(arguments, check=False, stderr=subprocess.PIPE, **options)
    assert f'in use by process {process.pid}' in other.stderr
    assert names(tmp_path) == {'.lock'}
    process.kill()
  with held(tmp_path) as finished:
    assert not finished
    refused(tmp_path, f'in use by process {os.getpid()} on ')
  assert names(tmp_path) == {'config.json', 'SHA256SUMS'}


def test_what_libraries_say_of_a_full_disk_gets_a_file(tmp_path):
  """From the text of their errors, with the device; other errors pass."""
  for error in (
    RuntimeError('write() failed: No space left on device; writing x'),
    OSError(28, 'No space left on device'),
  ):
    with (
      pytest.raises(OSError, match='No space') as raised,
      disk.naming(tmp_path / 'a'),
    ):
      raise error
    said = disk.explain(raised.value)
    pattern = rf'{re.escape(str(tmp_path))}/a: No space left on device \(.+ on /.*\); '
    assert re.match(pattern + 'make room', said)
  with pytest.raises(RuntimeError, match='other'), disk.naming(tmp_path):
    raise RuntimeError('another')
