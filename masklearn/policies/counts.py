"""The weights of n-grams, counted in training questions and in their passages.

Baselines that see what a learned policy sees, the training questions and the corpus,
and train nothing: each takes seconds.
"""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from masklearn import data, text
from masklearn.policies import ngrams
from masklearn.text.normalization import normalize
from masklearn.types import Batch, Example, Impossible, Passage

SHARPNESS = 20.0  # nats between two n-grams of phi 0 and 1
LEAST = 2  # training groups in which an n-gram and an answer must have met
AT_ONCE = 1_024  # passages that are hashed at a time
# What may stand before a word without being a part of it: most tokenizers make other
# tokens of a word that begins a text, follows a space, or follows a mark.
_BEFORE = '', 'a ', '('


class Sources(NamedTuple):
  """What weights are counted in."""

  questions: Sequence[Example]  # of the training split
  passages: Sequence[Passage]  # the corpus
  encoded: Batch  # the same, [P, L]
  tokenizer: text.Tokenizer


def answer_vocabulary(sources: Sources, longest: int) -> dict[int, float]:
  """Weight 0 for each answer to a training question, in several cases.

  Args:
    sources: of which the questions and the tokenizer are used.
    longest: words of an answer; longer ones are left out.

  Raises:
    Impossible: no training question has an answer of so few words.
  """
  targets = {target for e in sources.questions for target in e.targets}
  forms = sorted({form for target in targets for form in _cases(target)})
  found = {}
  for before in _BEFORE:
    skipped = len(text.words(before))
    for key, words in _whole(forms, before, skipped, sources.tokenizer, longest):
      if 0 < words <= longest:
        found[key] = 0.0
  if not found:
    raise Impossible(
      f'None of {len(sources.questions)} training questions has an answer of at most '
      f'{longest} words to look for'
    )
  return found


def cooccurrence(sources: Sources, longest: int) -> dict[int, float]:
  """Weights that grow with how well an n-gram predicts an answer.

  For each n-gram of passages about training groups and each answer to a kind of
  question, phi is the correlation over groups of two facts: that the n-gram stands in a
  passage of the group, and that this is the answer to its question of this kind. The
  weight is `SHARPNESS` times the highest phi of the n-gram.

  Args:
    sources: of which the passages of training groups are read.
    longest: words of an n-gram.

  Raises:
    Impossible: no n-gram and answer meet in `LEAST` groups.

  References:
    Yule, On the Methods of Measuring Association Between Two Attributes (1912).
  """
  groups = sorted({e.group for e in sources.questions} - {''})
  column = {group: i for i, group in enumerate(groups)}
  present = _present(sources, column, longest)
  answers = [
    (e.label, normalize(target), column[e.group])
    for e in sources.questions
    if e.group
    for target in e.targets
  ]
  highest: dict[int, float] = {}
  for label in sorted({label for label, *_ in answers}):
    own = [(answer, place) for kind, answer, place in answers if kind == label]
    asked = sorted({place for _, place in own})
    _raise_to(highest, _phi(present, own, asked))
  if not highest:
    raise Impossible(
      f'No n-gram of the passages meets an answer to training questions in {LEAST} '
      f'groups; {len(groups)} groups have questions'
    )
  return {key: SHARPNESS * phi for key, phi in highest.items()}


def _cases(target):
  """A text as it is, in lower case, and with a capital at its beginning."""
  return target, target.lower(), target[:1].upper() + target[1:]


def _whole(forms, before, skipped, tokenizer, longest):
  """The key and the number of words of each text, behind some words that it follows."""
  for some in _parts(forms):
    passages = [Passage(str(i), before + form) for i, form in enumerate(some)]
    length = max(len(tokenizer.encode(p.text).ids) for p in passages)
    batch = data.encode_passages(passages, tokenizer, '', max_length=length)
    keys = ngrams.keys(batch, longest)
    counts = np.where(batch.valid, batch.word + 1, 0).max(1) - skipped
    for row, count in enumerate(counts):
      if 0 < count <= longest:
        yield int(keys[row, skipped, count - 1]), int(count)


def _parts(rows: Sequence, size: int = AT_ONCE) -> Iterable[Sequence]:
  return (rows[at : at + size] for at in range(0, len(rows), size))


def _present(sources, column, longest):
  """The n-grams of the passages of some groups, and which has which: [keys], [K, G]."""
  places = [(i, column.get(p.group)) for i, p in enumerate(sources.passages)]
  places = np.array([pair for pair in places if pair[1] is not None], int)
  pairs = [np.zeros((2, 0), np.uint64)]
  for some in _parts(places.reshape(-1, 2)):
    keys = ngrams.keys(data.take(sources.encoded, some[:, 0]), longest)
    keys = keys.reshape(len(some), -1)
    groups = np.broadcast_to(some[:, 1:], keys.shape)
    used = keys > 0
    both = np.stack([keys[used], groups[used].astype(np.uint64)])
    pairs.append(np.unique(both, axis=1))
  keys, groups = np.unique(np.concatenate(pairs, axis=1), axis=1)
  known, row = np.unique(keys, return_inverse=True)
  shape = len(known), len(column)
  ones = np.ones(len(row), np.float64)
  return known, sparse.csr_array((ones, (row, groups.astype(int))), shape)


def _phi(present, answers, asked):
  """The key of each n-gram and its highest phi with any of some answers.

  Args:
    present: of `_present`.
    answers: (answer, column of its group).
    asked: the columns of the groups that were asked: the population.
  """
  keys, has = present
  names = {answer: i for i, answer in enumerate(sorted({name for name, _ in answers}))}
  of_column = {place: i for i, place in enumerate(asked)}
  cells = {(names[answer], of_column[place]) for answer, place in answers}
  rows, columns = np.array(sorted(cells)).T
  said = sparse.csr_array(
    (np.ones(len(rows)), (rows, columns)), (len(names), len(asked))
  )
  has = has[:, asked]
  met = (has @ said.T).tocoo()  # groups in which both hold
  often = met.data >= LEAST
  row, answer, both = met.coords[0][often], met.coords[1][often], met.data[often]
  n = len(asked)
  x, y = (np.asarray(m.sum(axis=1)).ravel() for m in (has, said))
  x, y = x[row], y[answer]
  spread = np.sqrt(x * (n - x) * y * (n - y))
  phi = np.divide(n * both - x * y, spread, np.zeros_like(both), where=spread > 0)
  return keys[row][phi > 0], phi[phi > 0]


def _raise_to(highest, found):
  best = collections.defaultdict(float, highest)
  for key, phi in zip(*found, strict=True):
    best[int(key)] = max(best[int(key)], float(phi))
  highest.update(best)
