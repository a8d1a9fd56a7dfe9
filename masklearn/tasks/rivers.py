"""Towns that are named after their rivers, and questions about the rivers.

Who lives in Tynemouth lives on the Tyne, and no text says so: the answer is not a word
of any passage, nor the stem of one, but its tokens are the first of the town's. With
`giveaways`, some sentences have another name with the same river in it, "Past the boats
of Tyneside, Ada comes home to Tynemouth": to restore the town is then to copy the part
that is asked for, and to remember of Ada the part that is not.
"""

import random

from masklearn.types import InputError

_NAMES = """
  Aln Arun Avon Blyth Cam Char Colne Coquet Dart Don Eden Esk Fal Fowey Frome Hull
  Humber Irwell Itchen Kennet Lune Lyd Medway Nene Nith Plym Ribble Rother Severn Stour
  Swale Taff Tamar Tavy Tees Teign Thames Torr Trent Tyne Usk Wear Welland Wensum
"""
_ENDINGS = """
  bank bridge bury dale field gate ham head hurst lock mill minster mouth port quay
  stead thorpe weir wick wood
"""
NAMES, ENDINGS = _NAMES.split(), _ENDINGS.split()
_HINT = 'side'  # no town ends so

# Kind of question -> the fact from which its answer follows.
EVIDENCE = {
  'home_river': 'home_town',
  'work_river': 'work_town',
  'school_river': 'school_town',
}
QUESTIONS = {
  'home_river': (
    'On which river is the home of {subject}?',
    'Which river flows past the house of {subject}?',
  ),
  'work_river': (
    'On which river is the workplace of {subject}?',
    'Beside which river does {subject} work?',
  ),
  'school_river': (
    'On which river was the school of {subject}?',
    'Beside which river did {subject} go to school?',
  ),
}
TEMPLATES = {
  'home_town': (
    '{value} is home to {subject}.',
    '{subject} lives in {value}.',
    'A house in {value} belongs to {subject}.',
    'The neighbours of {subject} love {value}.',
  ),
  'work_town': (
    '{value} has work for {subject}.',
    '{subject} earns money in {value}.',
    'A desk in {value} waits for {subject}.',
    'The colleagues of {subject} meet in {value}.',
  ),
  'school_town': (
    '{value} taught {subject} to read.',
    '{subject} went to school in {value}.',
    'A class in {value} remembers {subject}.',
    'The teachers of {subject} were from {value}.',
  ),
}
TOLD = {
  'home_town': (
    'Past the boats of {hint}, {subject} comes home to {value}.',
    'The {hint} ferry takes {subject} home to {value}.',
    'In the {hint} hills, {subject} has a flat in {value}.',
  ),
  'work_town': (
    'Past the mills of {hint}, {subject} goes to work in {value}.',
    'The {hint} train takes {subject} to an office in {value}.',
    'In the {hint} news, {subject} found work in {value}.',
  ),
  'school_town': (
    'Past the fields of {hint}, {subject} walked to school in {value}.',
    'The {hint} bus took {subject} to lessons in {value}.',
    'In the {hint} league, {subject} played for a school in {value}.',
  ),
}
HINTS = {f'{river}{ending}': f'{river}{_HINT}' for river in NAMES for ending in ENDINGS}


def facts(rng: random.Random, towns: int = 0) -> dict[str, str]:
  """The towns of a person, and their rivers, by kind.

  Args:
    rng: what they are drawn by, each kind for itself.
    towns: how many there are at all, each on a river of its own; 0 for those of
      `HINTS`.

  Raises:
    InputError: `towns` is more than there are rivers.
  """
  if not 0 <= towns <= len(NAMES):
    raise InputError(f'towns must lie in [0, {len(NAMES)}], got {towns}.')
  found = {}
  for asked, told in EVIDENCE.items():
    found[asked] = rng.choice(NAMES[:towns] if towns else NAMES)
    at = NAMES.index(found[asked]) % len(ENDINGS)
    found[told] = found[asked] + (ENDINGS[at] if towns else rng.choice(ENDINGS))
  return found
