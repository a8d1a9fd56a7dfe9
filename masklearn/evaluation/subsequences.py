"""Longest common subsequences in bits: ROUGE-L of long texts, in little memory.

The packages `rouge` and `rouge-score` fill a table of N x M numbers, one by one: two
answers of 20,000 words are 40 GB and some minutes. Here a row of the table is one whole
number: bit j says whether the length grows at column j.

References:
  Hyyrö, Bit-parallel LCS-length computation revisited, 2004.
"""

from collections.abc import Hashable, Sequence

# Places of the table, at most: more would be no answer. About a second.
MOST = 1 << 30


def rows(x: Sequence[Hashable], y: Sequence[Hashable]) -> list[int]:
  """The table of two sequences, a number for each length of `x` from 0.

  The longest common subsequence of x[:i] and y[:j] has as many elements as the first
  j bits of rows(x, y)[i] have ones.

  Raises:
    ValueError: there are more than `MOST` places.
  """
  if len(x) * len(y) > MOST:
    raise ValueError(
      f'ROUGE-L takes {MOST:,} pairs of words at most, got {len(x):,} x {len(y):,}.'
    )
  places: dict[Hashable, int] = {}
  for j, word in enumerate(y):
    places[word] = places.get(word, 0) | 1 << j
  full = (1 << len(y)) - 1
  still, found = full, [0]  # bits where the length does not grow
  for word in x:
    same = still & places.get(word, 0)
    still = ((still + same) | (still - same)) & full
    found.append(full ^ still)
  return found


def length(x: Sequence[Hashable], y: Sequence[Hashable]) -> int:
  """The length of the longest common subsequence.

  >>> length('abcd', 'xbyd')
  2
  """
  return rows(x, y)[-1].bit_count()


def indices(x: Sequence[Hashable], y: Sequence[Hashable], shorten_y: bool) -> list[int]:
  """The places in `x` of one of the longest common subsequences, last first.

  Read out from the ends. Where the last elements differ and either may go, it is that
  of `y` if `shorten_y`, as `rouge` does it, or else that of `x`, as `rouge-score` does.
  """
  table, i, j, found = rows(x, y), len(x), len(y), []
  here = table[-1].bit_count()  # the length for x[:i] and y[:j]
  while i and j and here:
    if x[i - 1] == y[j - 1]:
      i, j, here = i - 1, j - 1, here - 1
      found.append(i)
      continue
    shorter_x = (table[i - 1] & ((1 << j) - 1)).bit_count()
    shorter_y = here - (table[i] >> (j - 1) & 1)
    if shorter_x > shorter_y or (shorter_x == shorter_y and not shorten_y):
      i, here = i - 1, shorter_x
    else:
      j, here = j - 1, shorter_y
  return found
