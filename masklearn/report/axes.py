"""What a study varies: the results of its policies along an axis."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from masklearn.report import findings, summary
from masklearn.report.summary import Result

CORPORA = 'unrelated', 'mixed', 'own'  # the order of an axis


@dataclasses.dataclass(frozen=True)
class Axis:
  """The policies of one section, at each place of an axis."""

  name: str  # of the file
  title: str  # of the section
  label: str  # of the axis
  logarithmic: bool
  places: tuple[float, ...]  # ascending
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
    own = [r for r in group if r.corpus == 'own' and r.exposures]
    seen = {r: _exposures(r) for r in _pretrained(own)}
    if any(r.setting for r in seen):
      places = sorted(set(seen.values()))
      updates = _notes(seen, {r: f'{r.updates[0]:,} updates' for r in seen})
      found.append(
        Axis(
          f'exposures {findings.place(key, results)}',
          findings.place(key, results),
          'samples of each passage in pre-training',
          True,
          tuple(places),
          tuple(f'{float(f"{place:.3g}"):,g}' for place in places),
          tuple(updates[place] for place in places),
          _lines(seen, places),
          _untrained(group),
        )
      )
  return found


def corpora(results: Sequence[Result]) -> list[Axis]:
  """Returns the policies of each section by the corpus of their pre-training.

  Nothing of a section whose study did not vary it.

  results: of all settings.
  """
  found = []
  for key, group in summary.sections(results).items():
    seen = {
      r: r.corpus for r in _pretrained(group) if not r.setting or r.corpus != 'own'
    }
    if any(r.setting for r in seen):
      used = set(seen.values())
      places = [c for c in CORPORA if c in used] + sorted(used - set(CORPORA))
      samples = {r: f'{_exposures(r):.3g} samples' if r.exposures else '' for r in seen}
      notes = _notes(seen, samples)
      found.append(
        Axis(
          f'corpora {findings.place(key, results)}',
          findings.place(key, results),
          'passages of pre-training',
          False,
          tuple(range(1, len(places) + 1)),
          tuple(places),
          tuple(notes[place] for place in places),
          _lines(seen, places),
          _untrained(group),
        )
      )
  return found


def _exposures(result: Result) -> float:
  return round(statistics.fmean(result.exposures), 6)


def _pretrained(group: Sequence[Result]) -> list[Result]:
  """Returns those that may stand on an axis, the main comparison first.

  A policy that may take more updates than others has no place of theirs.
  """
  own = (
    r for r in group if not r.transferred and r.equal == 'updates' and any(r.updates)
  )
  return sorted(own, key=lambda r: bool(r.setting))


def _notes(seen: Mapping[Result, object], texts: Mapping[Result, str]) -> dict:
  """Returns the text of each place; the main comparison comes first, and has it."""
  return {
    place: texts[r] + ', main' * (not r.setting)
    for r, place in reversed(list(seen.items()))
  }


def _lines(seen: Mapping[Result, object], places: Sequence) -> dict[str, tuple]:
  """Returns the results of each policy by place; of two at one, the first."""
  found: dict[str, dict] = {}
  for result, place in seen.items():
    found.setdefault(result.name, {}).setdefault(place, result)
  return {name: tuple(map(own.get, places)) for name, own in found.items()}


def _untrained(group: Sequence[Result]) -> Result | None:
  return next((r for r in group if r.updates and not any(r.updates)), None)
