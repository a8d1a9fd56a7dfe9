"""The one table of policies: what each needs, how it is made, and how it is called.

Nothing else in the code knows a policy by name. A new one is a function and a line:

  def long_words(rate):
    return heuristic.from_scores(..., rate)

  POLICIES['long_words'] = Entry(long_words, 'long words')
"""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from masklearn.types import InputError

if TYPE_CHECKING:  # The names of the table need no accelerator.
  import numpy as np

  from masklearn.types import Batch, Policy, Specials

# What a policy can need beside a rate -> what that is.
NEEDS = {
  'reference': 'another policy, whose spans it moves',
  'specials': 'the special tokens, which say whose objective, and whose rate, is meant',
  'tokens': 'tokens, as it hides parts of words, or counts them',
  'annotations': 'salient spans of the passages',
  'collocations': 'the collocations of the corpus',
  'answers': "the places of the answers to a task's questions",
}
# What a policy is in a comparison.
ROLES = (
  'untrained', 'random', 'control', 'heuristic', 'supervised', 'learned', 'reference'
)  # fmt: skip
# What a policy's pre-training has as much of as all others: 'updates', or 'compute', so
# many more updates that it costs as much as theirs together with learning a policy.
EQUAL = 'updates', 'compute'


@dataclasses.dataclass(frozen=True)
class Entry:
  """A policy of the table; calling it makes the policy.

  >>> POLICIES['salient'].title
  'salient spans'
  """

  # (rate, **arguments) -> Policy; 'file:name' is one of this room, loaded when it is
  # first called. None hides nothing: there is no intermediate stage.
  make: Callable[..., Policy] | str | None
  title: str  # in reports
  role: str = 'heuristic'  # of `ROLES`; the best of role 'random' is what others beat
  needs: tuple[str, ...] = ()  # of `NEEDS`
  # The stage that gives it its parameters: 'learn' by the loss of a task, 'supervise'
  # by the places of answers, 'count' by counting, 'score' by the losses of two models;
  # '' for a policy without any.
  trained_by: str = ''
  # Whether that stage is given the task; without, one policy serves all tasks.
  sees_task: bool = True
  # Of 'supervise': whether from answers alone that the base model cannot restore.
  unknown: bool = False
  # Of 'score': the policy, without parameters, whose pre-training makes the second.
  after: str = ''
  # (counts.Sources, longest) -> the weights of n-grams, where they are counted.
  weights: Callable[..., dict[int, float]] | str = ''
  equal: str = 'updates'  # of `EQUAL`
  has_scores: bool = True  # whether it scores spans, and can be compared by them
  # (passages, rate, specials) -> [P] longest 'spans' target of each passage.
  capacity: Callable[[Batch, float, Specials], np.ndarray] | str = (
    'capacity:word_capacity'
  )

  def __post_init__(self):
    for need in self.needs:
      if need not in NEEDS:
        raise InputError(f'A policy needs some of {", ".join(NEEDS)}, got {need!r}.')
    if (self.trained_by == 'score') != bool(self.after):
      raise InputError(
        "A policy is trained by 'score' after the pre-training of another one, got "
        f'trained_by={self.trained_by!r} and after={self.after!r}.'
      )
    if self.role not in ROLES:
      raise InputError(f'A role is one of {", ".join(ROLES)}, got {self.role!r}.')
    if self.equal not in EQUAL:
      rule = f'A policy has an equal number of {" or ".join(EQUAL)}'
      raise InputError(f'{rule}, got {self.equal!r}.')

  def __call__(self, *args, **kwargs) -> Policy:
    """The policy."""
    if self.make is None:
      raise InputError(f'{self.title} hides nothing: there is no policy to make.')
    return self.function(*args, **kwargs)

  @property
  def function(self) -> Callable[..., Policy]:
    """What makes the policy."""
    return _loaded(self.make)

  def counted(self, *args) -> dict[int, float]:
    """The weights of n-grams, of a policy whose parameters are counted."""
    return _loaded(self.weights)(*args)

  def longest_targets(self, passages: Batch, rate: float, ids: Specials) -> np.ndarray:
    """The longest 'spans' target of each passage, [P] int32."""
    return _loaded(self.capacity)(passages, rate, ids)


def _loaded(function):
  if isinstance(function, str):
    return pkgutil.resolve_name(f'masklearn.policies.{function}')
  return function


# Old name -> new name.
RENAMED = {'oracle': 'annotated'}

POLICIES: dict[str, Entry] = {
  'none': Entry(None, 'no intermediate stage', 'untrained', has_scores=False),
  'random': Entry('heuristic:whole_word', 'random tokens', 'random'),
  'whole_word': Entry('heuristic:whole_word', 'whole words', 'random'),
  'random_longer': Entry(
    'heuristic:whole_word', 'random tokens, equal compute', 'control', equal='compute'
  ),
  'random_token': Entry(
    'pretraining:random_token',
    'single tokens',
    needs=('tokens',),
    has_scores=False,
    capacity='capacity:token_capacity',
  ),
  'random_span': Entry(
    'heuristic:random_span', 'random spans', 'random', ('reference',)
  ),
  'one_span': Entry(
    'heuristic:one_span',
    'one random span',
    'random',
    has_scores=False,
    capacity='capacity:one_span_capacity',
  ),
  'salient': Entry('heuristic:salient', 'salient spans', needs=('annotations',)),
  'pmi_span': Entry('heuristic:pmi_span', 'collocations', needs=('collocations',)),
  'same_sentences_random': Entry(
    'heuristic:same_sentences_random',
    'same sentences, random',
    'control',
    ('reference',),
  ),
  'answer_vocabulary': Entry(
    'ngrams:listed',
    'answer vocabulary',
    trained_by='count',
    weights='counts:answer_vocabulary',
  ),
  'cooccurrence': Entry(
    'ngrams:listed',
    'co-occurrence',
    trained_by='count',
    weights='counts:cooccurrence',
  ),
  'difference': Entry(
    'ngrams:listed',
    'distinctive words',
    trained_by='count',
    sees_task=False,
    weights='counts:difference',
  ),
  'excess_loss': Entry(
    'occurrences:weighted',
    'excess loss',
    trained_by='score',
    sees_task=False,
    after='random',
  ),
  'supervised': Entry(
    'learned:supervised', 'supervised', 'supervised', trained_by='supervise'
  ),
  'supervised_unknown': Entry(
    'learned:supervised',
    'supervised, unknown answers',
    'supervised',
    trained_by='supervise',
    unknown=True,
  ),
  'learned': Entry('learned:learned', 'learned', 'learned', trained_by='learn'),
  'annotated': Entry(
    'heuristic:annotated', 'annotated answers', 'reference', ('answers',)
  ),
  'original': Entry(
    'pretraining:original',
    'original',
    needs=('specials',),
    has_scores=False,
    capacity='capacity:original_capacity',
  ),
}
