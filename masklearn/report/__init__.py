"""A work directory -> an HTML report, its figures, and a table for the terminal."""

import os
import pathlib

import rich.table

from masklearn.io import files
from masklearn.report import content, page, records, terminal
from masklearn.types import InputError


def write(workdir: str | os.PathLike) -> pathlib.Path:
  """Writes `WORKDIR/report/` and returns the path of its index.html.

  The page holds everything that it shows: it opens without a server or network.
  Every figure is also written beside it as an SVG file. What the run has not made
  yet is left out.

  Raises:
    InputError: a file of the run cannot be read; the message names file and line.
  """
  run = content.read(_existing(workdir))
  directory = pathlib.Path(workdir) / 'report'
  for drawing in run.drawings:
    files.write_text(directory / f'{drawing.name}.svg', drawing.svg)
  path = directory / 'index.html'
  files.write_text(path, page.page(content.title(run), content.html(run)))
  return path


def table(workdir: str | os.PathLike) -> rich.table.Table:
  """Returns the table of policies, best first, with the findings as its caption.

  Raises:
    InputError: a file of the run cannot be read; the message names file and line.
  """
  workdir = _existing(workdir)
  results, _ = content.chosen(records.rows(workdir))
  return terminal.table(results, content.majority(records.study(workdir), results))


def _existing(workdir: str | os.PathLike) -> pathlib.Path:
  workdir = pathlib.Path(workdir)
  if not workdir.is_dir():
    raise InputError(f'no work directory {str(workdir)!r}: run a study first.')
  return workdir
