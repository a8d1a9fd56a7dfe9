"""The weights of n-grams, counted in training questions and in passages.

Baselines that see what a learned policy sees, the training questions and the corpus, or
the corpus alone, and train nothing: each takes seconds.
"""

import collections
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from masklearn import data, text
from masklearn.policies import ngrams
from masklearn.text.normalization import normalize
from masklearn.types import Batch, Example, Impossible, Passage

SHARPNESS = 20.0  # nats between n-grams of phi 0 and 1, or of no tf-icf and the most
LEAST = 2  # training groups in which an n-gram and an answer must have met
AT_ONCE = 1_024  # passages that are hashed at a time
# What may stand before a word without being a part of it: most tokenizers make other
# tokens of a word that begins a text, follows a space, or follows a mark.
_BEFORE = '', 'a ', '('
_PIECE = re.compile(r'(/\d+)+$')  # of a document's name, in those of its passages


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


def difference(sources: Sources, longest: int) -> dict[int, float]:
  """Weights of n-grams that are frequent about one thing and rare elsewhere.

  The weight of a word for a group of passages is tf x icf,

    log(1 + f) * log((N + 1) / (n + 1)),

  where f is how often the word stands in the group's passages, N the number of the
  other groups, and n how many of these have it; a word has its largest weight over
  groups. An n-gram has the least of its words: most long n-grams are in one group alone
  by chance, and so none is preferred that has a word which is everywhere. The highest
  weight is scaled to `SHARPNESS`, and what weighs nothing is left out.

  Args:
    sources: of which the passages are read; one without a group is in a group with the
      other passages of its document. No question is seen.
    longest: words of an n-gram.

  Raises:
    Impossible: every word is in all groups, or there is one group.

  References:
    Reed et al., TF-ICF: A New Term Weighting Scheme for Clustering Dynamic Data Streams
    (2006); its reference corpus is the other groups here.
  """
  group = _groups(sources.passages)
  words, weight = _icf(sources, group)
  if not weight.any():
    raise Impossible(
      'No word of the corpus is in some groups of passages and not in others, of '
      f'{group.max(initial=-1) + 1}'
    )
  weight *= SHARPNESS / weight.max()
  found: dict[int, float] = {}
  for some in _parts(np.arange(len(group))):
    keys = ngrams.keys(data.take(sources.encoded, some), longest)  # [n, W, N]
    each = weight[np.searchsorted(words, keys[..., 0])]  # [n, W], any for no word
    least = each
    for n in range(longest):
      least = np.minimum(least, np.pad(each[:, n:], ((0, 0), (0, n))))
      used = (keys[..., n] > 0) & (least > 0)
      found.update(zip(keys[used, n].tolist(), least[used].tolist(), strict=True))
  return found


def _groups(passages):
  """The number of the group, or else of the document, of each passage: [P] int."""
  numbers: dict[tuple[str, str], int] = {}
  names = (
    (p.group, '') if p.group else ('', _PIECE.sub('', p.id, count=1)) for p in passages
  )
  return np.array([numbers.setdefault(name, len(numbers)) for name in names], int)


def _icf(sources, group):
  """The words of the passages, in order, and the largest tf x icf of each: [K], [K]."""
  parts = [np.zeros((3, 0), np.uint64)]
  for some in _parts(np.arange(len(group))):
    keys = ngrams.keys(data.take(sources.encoded, some), 1)[..., 0]
    groups = np.broadcast_to(group[some, None], keys.shape)
    both = np.stack([keys, groups.astype(np.uint64)])[:, keys > 0]
    pairs, count = np.unique(both, axis=1, return_counts=True)
    parts.append(np.vstack([pairs, count.astype(np.uint64)]))
  every = np.concatenate(parts, axis=1)
  pairs, place = np.unique(every[:2], axis=1, return_inverse=True)
  count = np.bincount(place, every[2].astype(float), pairs.shape[1])
  words, row, having = np.unique(pairs[0], return_inverse=True, return_counts=True)
  most = np.zeros(len(words))
  np.maximum.at(most, row, count)
  # N + 1 are all groups, and n + 1 those that have the word, whichever is its own.
  return words, np.log1p(most) * np.log(len(np.unique(group)) / having)


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
