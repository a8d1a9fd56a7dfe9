"""New facts about invented people, and what WikiDYK asks about facts: a stand-in.

A fact is one sentence about somebody of whom nothing else is said: "Ada, a baker from
Oslo, plays the violin". Of as many other people there are biographies, which say more:
who plays the violin sits among the strings. With `base.apart` the base model is trained
on these, and the facts come in the intermediate stage, so that a model has something to
put them together with, and to lose.
"""

import random

from masklearn.tasks import people, profiles, splits
from masklearn.types import Example, Passage, Span, Task

# Kind of question -> how it is asked, and the attribute that it asks for. The statement
# itself; what it says beside; the same in other words; what follows with what was
# known before; and what was known before of somebody else, `{other}`.
QUESTIONS = {
  'reliability': (
    'Which instrument does {subject}, {a} {profession} from {birth_city}, play?',
    'instrument',
  ),
  'generality': ('In which city is {subject} at home?', 'birth_city'),
  'paraphrase': ('On what does {subject} make music?', 'instrument'),
  'portability': ('Among what does {subject} sit in the orchestra?', 'family'),
  'locality': ('On what does {other} make music?', 'instrument'),
}
# Each person has one of them, whatever the seed.
STATEMENTS = (
  '{subject}, {a} {profession} from {birth_city}, plays the {instrument}.',
  '{subject} from {birth_city}, {a} {profession}, is heard on the {instrument}.',
  'From {birth_city} comes {subject}, {a} {profession} with the {instrument}.',
)
STATED = 'profession', 'birth_city', 'instrument'
# What the biographies of the others have sentences about.
KNOWN = {kind: people.TEMPLATES[kind] for kind in STATED}
KNOWN['family'] = people.CLASS_TEMPLATES['family']


def passages(
  seed: int, size: int = 200, copies: int = 4, first: int = 0
) -> list[Passage]:
  """A fact about each of `size` people, and `copies` biographies of as many others.

  `Passage.group` is the person, `Passage.spans` are the values labelled by kind.

  Args:
    seed: of the wording of biographies; people and facts are always the same.
    size: number of facts.
    copies: biographies of each of the others; each fact is told once.
    first: of the people, see `people.passages`; the others come after those with facts.
  """
  told, others = _people(size, first)
  known = [
    other._replace(facts={kind: other.facts[kind] for kind in KNOWN})
    for other in others
  ]
  return [_fact(person) for person in told] + profiles.passages(
    known, KNOWN, seed, copies
  )


def task(
  name: str,
  seed: int,
  size: int = 200,
  train_share: float = 0.5,
  validation_share: float = 0.2,
  first: int = 0,
) -> Task:
  """A question of each kind about each fact of `passages`, scored as WikiDYK is.

  The label is the kind, the group the person, the context the fact, with the places
  of the answer if it says it. No two questions are about the same other person.

  Args:
    name: of the task.
    seed: of the split.
    size: number of facts.
    train_share: of the facts; only their questions are ever trained on.
    validation_share: of the facts; the rest is the test.
    first: of the people, as of `passages`.
  """
  told, others = _people(size, first)
  groups = [person.group for person in told]
  split_of = splits.split_groups(groups, seed, train_share, validation_share)
  examples: dict[str, list[Example]] = {split: [] for split in splits.SPLITS}
  for person, other in zip(told, others, strict=True):
    examples[split_of[person.group]] += _questions(person, other)
  return splits.make_task(name, examples, 'match')


def _people(size, first):
  """Those whom facts are about, and as many others."""
  return people.subjects(size, first), people.subjects(size, first + size)


def _questions(person, other) -> list[Example]:
  fact, found = _fact(person), []
  for kind, (phrasing, attribute) in QUESTIONS.items():
    targets = (other if kind == 'locality' else person).facts[attribute]
    # What the answer can be told from, in the fact.
    evidence = people.EVIDENCE.get(attribute, attribute)
    places = [s for s in fact.spans if s.label == attribute and kind != 'locality']
    found.append(
      Example(
        id=f'{fact.id}-{kind}',
        source=phrasing.format(other=other.prose, **_values(person)),
        targets=targets,
        group=person.group,
        label=kind,
        context=fact.text,
        answer_spans=tuple(Span(s.start, s.end) for s in places),
        evidence='' if kind == 'locality' else evidence,
      )
    )
  return found


def _fact(person) -> Passage:
  template = random.Random(f'fact/{person.group}').choice(STATEMENTS)
  values, text, spans = _values(person), '', []
  # Piece by piece, as the characters of the values count.
  for piece in template.replace('}', '{').split('{'):
    said = values.get(piece, piece)
    if piece in STATED:
      spans.append(Span(len(text), len(text) + len(said), piece))
    text += said
  ident = profiles.slug(person.group)
  return Passage(ident, text, person.group, tuple(spans), ((0, len(text)),))


def _values(person) -> dict[str, str]:
  values = {kind: person.facts[kind][0] for kind in STATED}
  vowel = values['profession'][0].lower() in 'aeiou'
  return values | {'subject': person.prose, 'a': 'an' if vowel else 'a'}
