"""What a study varies -> HTML: along each axis, scores and what was forgotten."""

from collections.abc import Sequence

from masklearn.report import tables
from masklearn.report.axes import Axis
from masklearn.report.figures import Drawing
from masklearn.report.page import Markup, element, join


def exposures(drawn: Sequence[tuple[Axis, Drawing]]) -> Markup | None:
  """Returns the results by how often a passage was seen; None where all are alike.

  drawn: of `axes.exposures`, with their figures.
  """
  text = (
    'EM by how often pre-training saw each passage, on average. Each number is a run of'
    ' its own, with a learning rate that falls to its end. \u201cMain\u201d is the'
    ' one that all other tables are about.'
  )
  return join(element('p', text), _along(drawn)) if drawn else None


def corpora(drawn: Sequence[tuple[Axis, Drawing]]) -> Markup | None:
  """Returns the results by what pre-training was on; None where all are alike.

  drawn: of `axes.corpora`, with their figures.
  """
  text = (
    'EM by what pre-training was on, with equal numbers of updates: the study\u2019s'
    ' own corpus, as in all other tables, passages that no task asks about, or both,'
    ' mixed. Samples are those of each passage, on average.'
  )
  return join(element('p', text), _along(drawn)) if drawn else None


def _along(drawn: Sequence[tuple[Axis, Drawing]]) -> list[Markup]:
  """Returns the heading, the figure and the table of each axis."""
  parts = []
  for axis, drawing in drawn:
    beside = None
    if any(r and r.forgotten for line in axis.lines.values() for r in line):
      heading = element('h4', 'Forgotten, in nats a token')
      beside = element('div', heading, tables.along(axis, tables.forgotten))
    parts += [
      element('h3', axis.title),
      tables.along(axis, tables.score),
      element('div', drawing.html, beside, class_='pair'),
    ]
  return parts
