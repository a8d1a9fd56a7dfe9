"""A set of the texts that have been seen, in a few bytes for each."""

import array
import hashlib

SHARDS = 256
FIRST = 8  # places of a new shard
FILLED = 0.8  # share of the places, after which there are half as many more
GROWTH = 1.5


def fingerprint(text: str) -> int:
  """64 bits of a text, without regard to case and white space.

  Of N different texts, two have the same fingerprint with a probability of about
  N^2 / 2^65: 1 in 84,000 for the 21 million passages of Wikipedia. The later one would
  be taken for a duplicate.

  >>> fingerprint('One  two') == fingerprint('one two')
  True
  """
  return digest(' '.join(text.casefold().split()))


def digest(text: str) -> int:
  """64 bits of a text as it is."""
  return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Seen:
  """A set of fingerprints: a hash table with open addressing, in 256 parts.

  A part grows by a half when 0.8 of it is filled, and parts grow one after the other:
  8 / 0.8 to 1.5 * 8 / 0.8 bytes an entry, 10 to 15, at any time, and about 60 KB.
  """

  def __init__(self):
    self._shards = [_empty(FIRST) for _ in range(SHARDS)]
    self._counts = [0] * SHARDS

  def add(self, mark: int) -> bool:
    """Adds a fingerprint; returns whether it is new."""
    mark = mark or 1  # 0 is an empty place
    part = mark % SHARDS
    shard = self._shards[part]
    place = _find(shard, mark)
    if shard[place]:
      return False
    shard[place] = mark
    self._counts[part] += 1
    if self._counts[part] > FILLED * len(shard):
      grown = _empty(int(GROWTH * len(shard)))
      for entry in shard:
        if entry:
          grown[_find(grown, entry)] = entry
      self._shards[part] = grown
    return True


def _empty(places: int) -> array.array:
  return array.array('Q', bytes(8 * places))


def _find(shard: array.array, mark: int) -> int:
  """The place of a fingerprint, or the empty one that it would have."""
  place = mark // SHARDS % len(shard)
  while shard[place] and shard[place] != mark:
    place = (place + 1) % len(shard)
  return place
