"""Tables of facts -> prose with marked values, and questions about them.

`world` and `people` hold the tables and the wording; this file holds what both do
with them. A template names its two blanks, '{value} is the capital of {subject}.';
'{a}' becomes the article of the value after it.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from masklearn.tasks import splits
from masklearn.types import Example, InputError, Passage, Span, Task

GIVEN_AWAY = 'given away'  # of the label of a span that the words beside it tell


class Subject(NamedTuple):
  """A country, a person, or whatever else facts are about."""

  group: str  # its name, unique in the table
  prose: str  # the name inside a sentence: 'the Bahamas'
  facts: Mapping[str, tuple[str, ...]]  # kind -> answers; prose uses the first


class GiveAways(NamedTuple):
  """Sentences in which a fact can be told from another word, '{hint}'."""

  templates: Mapping[str, Sequence[str]]  # kind -> paraphrases
  share: float  # of a subject's profiles, in which such a kind is worded so
  # Kind -> value -> the word that tells it, or what is asked of it; None for the value
  # itself.
  hints: Mapping[str, Mapping[str, str]] | None = None


def slug(name: str) -> str:
  """`name` in lower-case ASCII, with hyphens.

  >>> slug("Côte d'Ivoire")
  'cote-d-ivoire'
  """
  plain = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode()
  return re.sub('[^a-z0-9]+', '-', plain.casefold()).strip('-')


def passages(
  subjects: Sequence[Subject],
  templates: Mapping[str, Sequence[str]],
  seed: int,
  copies: int,
  article: Callable[[str], str] = lambda value: '',
  given_away: GiveAways | None = None,
  told: int = 0,
) -> list[Passage]:
  """`copies` profiles of every subject: one sentence for each of its facts, or of some.

  The order of the sentences is random. The copies of a subject take turns through the
  shuffled paraphrases of each kind, so that they differ as much as possible.

  Args:
    subjects: what to write about; `Passage.group` is the subject's.
    templates: kind -> paraphrases.
    seed: of order and paraphrases; a subject's prose does not depend on the others.
    copies: profiles of each subject.
    article: value -> the word before it, such as 'the '; not a part of the span.
    given_away: some kinds, in a share of the copies; the label of the span is then
      `GIVEN_AWAY` and the kind. Kinds take turns, so that about as many are in each
      copy.
    told: facts of a profile; 0 for all. They take turns; what a profile does not give
      away comes before what it does. Where every profile tells everything, a model can
      tell a fact from those beside it, and need not remember whose it is.

  Raises:
    InputError: there are no copies, or `told` is negative.
  """
  if copies < 1:
    raise InputError(f'copies must be at least 1, got {copies}.')
  if told < 0:
    raise InputError(f'told must be at least 0, got {told}.')
  hinting = given_away or GiveAways({}, 0.0)
  out = []
  for subject in subjects:
    rng = random.Random(f'passages/{seed}/{subject.group}')
    cycles = {k: rng.sample(templates[k], len(templates[k])) for k in subject.facts}
    plain = round(copies * (1 - hinting.share))  # copies that do not, of each kind
    first = rng.randrange(copies) if hinting.templates else 0
    starts = {k: first + i * plain for i, k in enumerate(hinting.templates)}
    for copy in range(copies):
      places = {k: (copy - starts.get(k, 0)) % copies for k in subject.facts}
      away = {k for k in places if k in starts and places[k] >= plain}
      kinds = _turn(list(places), away, told, copy) if told else list(places)
      rng.shuffle(kinds)
      text, spans, sentences = '', [], []
      for kind in kinds:
        value, label = subject.facts[kind][0], kind
        template = cycles[kind][places[kind] % len(cycles[kind])]
        if kind in away:
          hint = hinting.hints[kind][value] if hinting.hints else value
          template = rng.choice(hinting.templates[kind]).replace('{hint}', hint)
          label = f'{GIVEN_AWAY} {kind}'
        text += ' ' if text else ''
        sentence, start = _fill(template, subject.prose, value, article(value))
        spans.append(Span(len(text) + start, len(text) + start + len(value), label))
        sentences.append((len(text), len(text) + len(sentence)))
        text += sentence
      ident = f'{slug(subject.group)}-{copy}'
      out.append(Passage(ident, text, subject.group, tuple(spans), tuple(sentences)))
  return out


def task(
  name: str,
  subjects: Sequence[Subject],
  questions: Mapping[str, Sequence[str]],
  seed: int,
  train_share: float,
  validation_share: float,
  evidence: Mapping[str, str] | None = None,
) -> Task:
  """The questions of the kinds in `questions`, split by subject.

  Training asks in every phrasing; validation and test in the first one only, so that
  the number of their questions is the number of facts. The split depends on the
  subjects and the seed alone: tasks over the same table share it.

  Args:
    name: of the task.
    subjects: what is asked about.
    questions: kind -> phrasings.
    seed: of the split.
    train_share: of the subjects.
    validation_share: of the subjects; the rest is the test.
    evidence: kind -> the kind of the spans from which its answers follow, where it is
      another one.
  """
  groups = [subject.group for subject in subjects]
  split_of = splits.split_groups(groups, seed, train_share, validation_share)
  examples = {split: [] for split in splits.SPLITS}
  for subject in subjects:
    split = split_of[subject.group]
    for kind, phrasings in questions.items():
      if kind not in subject.facts:
        continue
      for i, phrasing in enumerate(phrasings if split == 'train' else phrasings[:1]):
        ident = f'{slug(subject.group)}-{kind}-{i}'
        source, targets = phrasing.format(subject=subject.prose), subject.facts[kind]
        told = (evidence or {}).get(kind, '')
        given = ident, source, targets, subject.group, kind
        examples[split].append(Example(*given, evidence=told))
  return splits.make_task(name, examples)


def _turn(kinds: list[str], away: set[str], told: int, copy: int) -> list[str]:
  """The kinds that a copy tells: those given away are taken last, and one at a time."""

  def turned(some, step):
    at = copy * step % max(1, len(some))
    return some[at:] + some[:at]

  plain = [kind for kind in kinds if kind not in away]
  others = [kind for kind in kinds if kind in away]
  return (turned(plain, told) + turned(others, 1))[:told]


def _fill(template: str, subject: str, value: str, article: str) -> tuple[str, int]:
  """The sentence and the character where the value starts in it."""
  # 'uni' sounds like a consonant: a unitary republic.
  vowel = value[0].lower() in 'aeiou' and not value.startswith('uni')
  before, after = template.split('{value}')
  before = before.format(subject=subject, a='an' if vowel else 'a') + article
  sentence = before + value + after.format(subject=subject)
  return sentence[0].upper() + sentence[1:], len(before)
