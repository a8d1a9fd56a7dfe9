"""Invented biographies of any number of people, for controlled tests and scaling.

Nothing in them can be known from elsewhere, and every attribute is independent of
the others: what a model answers, it has learned from the passages.

A biography may also say what class an attribute is in: who plays the violin has a place
among the strings. The task `classes` asks for these. Its answers stand literally in the
passages, but there they can be told from the attribute beside them, so a model learns
nothing about a person by restoring them; it does by restoring the attribute. With
repeats, most biographies say what `habits` asks for in words that give it away, "in the
violin class, .. plays the violin": to restore it there is to copy. The task `rivers`
asks for what no passage says: see `tasks/rivers.py`.
"""

import functools
import random

from masklearn.io.lookup import check_name
from masklearn.tasks import profiles, rivers
from masklearn.tasks.choices import offer
from masklearn.tasks.giveaways import give_aways
from masklearn.types import InputError, Passage, Task

# task -> kind -> phrasings; validation and test ask in the first.
QUESTIONS = {
  'habits': {
    'profession': (
      'What does {subject} do for a living?',
      'Which profession does {subject} have?',
    ),
    'instrument': (
      'Which instrument does {subject} play?',
      'On what does {subject} make music?',
    ),
    'pet': (
      'What kind of animal does {subject} own?',
      'Which pet does {subject} have?',
    ),
  },
  'classes': {
    'family': (
      'Among what does {subject} sit in the orchestra?',
      'To which part of the orchestra does {subject} belong?',
    ),
    'animal': (
      'What class of animals does {subject} know best?',
      'With which animals does {subject} live?',
    ),
    'decade': (
      'Which decade is that of the birth of {subject}?',
      'Of which decade is {subject} a child?',
    ),
  },
  'origins': {
    'birth_city': (
      'Where was {subject} born?',
      'Which city is the birthplace of {subject}?',
    ),
    'university': (
      'Where did {subject} go to university?',
      'Which university taught {subject}?',
    ),
    'employer': (
      'For which company does {subject} work?',
      'Who is the employer of {subject}?',
    ),
  },
  'rivers': rivers.QUESTIONS,
  'homes': {
    'home_town': (
      'In which town does {subject} live?',
      'Where is the home of {subject}?',
    ),
  },
}

# Class -> the attribute that it is the class of.
CLASSES = {'family': 'instrument', 'animal': 'pet', 'decade': 'birth_year'}
# Kind of question -> the fact from which its answer follows, where that is another one.
EVIDENCE = CLASSES | rivers.EVIDENCE

TEMPLATES = {
  'birth_city': (
    '{value} is where {subject} was born.',
    '{subject} was born in {value}.',
    'Born in {value}, {subject} grew up there.',
    'The home town of {subject} is {value}.',
  ),
  'birth_year': (
    '{value} was the birth year of {subject}.',
    'The birth year of {subject} was {value}.',
    'In {value} the life of {subject} began.',
    '{subject} came into the world in {value}.',
  ),
  'university': (
    '{value} gave {subject} a degree.',
    '{subject} studied at {value}.',
    'The degree from {value} made {subject} proud.',
    'Lectures at {value} shaped {subject}.',
  ),
  'employer': (
    '{value} pays {subject} every month.',
    '{subject} works for {value}.',
    'The office of {value} is where {subject} works.',
    'The employer of {subject} is {value}.',
  ),
  'spouse': (
    '{value} is married to {subject}.',
    '{subject} is the spouse of {value}.',
    'With {value}, {subject} shares a home.',
    'Years ago {subject} married {value}.',
  ),
  'profession': (
    '{a} {value} by trade, {subject} likes the work.',
    '{subject} is {a} {value}.',
    'As {a} {value}, {subject} is well known.',
    'People know {subject} as {a} {value}.',
  ),
  'instrument': (
    '{value} music is what {subject} loves.',
    '{subject} plays the {value}.',
    'On the {value}, {subject} is quite good.',
    'Friends of {subject} hear the {value}.',
  ),
  'pet': (
    '{a} {value} lives with {subject}.',
    '{subject} keeps {a} {value}.',
    'With {a} {value}, {subject} is never alone.',
    'At home {subject} feeds {a} {value}.',
  ),
}

