"""T5's span corruption of a batch, against numpy one passage at a time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import model_sizes
from benchmarks.case import Case
from masklearn.policies import pretraining
from masklearn.training import corruption
from masklearn.types import Batch

SHAPES = {'tiny': (8, 64), 'small': (64, 256), 'base': (256, 512)}
RATE, MEAN = 0.15, 3.0
ROWS = 12_000  # whose statistics are compared, or a few more


def build(size: str, sides) -> Case:
  """Draw and corruption of full passages, source and target; new draws in every call.

  Both sides have to hide the same numbers of tokens in as many spans. Agreement is
  the largest difference of the shares of span lengths, and of hidden tokens in each
  sixteenth of a passage.
  """
  rows, length = SHAPES[size]
  ids = model_sizes.IDS['t5']
  rng = np.random.default_rng(0)
  tokens = rng.integers(110, 32_000, (rows, length)).astype(np.int32)
  hidden, spans = pretraining.t5_sizes(length, RATE, MEAN)[:, -1]
  capacity = int(hidden + spans) + 1
  calls = iter(range(1 << 30))

  def statistics(found):
    """Of sources [R, S] and targets [R, T] with the sentinels as ids beyond 110."""
    source, target = found
    marks = target < 110
    if not ((source < 110) & (source > 2)).sum() == (marks & (target > 2)).sum():
      raise AssertionError('A source and its target have different sentinels.')
    # A span's length is the distance of one marker to the next, or to `</s>`.
    row, place = np.nonzero(marks & (target > 0))
    same = row[1:] == row[:-1]
    lengths = (np.diff(place) - 1)[same]
    share = np.bincount(np.minimum(lengths, 12), minlength=13) / len(lengths)
    # Where a source's markers stand says where its spans begin.
    _, at = np.nonzero((source < 110) & (source > 2))
    begins = np.bincount(at * 16 // length, minlength=16) / len(at)
    return np.concatenate([share, begins])

  ours, peer, temp_bytes = None, None, 0
  if 'ours' in sides:
    word = np.broadcast_to(np.arange(length, dtype=np.int32), tokens.shape)
    none = np.zeros_like(tokens)
    valid = np.ones(tokens.shape, bool)
    batch = jax.tree.map(jnp.asarray, Batch(tokens, valid, word, none, none, none))
    policy = pretraining.t5_spans(RATE, MEAN)

    def draw_and_corrupt(key, batch):
      draw = policy.draw({}, key, batch)
      return corruption.corrupt(batch, draw, ids, 'spans', capacity)

    compiled = jax.jit(draw_and_corrupt).lower(jax.random.key(0), batch).compile()
    temp_bytes = compiled.memory_analysis().temp_size_in_bytes

    def ours():
      made = jax.block_until_ready(compiled(jax.random.key(next(calls)), batch))
      return np.asarray(made.source), np.asarray(made.target)

  if 'peer' in sides:
    peer = functools.partial(corrupt_each, tokens, rng, ids)

  def agree():
    pairs = []
    for side in (ours, peer):
      made = [side() for _ in range(-(-ROWS // rows))]
      pairs.append(statistics([np.concatenate(x) for x in zip(*made, strict=True)]))
    return float(np.abs(pairs[0] - pairs[1]).max())

  return Case(ours, peer, agree, 0.01, temp_bytes, tokens=rows * length)


def corrupt_each(tokens: np.ndarray, rng, ids) -> tuple[np.ndarray, np.ndarray]:
  """T5's corruption of each row of `tokens` [R, L], as its published code does it."""
  sentinels = np.array(ids.sentinels)
  made = [_corrupt(row, rng, sentinels, ids.eos) for row in tokens]
  return tuple(_pad(rows, ids.pad) for rows in zip(*made, strict=True))


def _corrupt(tokens, rng, sentinels, eos):
  noise = noise_mask(len(tokens), rng)
  begins = noise & ~np.concatenate([[False], noise[:-1]])
  number = np.cumsum(begins) - 1
  source = np.where(begins, sentinels[np.maximum(number, 0)], tokens)
  source = np.concatenate([source[~noise | begins], [eos]])
  places = np.flatnonzero(begins[noise])
  target = np.insert(tokens[noise], places, sentinels[: len(places)])
  return source, np.concatenate([target, [eos]])


def noise_mask(length: int, rng) -> np.ndarray:
  """The hidden ones of `length` tokens, [length] bool, by T5's random segments."""
  hidden, spans = pretraining.t5_sizes(length, RATE, MEAN)[:, -1]
  hides, shows = (_segments(n, spans, rng) for n in (hidden, length - hidden))
  lengths = np.stack([shows, hides], axis=1).reshape(-1)
  return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def _segments(total, count, rng):
  first = np.arange(total - 1) < count - 1
  rng.shuffle(first)
  return np.bincount(np.cumsum(np.concatenate([[0], first])))


def _pad(rows, pad):
  out = np.full((len(rows), max(map(len, rows))), pad, np.int32)
  for into, row in zip(out, rows, strict=True):
    into[: len(row)] = row
  return out


CASES = {'t5_mask': build}
