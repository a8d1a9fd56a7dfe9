"""What `experiments.benchmark` measures: the same work, here and in a peer's code."""

import difflib
from collections.abc import Mapping

from benchmarks import generate, mask, meta, train, units, unrolled_torch
from benchmarks.case import Case
from masklearn.types import InputError

# Suite -> case -> `build(size, sides) -> Case`, with `peer` where there are several.
SUITES = {
  'train': train.CASES,
  'generate': generate.CASES,
  'mask': mask.CASES,
  'meta': meta.CASES,
  'units': units.CASES,
}
# The first is the one that is meant if none is named.
PEERS = {
  'train': ('torch',),
  'generate': ('torch',),
  'mask': ('numpy',),
  'meta': (*unrolled_torch.OUTER_LOSSES, 'reverse'),
  'units': ('gradient',),
}


def lookup(table: Mapping, name: str, noun: str):
  """`table[name]`, or an error with the nearest names."""
  if name not in table:
    near = difflib.get_close_matches(name, table, n=1, cutoff=0)[0]
    raise InputError(
      f'{noun} must be one of {", ".join(table)}, got {name!r}; did you mean {near!r}?'
    )
  return table[name]


__all__ = ['PEERS', 'SUITES', 'Case', 'lookup']
