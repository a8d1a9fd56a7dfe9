"""The plain arguments that a study's config asks for."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from masklearn import policies
from masklearn.data import corpus_options

CORPORA = 'own', 'unrelated', 'mixed'  # what intermediate pre-training may be on


class Setting(NamedTuple):
  """How long intermediate pre-training is, and what it is on."""

  exposures: float = 0.0  # samples of each passage; 0 for `pretrain.updates`
  corpus: str = 'own'  # of `CORPORA`


def names(text: str) -> tuple[str, ...]:
  """The names of a list such as 'random, salient'."""
  return tuple(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))


def model(config) -> dict[str, Any]:
  """The arguments of the model, but for those that are left to its size."""
  return {key: value for key, value in config.model.items() if value is not None}


def corpus(c: Mapping[str, Any]) -> dict[str, Any]:
  """The fields that a corpus has an argument for.

  Args:
    c: all that it has: `config.corpus`, or `unrelated`.
  """
  return {key: c[key] for key in corpus_options(c['name']) if key in c}


def unrelated(config) -> dict[str, Any]:
  """The fields of the corpus that has nothing to do with the tasks."""
  return {**config.corpus, **config.study.unrelated}


def pretraining(config) -> dict[str, Setting]:
  """The settings of intermediate pre-training by name, '' for the main one."""
  exposed = {f'x{n:g}': Setting(exposures=n) for n in config.study.exposures}
  others = [name for name in names(config.study.corpora) if name != Setting().corpus]
  return {'': Setting(), **exposed, **{name: Setting(corpus=name) for name in others}}


def shared_sizes(config) -> dict[str, tuple[int, int]]:
  """The sizes that devices share: key -> (size, of how many parts).

  Rows of batches are shared by all devices, episodes by `data` alone: those keys end in
  'episodes'.
  """
  parts, packed = config.saving.gradient_accumulation, config.saving.packing
  found = {}
  for stage in ('base', 'pretrain', 'finetune'):
    if config[stage].updates and not packed:  # Packed rows come in any number.
      found[f'{stage}.batch_size'] = config[stage].batch_size, parts
  kinds = [*names(config.policy.names), config.policy.reference]
  trained = {policies.POLICIES[name].trained_by for name in kinds}
  if 'supervise' in trained:
    found['supervised.batch_size'] = config.supervised.batch_size, 1
  if 'learn' in trained or config.study.ablations:
    found['learn.warmup.batch_size'] = config.learn.warmup.batch_size, 1
    found['learn.episodes'] = config.learn.episodes, 1
  for name, changes in config.study.ablations.items():
    if 'episodes' in changes:
      found[f'study.ablations.{name}.episodes'] = changes['episodes'], 1
    if 'batch_size' in changes.get('warmup', {}):
      size = changes['warmup']['batch_size']
      found[f'study.ablations.{name}.warmup.batch_size'] = size, 1
  return found


def fits(key: str, size: int, parts: int, data: int, fsdp: int) -> bool:
  """Whether the devices of a mesh can share one of `shared_sizes` in equal parts."""
  count = data if key.endswith('episodes') else data * fsdp
  return size % (count * parts) == 0


def mesh(config, devices: int) -> dict[str, int]:
  """The mesh; if its `data` is 0, as many devices as can share everything.

  Args:
    config: of the study.
    devices: how many there are.
  """
  data, fsdp = config.mesh.data, config.mesh.fsdp
  sizes = shared_sizes(config).items()

  def all_fit(count):
    return all(fits(key, *size, count, fsdp) for key, size in sizes)

  counts = range(devices // fsdp, 0, -1)
  data = data or next(filter(all_fit, counts), 1)
  return {'data': data, 'fsdp': fsdp, 'smallest': config.mesh.smallest}


def learning(config, kind: str) -> dict[str, Any]:
  """The options of a policy that is learned, by its kind.

  Args:
    config: of the study.
    kind: 'POLICY', 'POLICY_ABLATION' or 'POLICY_ABLATION@RATE'; an ablation is a key of
      `config.study.ablations`.
  """
  options = dict(config.learn) | {'warmup': dict(config.learn.warmup)}
  if kind in policies.POLICIES:
    return options
  kind, _, rate = kind.partition('@')
  names = [n for n in config.study.ablations if kind.endswith(f'_{n}')]
  if names:
    options |= dict(config.study.ablations[max(names, key=len)])
  return options | ({'learning_rate': float(rate)} if rate else {})


def top_k(config, policy: str) -> int:
  """From how many of the best spans a policy draws each; 0 for all."""
  supervised = policies.POLICIES[policy].trained_by == 'supervise'
  return config.supervised.top_k if supervised else 0
