"""Results beside each other: what a policy gains, over whom, and how sure that is.

Nothing is chosen by test scores: the random policy that gains are over is the first of
the study, and the rival of a learned policy the best one on validation questions.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np

from masklearn.evaluation import contrasts
from masklearn.evaluation.contrasts import Estimate
from masklearn.report import summary
from masklearn.report.summary import Result

SEEDS = 3  # below which no share of a gain is given
LEVEL = 0.05  # of the claim that one policy is above all others


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A learned policy beside random masking, its best rival, and a reference."""

  learned: Result
  random: Result
  reference: Result
  rival: Result | None  # the best other policy on validation questions
  seeds: tuple[int, ...]  # that all of them have
  gain: Estimate  # learned - random
  lead: Estimate | None  # learned - rival
  room: Estimate  # reference - random
  share: Estimate  # (learned - random) / (reference - random)

  def score(self, result: Result) -> float:
    """The mean exact match of one of them on the seeds that all have."""
    return statistics.fmean(_on(result, self.seeds))


def declared_random(results: Sequence[Result]) -> Result | None:
  """Returns the first random policy of the study in one section, if there is any."""
  candidates = [r for r in results if r.role == 'random']
  return min(candidates, key=lambda r: r.place, default=None)


def best(results: Sequence[Result]) -> Result | None:
  """Returns the policy that is clearly above each other one, if any.

  References do not count. By p of paired differences, adjusted for their number.
  """
  ranked = sorted((r for r in results if not r.reference), key=lambda r: -r.mean_em)
  if len(ranked) < 2:
    return None
  top, *others = ranked
  found = {str(i): gain(top, other) for i, other in enumerate(others)}
  if not all(e and e.clear and e.mean > 0 for e in found.values()):
    return None
  adjusted = contrasts.holm({name: e.p for name, e in found.items()})
  return top if max(adjusted.values()) <= LEVEL else None


def gain(result: Result, other: Result) -> Estimate | None:
  """Returns the paired difference in exact match on the seeds that both have.

  A seed sets the split and the base model of every policy. Where the answers to single
  questions are known, questions are a sample as well as seeds.
  """
  seeds = tuple(sorted(set(result.seeds) & set(other.seeds)))
  return _between(result, other, seeds) if seeds else None


def compare(
  results: Sequence[Result], validation: Sequence[Result] = ()
) -> list[Comparison]:
  """Returns a Comparison for each learned policy beside a random one and a reference.

  Means are over the seeds that all of them have.

  Args:
    results: of one split.
    validation: those of the validation split, by which rivals are chosen.
  """
  found = []
  for group in summary.sections(results).values():
    own = sorted((r for r in group if not r.transferred), key=lambda r: r.place)
    learned = [r for r in own if r.role == 'learned']
    reference = next((r for r in own if r.reference), None)
    random = declared_random(own)
    if not (learned and random and reference):
      continue
    rival = _rival(own, validation)
    for one in learned:
      compared = [one, random, reference, *([rival] if rival else [])]
      seeds = tuple(sorted(set.intersection(*(set(r.seeds) for r in compared))))
      if not seeds:
        continue
      gains, rooms = (_differences(r, random, seeds) for r in (one, reference))
      if gains.shape != rooms.shape:  # Answers of one are not known.
        gains, rooms = (_of_seeds(r, random, seeds) for r in (one, reference))
      found.append(
        Comparison(
          *(one, random, reference, rival, seeds),
          gain=_between(one, random, seeds),
          lead=_between(one, rival, seeds) if rival else None,
          room=_between(reference, random, seeds),
          share=contrasts.share(gains, rooms, _ratio(one)),
        )
      )
  return found


def primary(
  results: Sequence[Result], names: Sequence[str]
) -> list[tuple[Result, Result, Estimate]]:
  """Returns the difference that a study is about, in each section that has it.

  Args:
    results: of one split.
    names: of two policies, A and B for A - B; or none.
  """
  found = []
  for group in summary.sections(results).values():
    own = {r.policy: r for r in group if not r.transferred}
    if names and all(name in own for name in names):
      ours, other = (own[name] for name in names)
      estimate = gain(ours, other)
      if estimate:
        found.append((ours, other, estimate))
  return found


def _rival(own, validation):
  """The policy, neither learned nor a reference, with the best validation score."""
  scores = {(*summary.section(r), r.policy, r.policy_task): r for r in validation}
  rivals = [
    (scores[key].mean_em, -r.place, r)
    for r in own
    if r.role not in ('learned', 'reference')
    and (key := (*summary.section(r), r.policy, r.policy_task)) in scores
  ]
  return max(rivals, key=lambda item: item[:2])[2] if rivals else None


def _between(result, other, seeds) -> Estimate:
  return contrasts.estimate(_differences(result, other, seeds), _ratio(result))


def _ratio(result):
  """That of seeds which split anew; 0 where all seeds have the same questions."""
  asked = result.questions
  frozen = bool(asked) and all(one.keys() == asked[0].keys() for one in asked)
  return 0.0 if frozen else result.ratio


def _differences(result: Result, other: Result, seeds: Sequence[int]) -> np.ndarray:
  """Those of questions where their answers are known, else those of seeds."""
  if result.questions and other.questions:
    ours, theirs = (_on(r, seeds, r.questions) for r in (result, other))
    if all(a.keys() == b.keys() for a, b in zip(ours, theirs, strict=True)):
      return contrasts.differences(ours, theirs, result.groups)
  return _of_seeds(result, other, seeds)


def _of_seeds(result, other, seeds):
  return np.subtract(_on(result, seeds), _on(other, seeds))


def _on(result, seeds, values=None):
  """What a result has for each of some seeds, by default its exact match."""
  by_seed = dict(zip(result.seeds, values or result.em, strict=True))
  return [by_seed[seed] for seed in seeds]


def is_known(estimate: Estimate | None) -> bool:
  """Whether an estimate has an interval."""
  return estimate is not None and not math.isnan(estimate.low)
