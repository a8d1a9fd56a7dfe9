"""A work directory -> an HTML report, its figures, and a table for the terminal."""

import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import rich.table

from masklearn.io import files
from masklearn.report import content, findings, page, terminal
from masklearn.report import workdir as directories
from masklearn.types import InputError


def write_report(
  workdir: str | os.PathLike, policies: Mapping[str, Any] | None = None
) -> pathlib.Path:
  """Writes `WORKDIR/report/` and returns the path of its index.html.

  The page holds everything that it shows: it opens without a server or network.
  Every figure is also written beside it as an SVG file. What the run has not made
  yet is left out.

  Args:
    workdir: the directory of a study, finished or not.
    policies: such as `masklearn.POLICIES`: the `title` and the `role` of policies by
      name, for a study that has not written them yet (study.json, at its end). Without
      them names are shown, and no policy counts as random, learned or a reference.

  Raises:
    InputError: there is no such directory, no study made it, or a file in it cannot be
      used; the message names file, line and field. The report that was there stays.

  >>> write_report('nowhere')
  Traceback (most recent call last):
  masklearn.types.InputError: ..
  """
  found = directories.read(pathlib.Path(workdir), policies or {})
  run = content.draw(found)
  texts = {f'{drawing.name}.svg': drawing.svg for drawing in run.drawings}
  texts['index.html'] = page.page(content.title(run), content.html(run))
  directory = pathlib.Path(workdir) / 'report'
  try:
    _write_all(directory, texts)
  except OSError as error:
    raise InputError(f'{directory} cannot be written: {error.strerror}.') from error
  return directory / 'index.html'


def table(
  workdir: str | os.PathLike, policies: Mapping[str, Any] | None = None
) -> rich.table.Table:
  """Returns the table of policies, best first, with the findings as its caption.

  Args:
    workdir: the directory of a study.
    policies: see `write_report`.

  Raises:
    InputError: as of `write_report`.
  """
  found = directories.read(pathlib.Path(workdir), policies or {})
  results, validation = content.chosen(found)
  majority = content.majority_scores(found.study, results)
  left_out = findings.impossible(found.study.impossible, found.display)
  primary = findings.primary(found.study, results)
  return terminal.table(results, validation, majority, primary, left_out)


def _write_all(directory: pathlib.Path, texts: Mapping[str, str]) -> None:
  """Writes files of a directory, all or none; the last one takes its place last."""
  # Beside the old ones, so that a full disk or an unreadable folder costs nothing.
  partial = directory.with_name(f'{directory.name}.partial')
  try:
    for name, text in texts.items():
      files.write_text(partial / name, text)
    directory.mkdir(exist_ok=True)
    for name in texts:
      os.replace(partial / name, directory / name)
  finally:
    shutil.rmtree(partial, ignore_errors=True)
