"""A work directory in a bucket: a copy on this machine, and the bucket kept like it.

Stages map files into memory, append to them and lock them, which no bucket can do, so
they see the copy. What they write is uploaded every `PERIOD` seconds and at the end, in
an order in which the bucket can be gone on from at any time, as a disk can after a
crash: files that vouch for others, such as done.json, come last, with the content that
they had before the others were looked at.
"""

import contextlib
import fnmatch
import os
import pathlib
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from urllib import parse

from masklearn.io import checksums, files, paths
from masklearn.io.bucket import LEASE, SCHEME, Bucket, Lease, md5
from masklearn.io.visible import one_line
from masklearn.types import InputError

PERIOD = 20  # seconds between uploads
WRITER = '.writer'  # names the copy that the bucket is like
# Files that vouch for others, in the order in which they are uploaded.
VOUCHING = (
  (checksums.NAME, '*.state'),
  ('done.json', 'store.json', 'passages.jsonl', 'study.json', 'recall.jsonl'),
)
PASSING = '*.orbax-checkpoint-tmp*', '*.lock', '.lock', '.leases', LEASE, WRITER


@contextlib.contextmanager
def copied(
  workdir: str, period: float = PERIOD, home: pathlib.Path | None = None
) -> Iterator[str]:
  """Yields the directory on this machine of a work directory.

  A path is its own. Of gs://BUCKET/FOLDER it is a copy in the user's cache; nobody else
  can write the folder meanwhile.

  Args:
    workdir: a path, or the URL of a folder in a bucket.
    period: seconds between uploads.
    home: where `workdirs` is, instead of masklearn's part of the user's cache.

  Raises:
    InputError: another process uses the folder, or the bucket cannot be reached.
  """
  check(workdir)
  if not workdir.startswith(SCHEME):
    yield workdir
    return
  bucket = Bucket(workdir)
  place = parse.quote(bucket.url.removeprefix(SCHEME), safe='')  # no two are alike
  local = (home or paths.cache()) / 'workdirs' / place
  with _leased(bucket, period) as (keep, taken):
    mirror = Mirror(bucket, local)
    mirror.pull()
    with _pushing(mirror, keep, taken, period):
      yield str(local)


def check(workdir: str) -> None:
  """Refuses what is neither a path on this machine nor a folder in a bucket."""
  if not workdir.startswith(SCHEME):
    if paths.is_url(workdir):
      raise InputError(
        '--workdir must be a path on this machine or gs://BUCKET/FOLDER, got the URL '
        f'{workdir:.200}; mount what is there.'
      )
    paths.check_local(workdir, '--workdir')


