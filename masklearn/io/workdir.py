"""A work directory: of one config, and of one process at a time."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from masklearn.io import checksums, disk, files, owner, paths, provenance
from masklearn.types import InputError


@contextlib.contextmanager
def held(
  workdir: str | os.PathLike,
  config,
  new_name: Callable[[str], str] = lambda key: '',
  *,
  last: str,
  corpus_keys: Sequence[str] = (),
  free_keys: Sequence[str] = (),
) -> Iterator[bool]:
  """Makes a work directory, or goes on in one; yields whether it is finished.

  Nothing else is at work in it meanwhile, see `owner.owned`; one that is finished is
  only read. What is refused before anything was made leaves nothing behind.

  Args:
    workdir: the directory.
    config: a ConfigDict, see `provenance.claim`, as for the keys.
    new_name: of a key that was renamed.
    last: the file whose presence says that all is there.
    corpus_keys: what the corpus is made with.
    free_keys: what may be another every time.

  Raises:
    InputError: another config made it, another process is at work in it, it was
      removed meanwhile, a file of it is damaged, or the system refused to write.
  """
  paths.check_local(workdir, '--workdir')  # as given: a Path has lost a slash
  workdir = pathlib.Path(workdir)
  with _told():
    _check_place(workdir)
  if os.path.lexists(workdir / last):
    with _told():
      provenance.claim(workdir, config, new_name, free_keys=free_keys)
      with files.remade(workdir / last):
        checksums.check(workdir)
    yield True
    return
  with _told():
    made = _missing(workdir)
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      with owner.owned(workdir, workdir / provenance.LOCK):
        provenance.claim(workdir, config, new_name, corpus_keys, free_keys)
        try:
          yield False
        except (InputError, OSError) as error:
          check_there(workdir)
          provenance.disclaim(workdir)
          _check_kind(workdir, error)
          raise
    finally:
      with contextlib.suppress(OSError):  # those that hold something stay
        for path in made:
          path.rmdir()


def check_there(workdir: str | os.PathLike) -> None:
  """Raises InputError where a work directory was removed under way."""
  if not (pathlib.Path(workdir) / provenance.CONFIG).exists():
    raise InputError(f'{workdir} was removed or moved while it was in use.')


def _check_place(workdir):
  if workdir.is_symlink() and not workdir.exists():
    raise InputError(
      f'--workdir must be a directory; {workdir} is a link to {os.readlink(workdir)}, '
      'which is not there.'
    )
  if workdir.exists() and not workdir.is_dir():
    raise InputError(f'--workdir must be a directory; {workdir} is a file.')


def _check_kind(workdir, error):
  """Says what is in the way where a file is a directory, or a directory a file."""
  kinds = IsADirectoryError, NotADirectoryError, FileExistsError
  if isinstance(error, kinds) and error.filename:
    place = pathlib.Path(error.filename)
    while not os.path.lexists(place):
      place = place.parent
    if workdir.absolute() in place.absolute().parents:
      with files.remade(place):
        raise InputError(disk.explain(error)) from error


def _missing(workdir) -> list[pathlib.Path]:
  """The directory and those above it, as far as they are not there yet."""
  return [path for path in (workdir, *workdir.parents) if not path.exists()]


@contextlib.contextmanager
def _told():
  """Says in one line what the system refused."""
  try:
    yield
  except OSError as error:
    raise InputError(disk.explain(error)) from error
