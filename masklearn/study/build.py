"""The policies of a study, and how each is learned, as its config asks for them."""

import pathlib
from collections.abc import Iterable
from typing import Any

from masklearn import policies
from masklearn.meta.estimators import Estimator
from masklearn.models import bert
from masklearn.study import plan, settings
from masklearn.study.learn import Learning
from masklearn.study.setup import Setup
from masklearn.study.warmup import Warmup
from masklearn.types import Policy, Specials


def learning_of(config, kind: str) -> tuple[Learning, bool]:
  """The same as numbers for `learn_policy`, and whether answers are shuffled."""
  options = settings.learning(config, kind)
  shuffled = options.pop('shuffled')
  estimator = Estimator(**{name: options.pop(name) for name in Estimator._fields})
  for name in ('temperature', 'entropy_weight'):
    options[name] = tuple(options[name])
  return Learning(
    rate=config.policy.rate,
    longest=config.policy.longest,
    target='spans',
    estimator=estimator,
    warmup=Warmup(**options.pop('warmup')),
    **options,
  ), shuffled


def planned(config) -> tuple[list[plan.Cell], list[plan.Ablation]]:
  """The cells of a study in all its settings, and the ablations of policy learning."""
  c, task_names = config.study, settings.names(config.task.names)
  targets = settings.names(c.targets)
  seeds = range(config.seed, config.seed + c.seeds)
  besides = plan.ablations(
    task_names,
    c.ablations,
    seeds[: c.ablation_seeds],
    c.ablation_learning_rates,
    c.deploy_ablations,
  )
  cells = plan.cells(
    task_names,
    settings.names(config.policy.names),
    dict(zip(targets, c.target_seeds, strict=True)),
    seeds,
    c.learned_seeds,
    c.transfer_seeds,
    config.policy.reference,
  )
  others = [setting for setting in settings.pretraining(config) if setting]
  cells += plan.in_settings(cells, others, targets[0])
  if c.deploy_ablations:
    cells += plan.deployed(besides, targets[0])
  return cells, besides


def make_policies(
  config, names: Iterable[str], setup: Setup
) -> tuple[dict[str, Policy], dict[str, dict[str, Any]]]:
  """The policies of a study by name, and policy.json of those with parameters.

  Args:
    config: of the study.
    names: of policies; those that they need are made, too.
    setup: with the tokenizer and the model.
  """
  made, specs = {}, {}
  for name in names:
    taught = plan.teacher(name, config.policy.reference)
    if taught and taught not in made:
      used = setup.tokenizer
      given = used.size, used.specials, setup.model.config.width
      passages = len(setup.passages)
      made[taught], specs[taught] = trained(config, taught, *given, passages)
  after = [entry.after for name in made if (entry := policies.POLICIES[name]).after]
  for name in (*names, *after):
    entry = policies.POLICIES[name]
    if not entry.make or name in made:
      continue
    rate, given = [config.policy.rate], {}
    if 'specials' in entry.needs:  # It has a rate of its own, and takes no other.
      rate, given = [], {'ids': setup.tokenizer.specials}
    if 'reference' in entry.needs:
      reference = config.policy.reference
      top_k = settings.top_k(config, reference)
      given |= {'reference': made[reference], 'top_k': top_k}
    made[name] = entry(*rate, **given)
  return made, specs


def trained(
  config, name: str, vocab_size: int, ids: Specials, width: int, passages: int = 0
) -> tuple[Policy, dict[str, Any]]:
  """A policy with parameters, and what policy.json says of it.

  Args:
    config: of the study.
    name: of the policy.
    vocab_size: of the tokenizer.
    ids: its special tokens.
    width: of the model's embedding.
    passages: of the corpus.
  """
  c = config.policy
  tables = {
    'count': {'entries': c.entries, 'longest': c.longest},
    'score': {'passages': passages, 'words': config.corpus.longest},
  }
  if sizes := tables.get(policies.POLICIES[name].trained_by):
    spec = policies.describe_policy(name, c.rate, config.corpus.annotator, **sizes)
    return policies.make_policy(spec), spec
  shape = start = None
  if c.encoder == 'bert':
    shape, start = bert.load(pathlib.Path(c.checkpoint), ids)
  spec = policies.describe_policy(
    name,
    c.rate,
    config.corpus.annotator,
    vocab_size=vocab_size,
    longest=c.longest,
    width=c.width,
    kernel_size=c.kernel_size,
    embedding=width,
    encoder=c.encoder,
    bert=shape,
    top_k=settings.top_k(config, name),
  )
  return policies.make_policy(spec, start=start), spec