class Mirror:
  """A directory and a folder of a bucket, to be made alike in one way or the other."""

  def __init__(self, bucket: Bucket, local: pathlib.Path):
    self._bucket, self._local = bucket, local
    self._pushed: dict[str, tuple] = {}  # name -> the file as it was uploaded
    self._there: set[str] = set()  # names in the bucket
    self._listed: dict[str, set[str]] = {}  # SHA256SUMS in the bucket -> names in it
    self._writer: bytes | None = None  # to be written before anything else

  def pull(self) -> None:
    """Makes the directory like the folder, unless it is where the folder came from.

    It may be ahead then, as nothing else has written since.
    """
    own = self._local.with_name(f'{self._local.name}{WRITER}')
    sums = self._bucket.sums()
    sums = {name: one for name, one in sums.items() if name not in (LEASE, WRITER)}
    for name in sums:
      if _last(name) == checksums.NAME:
        self._listed[name] = _listed(name, self._bucket.read(name) or b'')
    here = own.read_bytes() if own.exists() else uuid.uuid4().hex.encode()
    # Of a copy that somebody has cleared away, nothing is to be removed.
    kept = files.filled(self._local) and self._bucket.read(WRITER) == here
    if not kept:
      self._download(sums)
    self._local.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(here)
    self._writer = None if kept else here  # still to be written
    self._there = set(sums)
    for name, state in self._files().items():
      if sums.get(name) == md5(self._local / name):
        self._pushed[name] = state

  def push(self) -> None:
    """Makes the folder like the directory."""
    vouching = [self._changed(patterns) for patterns in VOUCHING]
    every = [name for patterns in VOUCHING for name in patterns]
    found = self._files()
    if self._writer and found.keys() | self._there:
      self._bucket.write(WRITER, self._writer)
      self._writer = None
    for name, state in sorted(found.items(), key=lambda item: item[1]):
      if self._pushed.get(name) != state and not _matches(name, every):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
          self._bucket.upload(name, self._local / name)
          self._note(name, state)
    late = False
    for changed in vouching:
      # The deepest first, as those above list them.
      for name in sorted(changed, key=lambda name: -name.count('/')):
        state, content = changed[name]
        if not self._holds(name, content):
          late = True
          continue
        self._bucket.write(name, content)
        self._note(name, state)
        if _last(name) == checksums.NAME:
          self._listed[name] = _listed(name, content)
    if not late:  # or what is gone has nothing in its place yet
      self._remove(self._there - found.keys())

  def _download(self, sums):
    """Makes the directory like the folder, without what was not uploaded as a whole."""
    wanted = {name for name in sums if self._is_whole(name)}
    for path in list(self._local.rglob('*')):
      name = path.relative_to(self._local).as_posix()
      if name not in wanted and not path.is_dir():
        path.unlink()
    for name in wanted:
      path = self._local / name
      if not path.exists() or md5(path) != sums[name]:
        self._bucket.download(name, path)
    for folder, _, _ in os.walk(self._local, topdown=False):
      with contextlib.suppress(OSError):  # what holds something stays
        os.rmdir(folder)

  def _is_whole(self, name):
    """Whether a name is of no checkpoint, or of one that SHA256SUMS lists."""
    step = re.match(r'(.*/)\d+/', name)
    listed = self._listed.get(f'{step[1]}{checksums.NAME}') if step else None
    return listed is None or name in listed

  def _changed(self, patterns):
    """Name -> state and content, of files that are not in the bucket as they are."""
    found = {}
    for name, state in self._files(patterns).items():
      if self._pushed.get(name) != state:
        with contextlib.suppress(FileNotFoundError):
          found[name] = state, (self._local / name).read_bytes()
    return found

  def _holds(self, name, content):
    """Whether what a file vouches for is in the bucket."""
    if _last(name) == checksums.NAME:
      late = [one for patterns in VOUCHING[1:] for one in patterns]
      listed = _listed(name, content)
      return all(one in self._there or _matches(one, late) for one in listed)
    sums = name.removesuffix(_last(name)) + checksums.NAME
    state = self._files([checksums.NAME]).get(sums)
    return state is None or self._pushed.get(sums) == state

  def _remove(self, names):
    """Removes what is gone, unless a SHA256SUMS that stays in the bucket lists it."""
    sums = {name for name in names if _last(name) == checksums.NAME}
    kept = {one for by in self._listed.keys() - sums for one in self._listed[by]}
    for name in [*sums, *(names - sums - kept)]:
      self._bucket.remove(name)
      self._there.discard(name)
      self._pushed.pop(name, None)
      self._listed.pop(name, None)

  def _note(self, name, state):
    self._pushed[name] = state
    self._there.add(name)

  def _files(self, patterns=('*',)):
    """Name -> time, size and inode of the files of the directory."""
    found = {}
    for folder, folders, names in os.walk(self._local):
      folders[:] = [name for name in folders if not _matches(name, PASSING)]
      for name in names:
        path = pathlib.Path(folder, name)
        if not _matches(name, patterns) or _matches(name, PASSING):
          continue
        # What is half written is gone on with only where a FILE.state says how.
        if path.suffix == '.partial' and not path.with_suffix('.state').exists():
          continue
        with contextlib.suppress(FileNotFoundError):
          stat = path.stat()
          place = path.relative_to(self._local).as_posix()
          found[place] = stat.st_mtime_ns, stat.st_size, stat.st_ino
    return found


@contextlib.contextmanager
def _leased(bucket, period):
  """A context in which the folder is this process's, which a thread says again.

  A thread of its own, as an upload may take longer than a lease lasts. Yields what says
  so, and returns whether it still is, and a list that gets who has taken it.
  """
  lease, taken, turn = Lease(bucket), [], threading.Lock()

  def keep():
    with turn:
      if not taken and (by := lease.renew()):
        taken.append(by)
        os.kill(os.getpid(), signal.SIGTERM)  # Going on would be for nothing.
    return not taken

  try:
    with _repeated(keep, period):
      yield keep, taken
  finally:
    lease.release()


@contextlib.contextmanager
def _pushing(mirror, keep, taken, period):
  """A context in which what is written is uploaded, and at whose end all is there."""

  def push():
    if keep():
      mirror.push()
    return not taken

  try:
    with _repeated(push, period):
      yield
  except KeyboardInterrupt:
    if taken:
      raise InputError(f'The work directory was taken over by {taken[0]}.') from None
    raise
  finally:
    _finish(push)


@contextlib.contextmanager
def _repeated(function, period):
  """Calls a function in a thread every so many seconds, as long as it returns True."""
  ended = threading.Event()

  def run():
    while not ended.wait(period):
      try:
        if not function():
          return
      except InputError as error:
        print('warning:', one_line(str(error)), file=sys.stderr, flush=True)

  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()


def _finish(push):
  """Uploads the rest; what cannot be uploaded stays here, and is not lost."""
  for tries in range(3):
    try:
      push()
      return
    except InputError as error:
      last = error
      time.sleep(2**tries)
  raise InputError(
    f'{last} What is not there yet is on this machine; the same command uploads it.'
  )


def _last(name):
  return name.rpartition('/')[2]


def _matches(name, patterns):
  return any(fnmatch.fnmatchcase(_last(name), pattern) for pattern in patterns)


def _listed(name, content):
  """The names in a bucket that a SHA256SUMS of this name lists."""
  folder, lines = name.removesuffix(_last(name)), content.decode(errors='replace')
  names = (line.partition('  ')[2] for line in lines.splitlines())
  return {folder + name for name in names if name}
