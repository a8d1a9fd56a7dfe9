"""The passages of a corpus in which the contexts of questions stand."""

import collections
from collections.abc import Iterable, Iterator, Sequence

from masklearn import text
from masklearn.types import Passage

WINDOW = 5  # words in a row that two texts share, before they are compared


def meet(
  passages: Iterable[Passage], contexts: Sequence[tuple[str, str]]
) -> list[list[int]]:
  """The passages of each context: those that contain it, and those that it contains.

  Of the same group; a context without a group, or with one that no passage has, is
  looked for in all of them, where passages of fewer than `WINDOW` words count as parts
  of none. White space does not matter.

  Args:
    passages: of the corpus; read twice.
    contexts: groups, '' for none, and texts.

  >>> passages = [Passage('a', 'It rains. We stay.'), Passage('b', 'We go.')]
  >>> meet(passages, [('', 'We  stay.'), ('', 'They go.')])
  [[0], []]
  """
  bodies = [_plain(body) for _, body in contexts]
  groups = {passage.group for passage in passages} - {''}
  grouped: dict[str, list[int]] = collections.defaultdict(list)
  begun: dict[tuple, list[int]] = collections.defaultdict(list)  # by first words
  inside: dict[tuple, list[int]] = collections.defaultdict(list)  # by any words
  for i, (group, body) in enumerate(contexts):
    if group in groups:
      grouped[group].append(i)
      continue
    words = _words(body)
    begun[words[:WINDOW]].append(i)
    for window in set(_windows(words, WINDOW)):
      inside[window].append(i)
  sizes = sorted({len(words) for words in begun if words})
  found: list[list[int]] = [[] for _ in contexts]
  for row, passage in enumerate(passages):
    near = set(grouped.get(passage.group, ()))
    if sizes:
      words = _words(passage.text)
      for size in sizes:
        for window in _windows(words, size):
          near.update(begun.get(window, ()))
      near.update(inside.get(words[:WINDOW], ()))
    body = _plain(passage.text) if near else ''
    for i in sorted(near):
      if bodies[i] in body or (body and body in bodies[i]):
        found[i].append(row)
  return found


def _plain(body: str) -> str:
  return ' '.join(body.split())


def _words(body: str) -> tuple[str, ...]:
  return tuple(body[a:b] for a, b in text.words(body))


def _windows(words: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
  return (words[i : i + size] for i in range(len(words) - size + 1))