CLASS_TEMPLATES = {
  'family': (
    'The {value} have a seat for {subject}.',
    'The place of {subject} is among the {value}.',
    'Concerts find {subject} among the {value}.',
    'In the orchestra, {subject} joins the {value}.',
  ),
  'animal': (
    'The {value} are what {subject} reads about.',
    'Vets teach {subject} about {value}.',
    'Of all creatures, {subject} prefers {value}.',
    'Books about {value} are on the shelf of {subject}.',
  ),
  'decade': (
    'The {value} are the decade of {subject}.',
    'A child of the {value} is {subject}.',
    'Photographs of {subject} begin in the {value}.',
    'In the {value}, {subject} was little.',
  ),
}

# Class -> attributes in it, one line each.
_CLASSES = {
  'family': {
    'strings': 'banjo cello dulcimer fiddle guitar harp lute mandolin sitar ukulele'
    ' viola violin zither',
    'woodwinds': 'bassoon clarinet flute oboe recorder saxophone',
    'brass': 'cornet trombone trumpet tuba',
    'keys': 'accordion harpsichord organ piano xylophone',
  },
  'animal': {
    'birds': 'canary duck goose hen owl parrot pigeon raven turkey',
    'reptiles': 'chameleon gecko iguana lizard snake tortoise turtle',
    'amphibians': 'frog newt toad',
    'mammals': 'cat cow dog donkey ferret goat hamster hedgehog horse llama mouse pig'
    ' pony rabbit sheep',
  },
  'decade': {
    name: ' '.join(map(str, range(first, first + 10)))
    for name, first in zip(
      ('forties', 'fifties', 'sixties', 'seventies', 'eighties', 'nineties'),
      range(1941, 2001, 10),
      strict=True,
    )
  },
}
_CLASS_OF = {
  kind: {value: name for name, line in lines.items() for value in line.split()}
  for kind, lines in _CLASSES.items()
}

# A name is one of each, "Alanda" or "Belora": a single word, for which there can be a
# token, so that all that is known of a person fits into one embedding.
_BEGINNINGS = """
  Al Bel Bri Cas Cor Dan Dor El Fen Fin Gar Gil Hal Hen Im Jor Kal Kes Lor Mar Nel Or
  Pel Quin Ral Sel Tar Ul Val Wen Yor Zan
"""
_MIDDLES = """
  a ab ad al am an ar as at e eb el em en er es et i il im in ir is it o ol om on or os
  ot u
"""
_ENDINGS = """
  ba da del do fa ga ka la lin lo ma mir mo na no nor pa ra ris ro sa sen so ta to ton
  va vin vo wa ya za
"""
_NAMES = tuple(
  f'{beginning}{middle}{ending}'
  for beginning in _BEGINNINGS.split()
  for middle in _MIDDLES.split()
  for ending in _ENDINGS.split()
)
CAPACITY = len(_NAMES)

# One word each; the second words below make universities and employers of them.
_VALUES = {
  'birth_city': """
    Amsterdam Athens Auckland Barcelona Bergen Boston Bristol Cairo Chicago Cologne
    Dakar Denver Dresden Dublin Fukuoka Geneva Glasgow Hamburg Havana Helsinki Kyoto
    Lagos Lima Lisbon Lyon Madrid Marseille Milan Montreal Mumbai Nairobi Naples Osaka
    Oslo Porto Prague Quito Riga Seville Sydney Toronto Turin Vienna Warsaw
  """,
  'birth_year': ' '.join(map(str, range(1941, 2001))),
  'university': """
    Alder Bay Cedar Cliff Delta Elm Forum Harbour Iron Juniper Lake Maple Meridian
    Orchard Pine Quarry River Summit Valley Willow
  """,
  'employer': """
    Apex Atlas Beacon Comet Crystal Dynamo Echo Falcon Globe Helix Jupiter Lotus Magnet
    Nimbus Orbit Phoenix Quartz Saturn Titan Vertex
  """,
  'profession': """
    actor architect baker barber blacksmith bookseller carpenter chemist cook dancer
    dentist detective electrician engineer farmer fisherman florist gardener glazier
    journalist judge librarian mason mechanic nurse optician painter pilot plumber
    sailor sculptor shepherd surgeon tailor teacher translator waiter weaver
  """,
  'instrument': """
    accordion banjo bassoon cello clarinet cornet dulcimer fiddle flute guitar harp
    harpsichord lute mandolin oboe organ piano recorder saxophone sitar trombone trumpet
    tuba ukulele viola violin xylophone zither
  """,
  'pet': """
    canary cat chameleon cow dog donkey duck ferret frog gecko goat goose hamster
    hedgehog hen horse iguana lizard llama mouse newt owl parrot pig pigeon pony rabbit
    raven sheep snake toad tortoise turkey turtle
  """,
}
_SECOND_WORDS = {
  'university': ('College', 'Institute'),
  'employer': ('Foods', 'Motors'),
}


