"""A file that grows: what survives a crash, and what is never touched."""

import os

import pytest

from masklearn.io import files
from masklearn.types import InputError

ABOUT = {'rate': 0.1, 'seed': 0}


def names(directory):
  """What is in a directory."""
  return sorted(p.name for p in directory.iterdir())


def begun(path, *lines, finished=False):
  """The path of a file of these lines, which are all."""
  with files.ResumableFile(path, ABOUT, {}) as out:
    out.add(lines, {})
    if finished:
      out.finish()
  return path


def test_a_batch_is_there_or_not(tmp_path):
  """What was written behind the last state is gone, and written again."""
  path = tmp_path / 'a.jsonl'
  with files.ResumableFile(path, ABOUT, {'n': 0}) as out:
    assert out.state == {'n': 0}
    out.add(['one\n', 'zwölf\n'], {'n': 2})
    out._file.write(b'thr')  # killed in the middle of a line
  assert names(tmp_path) == ['a.jsonl.partial', 'a.jsonl.state']
  with files.ResumableFile(path, ABOUT, {'n': 0}) as out:
    assert (out.state, out.done) == ({'n': 2}, False)
    out.add(['three\n'], {'n': 3})
    out.finish()
  assert path.read_text(encoding='utf-8') == 'one\nzwölf\nthree\n'
  assert names(tmp_path) == ['a.jsonl', 'a.jsonl.state']
  with files.ResumableFile(path, ABOUT, {'n': 0}) as out:
    assert (out.state, out.done) == ({'n': 3}, True)


def test_a_crash_between_the_last_state_and_the_name(tmp_path):
  """The file gets its name then."""
  path = begun(tmp_path / 'a', 'x', finished=True)
  path.rename(tmp_path / 'a.partial')
  assert files.ResumableFile(path, ABOUT, {}).done
  assert names(tmp_path) == ['a', 'a.state']


@pytest.mark.parametrize('finished', [False, True])
def test_another_order_is_refused_and_named(tmp_path, finished):
  """Half a file and a whole one stay as they are."""
  path = begun(tmp_path / 'a', 'x', finished=finished)
  before = {p: p.read_bytes() for p in tmp_path.iterdir()}
  with pytest.raises(InputError, match=r'rate 0\.1, and not with 0\.2'):
    files.ResumableFile(path, ABOUT | {'rate': 0.2}, {})
  assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize('name', ['a', 'a.partial'])
def test_a_stranger_s_file_is_not_touched(tmp_path, name):
  """Neither under the name nor under that of the part."""
  (tmp_path / name).write_text('thesis')
  with pytest.raises(InputError, match='there already'):
    files.ResumableFile(tmp_path / 'a', ABOUT, {})
  assert names(tmp_path) == [name]
  assert (tmp_path / name).read_text() == 'thesis'


def test_only_one_process_writes(tmp_path):
  """The other is refused and changes nothing; then the first goes on."""
  with files.ResumableFile(tmp_path / 'a', ABOUT, {}) as out:
    out.add(['one\n'], {})
    with pytest.raises(InputError, match=f'a is in use by process {os.getpid()} on'):
      files.ResumableFile(tmp_path / 'a', ABOUT, {})
    out.add(['two\n'], {})
    out.finish()
  assert (tmp_path / 'a').read_text() == 'one\ntwo\n'
  assert names(tmp_path) == ['a', 'a.state']
  # A killed process leaves the file of its lock, which keeps nobody out.
  (tmp_path / 'b.lock').write_text('process 1 on nowhere')
  begun(tmp_path / 'b', 'x', finished=True)
  assert names(tmp_path) == ['a', 'a.state', 'b', 'b.state']


@pytest.mark.parametrize('content', ['', 'two', 'onE\n'])
def test_a_finished_file_that_was_changed_is_not_taken_for_it(tmp_path, content):
  """Cut off, or with another byte."""
  path = begun(tmp_path / 'a', 'one\n', finished=True)
  path.write_text(content)
  with pytest.raises(
    InputError, match=r'not as it was written\. Remove it and a\.state'
  ):
    files.ResumableFile(path, ABOUT, {})
  (tmp_path / 'a.state').unlink()
  path.unlink()
  begun(path, 'one\n', finished=True)


def test_what_is_lost_or_damaged_is_said(tmp_path):
  """A part that is too short, a state that is none, an output that is gone."""
  path = begun(tmp_path / 'a', 'long line')
  (tmp_path / 'a.partial').write_text('long')
  with pytest.raises(InputError, match='shorter'):
    files.ResumableFile(path, ABOUT, {})
  state = (tmp_path / 'a.state').read_text()
  others = state.replace('"bytes": 9', '"bytes": -9'), state.replace('{}', '{"n": 1}')
  for content in ('', '{}', '[]', *others):
    assert content != state
    (tmp_path / 'a.state').write_text(content)
    with pytest.raises(InputError, match='damaged'):
      files.ResumableFile(path, ABOUT, {})
  (tmp_path / 'a.state').unlink()
  (tmp_path / 'a.partial').unlink()
  begun(path, finished=True).unlink()
  with pytest.raises(InputError, match='gone'):
    files.ResumableFile(path, ABOUT, {})


def test_nothing_is_left_of_what_is_discarded(tmp_path):
  """So that the next command can begin."""
  with files.ResumableFile(tmp_path / 'a', ABOUT, {}) as out:
    out.add(['x'], {})
    out.discard()
  assert names(tmp_path) == []
