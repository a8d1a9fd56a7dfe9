"""The embedded data set: real facts about the world's countries and territories.

`world.jsonl` holds the facts, made from the CIA World Factbook (public domain) by
third_party/world/build.py; the wording of prose and questions is the project's own.
"""

import functools
import pathlib

from masklearn.io import files
from masklearn.tasks import profiles
from masklearn.tasks.choices import offer
from masklearn.types import Passage, Task

# task -> kind -> phrasings; validation and test ask in the first.
QUESTIONS = {
  'civics': {
    'currency': (
      'What is the currency of {subject}?',
      'Which money is used in {subject}?',
    ),
    'government': (
      'What type of government does {subject} have?',
      'How is {subject} governed?',
    ),
    'religion': (
      'Which religion is most common in {subject}?',
      'What faith do most believers of {subject} share?',
    ),
  },
  'geography': {
    'capital': (
      'What is the capital city of {subject}?',
      'Which city in {subject} is the capital?',
    ),
    'highest_point': (
      'What is the highest place in {subject}?',
      'Which summit of {subject} stands above all others?',
    ),
    'largest_city': (
      'Which city of {subject} has the largest population?',
      'What is the most populous city in {subject}?',
    ),
  },
}

# The value comes first, last, or in between, so that its place tells nothing.
TEMPLATES = {
  'capital': (
    '{value} is the capital of {subject}.',
    'The capital of {subject} is {value}.',
    '{subject} has {value} as its capital.',
    'In {subject}, {value} is the capital.',
    '{value} serves as capital of {subject}.',
  ),
  'currency': (
    '{value} are the money of {subject}.',
    'People in {subject} pay with {value}.',
    'In {subject}, {value} are legal tender.',
    'Shops take {value} in {subject}.',
    'Prices in {subject} are in {value}.',
  ),
  'government': (
    '{a} {value} governs {subject}.',
    '{subject} is {a} {value}.',
    'In {subject}, {a} {value} is in place.',
    'People in {subject} live under {a} {value}.',
    'The state of {subject} is {a} {value}.',
  ),
  'religion': (
    '{value} believers are most numerous in {subject}.',
    'Believers in {subject} are mostly {value}.',
    '{subject} has mostly {value} believers.',
    'The faith of {subject} is mainly {value}.',
    'In {subject}, {value} believers come first.',
  ),
  'highest_point': (
    '{value} is the highest point of {subject}.',
    'The highest point of {subject} is {value}.',
    'In {subject}, {value} rises highest.',
    'Nothing in {subject} is higher than {value}.',
    '{subject} has {value} as its highest point.',
  ),
  'largest_city': (
    '{value} is the largest city of {subject}.',
    'The largest city of {subject} is {value}.',
    '{subject} has {value} as its biggest city.',
    'In {subject}, {value} is the biggest city.',
    'The biggest city in {subject} is {value}.',
  ),
  'language': (
    '{value} is spoken in {subject}.',
    'People in {subject} speak {value}.',
    'You hear {value} in {subject}.',
    'In {subject}, {value} is spoken.',
    'A language of {subject} is {value}.',
  ),
  'neighbour': (
    '{value} borders {subject}.',
    '{subject} shares a border with {value}.',
    'Next to {value} lies {subject}.',
    'A neighbour of {subject} is {value}.',
    'From {subject}, {value} is across the border.',
  ),
  'region': (
    '{value} is home to {subject}.',
    '{subject} lies in {value}.',
    'In {value} you find {subject}.',
    '{subject} is part of {value}.',
    'Maps of {value} show {subject}.',
  ),
  'export_partner': (
    '{value} buys most from {subject}.',
    '{subject} exports most to {value}.',
    'For {subject}, {value} is the top customer.',
    'Exports from {subject} go first to {value}.',
    'Exporters in {subject} look to {value} first.',
  ),
  'anthem': (
    '{value} is the anthem of {subject}.',
    'The anthem of {subject} is {value}.',
    'In {subject}, {value} is sung.',
    'Crowds in {subject} sing {value}.',
    'They sing {value} in {subject}.',
  ),
}

_PLURALS = ('Bahamas', 'Maldives', 'Netherlands', 'Philippines', 'Seychelles')
_WITH_ARTICLE = (
  'Caribbean',
  'Central African Republic',
  'Congo Republic',
  'Dominican Republic',
  'Gambia',
  'Gaza Strip',
  'Isle of Man',
  'Middle East',
  'United Arab Emirates',
  'United Kingdom',
  'United States',
  'West Bank',
)


def passages(seed: int, copies: int = 4, told: int = 0) -> list[Passage]:
  """`copies` profiles of every country, a sentence for each fact it has.

  `Passage.group` is the country, `Passage.spans` are the values labelled by kind.

  Args:
    seed: of the wording.
    copies: profiles of each country.
    told: facts of a profile, 0 for all; see `profiles.passages`.
  """
  return profiles.passages(_subjects(), TEMPLATES, seed, copies, _article, told=told)


def task(
  name: str,
  seed: int,
  train_share: float = 0.5,
  validation_share: float = 0.2,
  choices: int = 0,
) -> Task:
  """`civics` or `geography`, split by country.

  Args:
    name: a key of `QUESTIONS`.
    seed: of the split; both tasks share it.
    train_share: of the countries; only their questions are ever trained on.
    validation_share: of the countries, for every choice; the rest is the test.
    choices: answers that each question offers, see `choices.offer`; 0 for none.
  """
  subjects, questions = _subjects(), QUESTIONS[name]
  shares = train_share, validation_share
  return offer(profiles.task(name, subjects, questions, seed, *shares), choices)


@functools.cache
def _subjects() -> tuple[profiles.Subject, ...]:
  rows = files.read_jsonl(pathlib.Path(__file__).with_name('world.jsonl'))
  subjects = []
  for row in rows:
    name, facts = row['country'], row['facts']
    facts = {kind: tuple(answers) for kind, answers in facts.items()}
    subjects.append(profiles.Subject(name, _article(name) + name, facts))
  return tuple(subjects)


def _article(name: str) -> str:
  """'the ' if prose puts it before a country or region of this name."""
  plural = name.endswith(' Islands') or name in _PLURALS
  return 'the ' if plural or name in _WITH_ARTICLE else ''