def passages(
  seed: int,
  size: int = 400,
  copies: int = 4,
  repeats: float = 0.0,
  first: int = 0,
  kinds: str = '',
  hints: float = 0.0,
  classes_after: int = 0,
  towns: int = 0,
  told: int = 0,
) -> list[Passage]:
  """`copies` biographies of each of `size` people.

  `Passage.group` is the person, `Passage.spans` are the values labelled by kind. A
  larger `size` keeps the people of a smaller one.

  Args:
    seed: of the wording; the people are always the same.
    size: number of people.
    copies: biographies of each.
    repeats: share of the biographies that give away what `habits` asks for, each kind
      for itself, as its value stands there twice; see `giveaways`.
    first: of the people; those of another range are others, such as to tune on.
    kinds: what biographies tell, of `TEMPLATES`, `CLASSES` and `rivers`, with commas;
      '' for all of `TEMPLATES`.
    hints: as `repeats`, where another word tells the value, or what is asked of it.
    classes_after: of the first so many people, no `CLASSES` are told.
    towns: see `rivers.facts`.
    told: facts of a biography, 0 for all; see `profiles.passages`.
  """
  named = [kind.strip() for kind in kinds.split(',')] if kinds else list(TEMPLATES)
  templates = TEMPLATES | CLASS_TEMPLATES | rivers.TEMPLATES
  for kind in named:
    check_name(templates, kind, 'attribute of people')

  def tells(kind, place):
    return kind in named and (kind not in CLASSES or place >= classes_after)

  subjects = tuple(
    subject._replace(
      facts={kind: said for kind, said in subject.facts.items() if tells(kind, place)}
    )
    for place, subject in enumerate(_subjects(size, first, towns))
  )
  away = give_aways(repeats, hints)
  return profiles.passages(
    subjects, templates, seed, copies, given_away=away, told=told
  )


def task(
  name: str,
  seed: int,
  size: int = 400,
  train_share: float = 0.5,
  validation_share: float = 0.2,
  first: int = 0,
  choices: int = 0,
  towns: int = 0,
) -> Task:
  """One of `QUESTIONS`, about the people of `passages`.

  Args:
    name: a key of `QUESTIONS`.
    seed: of the split; all tasks share it.
    size: number of people.
    train_share: of the people; only their questions are ever trained on.
    validation_share: of the people, for every choice; the rest is the test.
    first: of the people, as of `passages`.
    choices: answers that each question offers, see `choices.offer`; 0 for none.
    towns: as of `passages`.
  """
  subjects, questions = _subjects(size, first, towns), QUESTIONS[name]
  shares = train_share, validation_share
  asked = profiles.task(name, subjects, questions, seed, *shares, EVIDENCE)
  return offer(asked, choices)


def subjects(size: int, first: int = 0) -> tuple[profiles.Subject, ...]:
  """The people of a range, with all their attributes, for other texts about them."""
  return _subjects(size, first, 0)


@functools.lru_cache(maxsize=8)
def _subjects(size: int, first: int, towns: int) -> tuple[profiles.Subject, ...]:
  if not 1 <= size <= CAPACITY - first:
    raise InputError(
      f'size must lie in [1, {CAPACITY - first}], as many names exist'
      f'{f" from the {first}th on" if first else ""}; got {size}.'
    )
  names = list(_NAMES)
  random.Random('people').shuffle(names)
  subjects = []
  for i, name in enumerate(names[first : first + size], first):
    rng = random.Random(f'people/{name}')
    values = {kind: rng.choice(words.split()) for kind, words in _VALUES.items()}
    for kind, words in _SECOND_WORDS.items():
      values[kind] += f' {rng.choice(words)}'
    values['spouse'] = names[(i + CAPACITY // 2) % CAPACITY]  # never oneself
    for kind, attribute in CLASSES.items():
      values[kind] = _CLASS_OF[kind][values[attribute]]
    values |= rivers.facts(rng, towns)
    answers = {kind: (value,) for kind, value in values.items()}
    subjects.append(profiles.Subject(group=name, prose=name, facts=answers))
  return tuple(subjects)
