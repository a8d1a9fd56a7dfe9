"""Suites of `experiments.benchmark`: the same work, here and in a peer's code."""

from benchmarks import (
  generate,
  magic,
  mask,
  meta,
  train,
  units,
  unrolled_torch,
  weights,
)

# Suite -> case -> `build(size, sides) -> Case`, with `peer` where there are several.
SUITES = {
  'train': train.CASES,
  'generate': generate.CASES,
  'mask': mask.CASES,
  'meta': meta.CASES,
  'weights': weights.CASES,
  'units': units.CASES,
}
# The first is the one that is meant if none is named.
PEERS = {
  'train': ('torch',),
  'generate': ('torch',),
  'mask': ('numpy',),
  'meta': (*unrolled_torch.OUTER_LOSSES, *magic.PARTS, 'reverse'),
  'weights': (*magic.PARTS, 'reverse'),
  'units': ('gradient',),
}
