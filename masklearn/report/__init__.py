"""A work directory -> an HTML report, its figures, and a table for the terminal."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import rich.table

from masklearn.io import files
from masklearn.report import content, page, terminal
from masklearn.report import workdir as directories


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
    InputError: there is no such directory, or a file in it cannot be used; the message
      names file, line and field. No file is written then.

  >>> write_report('nowhere')
  Traceback (most recent call last):
  masklearn.types.InputError: ..
  """
  found = directories.read(pathlib.Path(workdir), policies or {})
  run = content.draw(found)
  text = page.page(content.title(run), content.html(run))
  directory = pathlib.Path(workdir) / 'report'
  for drawing in run.drawings:
    files.write_text(directory / f'{drawing.name}.svg', drawing.svg)
  path = directory / 'index.html'
  files.write_text(path, text)
  return path


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
  results, _ = content.chosen(found)
  return terminal.table(results, content.majority_scores(found.study, results))
