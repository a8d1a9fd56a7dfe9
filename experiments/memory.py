"""The memory that work takes on a device, by compiling it and not running it.

python -m experiments.memory --config=configs/bart_large.py:zsre \
  --topology=v5e:4x4 --config.mesh.fsdp=16 --stages=pre-training,fine-tuning,probe
python -m experiments.memory --size=small --rows=32
python -m experiments.memory --size=base --rows=32 --topology=v5e:2x2
python -m experiments.memory --work=meta --size=small --steps=1,4,8,16,32
python -m experiments.memory --work=meta --size=large --topology=v5e:4x4 \
  --relaxation=mixture --estimators=low

With a config, the stages of its study as they are, or some of them, with optimizer and
state, on its mesh of these devices. Without one, parts of it: `train` is a training
step with AdamW and dropout, with each way to save memory; `meta` the meta-gradients of
one episode a device, K = `--steps`, J = 1, by each estimator. A line of JSON for each
goes to stdout, with XLA's bytes on a device: this machine, or one of TPUs that need not
be there (`--topology`, with the extra `tpu`).
"""

import itertools
import json

import jax
from jax.experimental import topologies

from benchmarks import bilevel, memory_use, model_sizes, study_memory
from benchmarks.case import whole
from experiments import app
from masklearn.io import provenance
from masklearn.io.lookup import check_name, lookup
from masklearn.meta.estimators import RELAXATIONS
from masklearn.study import settings
from masklearn.types import InputError

CHUNK = 256


def main(
  work='train',
  size='small',
  rows='32',
  steps='1',
  relaxation='soft',
  estimators='low,fast,reverse',
  topology='',
  config='',
  stages='',
):
  """Compiles the work in every variant, and prints what it takes."""
  if config:
    devices = _devices(topology) if topology else jax.devices()
    for line in study_memory.stages(config, devices, settings.names(stages)):
      _print(line, topology)
    return
  works = {'train': memory_use.training, 'meta': memory_use.policy_learning}
  find = lookup(works, work, 'work')
  lookup(model_sizes.VOCABULARY, size, 'size')
  check_name([n for n in RELAXATIONS if n != 'score'], relaxation, 'relaxation')
  for name in estimators.split(','):
    lookup(bilevel.ESTIMATORS, name, 'estimators')
  variants = {
    'train': [
      {'rows': whole('rows', rows), 'remat': remat, 'chunk': chunk}
      for remat, chunk in itertools.product((False, True), (0, CHUNK))
    ],
    'meta': [
      {'relaxation': relaxation, 'steps': whole('steps', count), 'estimator': name}
      for count, name in itertools.product(steps.split(','), estimators.split(','))
    ],
  }[work]
  devices = _devices(topology) if topology else None
  for variant in variants:
    found = find(size, **variant, devices=devices)
    line = {'work': work, 'size': size, **variant, **found}
    _print(line, topology)


def _print(line, topology):
  line = line | {'topology': topology or jax.default_backend()}
  print(json.dumps(line | {'commit': provenance.commit()}), flush=True)


def _devices(topology):
  try:
    return topologies.get_topology_desc(topology, 'tpu').devices
  except (RuntimeError, ValueError, NotImplementedError) as error:  # as JAX says it
    raise InputError(
      f'--topology={topology} must name TPUs, such as v5e:2x2, and needs the extra '
      f'`tpu`: {" ".join(str(error).split()):.200}'
    ) from error


if __name__ == '__main__':
  app.run(main)
