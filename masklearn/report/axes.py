"""What a study varies: the results of its policies along an axis."""

import dataclasses
import statistics
from collections.abc import Sequence

from masklearn.report import findings, summary
from masklearn.report.summary import Result


@dataclasses.dataclass(frozen=True)
class Axis:
  """The policies of one section, at each place of an axis."""

  name: str  # of the file
  title: str  # of the section
  label: str  # of the axis
  places: tuple[float, ...]  # ascending, above 0 and shown by their logarithms
  ticks: tuple[str, ...]  # what each is called
  notes: tuple[str, ...]  # below that, in a table
  lines: dict[str, tuple[Result | None, ...]]  # by policy, best first; None for no run
  level: Result | None  # of the model without pre-training, if there is one


def exposures(results: Sequence[Result]) -> list[Axis]:
  """Returns the policies of each section by how often pre-training saw each passage.

  Nothing of a section whose study did not vary it.

  results: of all settings.
  """
  found = []
  for key, group in summary.sections(results).items():
    seen = {r: _exposures(r) for r in _own(group) if r.exposures and any(r.exposures)}
    if not any(r.setting for r in seen):
      continue
    places = sorted(set(seen.values()))
    lines = _lines(list(seen), [seen[r] for r in seen], places)
    updates = {  # The main comparison comes first, and so has the last word.
      place: f'{r.updates[0]:,} updates' + ', main' * (not r.setting)
      for r, place in reversed(seen.items())
    }
    found.append(
      Axis(
        f'exposures {findings.place(key, results)}',
        findings.place(key, results),
        'samples of each passage in pre-training',
        tuple(places),
        tuple(f'{float(f"{place:.3g}"):,g}' for place in places),
        tuple(updates[place] for place in places),
        lines,
        _untrained(group),
      )
    )
  return found


def _exposures(result: Result) -> float:
  return round(statistics.fmean(result.exposures), 6)


def _own(group: Sequence[Result]) -> list[Result]:
  """Returns those that may stand on an axis, the main comparison first."""
  return sorted((r for r in group if not r.transferred), key=lambda r: bool(r.setting))


def _lines(results, values, places) -> dict[str, tuple[Result | None, ...]]:
  """Returns the results of each policy by place; of two at one, the first."""
  found: dict[str, dict] = {}
  for result, value in zip(results, values, strict=True):
    found.setdefault(result.name, {}).setdefault(value, result)
  return {name: tuple(map(own.get, places)) for name, own in found.items()}


def _untrained(group: Sequence[Result]) -> Result | None:
  return next((r for r in group if r.role == 'untrained'), None)
