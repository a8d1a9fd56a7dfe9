"""The arguments and policies that a study's config asks for."""

import pathlib
from collections.abc import Iterable
from typing import Any

from masklearn import policies
from masklearn.data import corpus_options
from masklearn.meta.estimators import Estimator
from masklearn.models import bert
from masklearn.study import plan
from masklearn.study.learn import Learning
from masklearn.study.setup import Setup
from masklearn.study.warmup import Warmup
from masklearn.types import Policy


def names(text: str) -> tuple[str, ...]:
  """The names of a list such as 'random, salient'."""
  return tuple(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))


def model(config) -> dict[str, Any]:
  """The arguments of the model, but for those that are left to its size."""
  return {key: value for key, value in config.model.items() if value is not None}


def corpus(config) -> dict[str, Any]:
  """The fields that the corpus has an argument for."""
  c = config.corpus
  return {key: c[key] for key in corpus_options(c.name) if key in c}


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


def learning_of(config, kind: str) -> tuple[Learning, bool]:
  """The same as numbers for `learn_policy`, and whether answers are shuffled."""
  options = learning(config, kind)
  shuffled = options.pop('shuffled')
  estimator = Estimator(**{name: options.pop(name) for name in Estimator._fields})
  for name in ('temperature', 'entropy_coefficient'):
    options[name] = tuple(options[name])
  return Learning(
    rate=config.policy.rate,
    longest=config.policy.longest,
    target='spans',
    estimator=estimator,
    warmup=Warmup(**options.pop('warmup')),
    **options,
  ), shuffled


def top_k(config, policy: str) -> int:
  """From how many of the best spans a policy draws each; 0 for all."""
  supervised = policies.POLICIES[policy].trained_by == 'supervise'
  return config.supervised.top_k if supervised else 0


def make_policies(
  config, names: Iterable[str], setup: Setup
) -> tuple[dict[str, Policy], dict[str, dict[str, Any]]]:
  """The policies of a study by name, and what policy.json says of the trained ones.

  Args:
    config: of the study.
    names: of policies; those that they need are made, too.
    setup: with the tokenizer and the model.
  """
  made, specs = {}, {}
  for name in names:
    taught = plan.teacher(name, config.policy.reference)
    if taught and taught not in made:
      made[taught], specs[taught] = _trained(config, taught, setup)
  for name in names:
    entry = policies.POLICIES[name]
    if not entry.make or name in made:
      continue
    rate, given = [config.policy.rate], {}
    if 'specials' in entry.needs:  # It has a rate of its own, and takes no other.
      rate, given = [], {'ids': setup.tokenizer.specials}
    if 'reference' in entry.needs:
      reference = config.policy.reference
      given |= {'reference': made[reference], 'top_k': top_k(config, reference)}
    made[name] = entry(*rate, **given)
  return made, specs


def _trained(config, name, setup):
  c = config.policy
  shape = start = None
  if c.encoder == 'bert':
    shape, start = bert.load(pathlib.Path(c.checkpoint), setup.tokenizer.specials)
  spec = policies.describe_policy(
    name,
    c.rate,
    config.corpus.annotator,
    vocab_size=setup.tokenizer.size,
    longest=c.longest,
    width=c.width,
    kernel_size=c.kernel_size,
    embedding=setup.model.config.width,
    encoder=c.encoder,
    bert=shape,
    top_k=top_k(config, name),
  )
  return policies.make_policy(spec, start=start), spec
