"""How much memory a training step needs beside its arguments, without running it.

python -m experiments.memory --size=small --rows=32
python -m experiments.memory --size=base --rows=32 --topology=v5e:2x2

The step of BART, with AdamW and dropout, is compiled for this machine, or for one chip
of a TPU that need not be there: `--topology` takes the extra `tpu`. A line of JSON for
each way to save memory goes to stdout, with XLA's bytes of arguments and temporaries.
"""

import itertools
import json

import jax
from jax.experimental import topologies

from experiments import app, suites
from experiments.suites import needs, shapes
from masklearn import provenance
from masklearn.types import InputError

CHUNK = 256


def main(size='small', rows='32', topology=''):
  """Compiles the step plainly, with chunks, with rematerialised layers, and both."""
  suites.lookup(dict.fromkeys(shapes.SIZES), size, 'size')
  if not rows.isdigit() or int(rows) == 0:
    raise InputError(f'rows must be a whole number above 0, got {rows!r}.')
  device = None
  if topology:
    device = topologies.get_topology_desc(topology, 'tpu').devices[0]
  for remat, chunk in itertools.product((False, True), (None, CHUNK)):
    found = needs.measure(size, int(rows), remat, chunk, device)
    line = {'size': size, 'rows': int(rows), 'remat': remat, 'chunk': chunk or 0}
    line |= {'topology': topology or jax.default_backend(), **found}
    print(json.dumps(line | {'commit': provenance.commit()}), flush=True)


if __name__ == '__main__':
  app.run(main)
