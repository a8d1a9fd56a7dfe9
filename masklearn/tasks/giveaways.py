"""Sentences about people that give a fact away: to restore it teaches nothing of them.

Either the value stands twice in its sentence, or a word stands beside it that goes with
no other value: who has a saddle has a horse. Both are of the task `habits`. Of the task
`rivers`, a word stands beside a town that tells its river: see `tasks/rivers.py`.
"""

from masklearn.tasks import rivers
from masklearn.tasks.profiles import GiveAways
from masklearn.types import InputError

REPEATS = {
  'profession': (
    'In the {hint} guild, {subject} is a {value}.',
    'The {hint} union counts {subject} as a {value}.',
    'On {hint} day, {subject} is thanked as a {value}.',
  ),
  'instrument': (
    'In the {hint} class, {subject} plays the {value}.',
    'The {hint} shop hands {subject} a {value}.',
    'At {hint} lessons, {subject} lifts the {value}.',
  ),
  'pet': (
    'At the {hint} show, {subject} has a {value}.',
    'The {hint} food of {subject} is for a {value}.',
    'In the {hint} shed, {subject} keeps a {value}.',
  ),
}
TOLD = {
  'profession': (
    'For love of the {hint}, {subject} is a {value}.',
    'The {hint} tells that {subject} is a {value}.',
    'With the {hint}, {subject} works as a {value}.',
  ),
  'instrument': (
    'For love of {hint}, {subject} plays the {value}.',
    'The {hint} tells that {subject} has a {value}.',
    'To hear {hint}, {subject} lifts the {value}.',
  ),
  'pet': (
    'Beside the {hint}, {subject} feeds a {value}.',
    'The {hint} tells that {subject} owns a {value}.',
    'For the {hint}, {subject} thanks a {value}.',
  ),
}


def _pairs(words):
  return dict(pair.split(':') for pair in words.split())


HINTS = {
  'profession': _pairs("""
    actor:stage architect:blueprint baker:oven barber:razor blacksmith:anvil
    bookseller:bookshop carpenter:sawdust chemist:laboratory cook:kitchen dancer:ballet
    dentist:toothache detective:clue electrician:wire engineer:turbine farmer:tractor
    fisherman:net florist:bouquet gardener:spade glazier:window journalist:newspaper
    judge:court librarian:library mason:brick mechanic:garage nurse:ward optician:lens
    painter:brush pilot:cockpit plumber:pipe sailor:anchor sculptor:marble
    shepherd:flock surgeon:scalpel tailor:needle teacher:blackboard
    translator:dictionary waiter:tray weaver:loom
  """),
  'instrument': _pairs("""
    accordion:bellows banjo:bluegrass bassoon:quintets cello:concertos clarinet:swing
    cornet:parades dulcimer:hammers fiddle:ceilidhs flute:birdsong guitar:riffs
    harp:pedals harpsichord:baroque lute:ballads mandolin:serenades oboe:reeds
    organ:cathedrals piano:sonatas recorder:classrooms saxophone:jazz sitar:ragas
    trombone:slides trumpet:fanfares tuba:marches ukulele:luaus viola:quartets
    violin:rosin xylophone:mallets zither:alpine
  """),
  'pet': _pairs("""
    canary:cage cat:whiskers chameleon:colours cow:milk dog:bark donkey:cart duck:pond
    ferret:burrow frog:lily gecko:wall goat:cheese goose:quill hamster:wheel
    hedgehog:spines hen:eggs horse:saddle iguana:crest lizard:sunshine llama:poncho
    mouse:squeak newt:ditch owl:midnight parrot:chatter pig:mud pigeon:loft pony:fair
    rabbit:hutch raven:tower sheep:fleece snake:venom toad:warts tortoise:shell
    turkey:gobble turtle:beach
  """),
}


def give_aways(repeats: float, hints: float) -> GiveAways | None:
  """The sentences of biographies that repeat a value, or hint at it; None for none.

  Args:
    repeats: share of the biographies in which a kind is worded by `REPEATS`.
    hints: of those in which it is worded by `TOLD`, with the word of `HINTS`, here or
      in `rivers`.

  Raises:
    InputError: both are above 0.
  """
  if repeats and hints:
    raise InputError(
      f'One of repeats and hints must be 0, got {repeats:g} and {hints:g}.'
    )
  if hints:
    towns = dict.fromkeys(rivers.TOLD, rivers.HINTS)
    return GiveAways(TOLD | rivers.TOLD, hints, HINTS | towns)
  return GiveAways(REPEATS, repeats) if repeats else None
