"""What a study's config asks for: names that exist, and the policies that they mean."""

import pathlib
from typing import Any

from masklearn import policies
from masklearn.data import CORPORA, FORMATS
from masklearn.io.lookup import check_name
from masklearn.meta import estimators, inner, unroll
from masklearn.models import bert
from masklearn.study import plan
from masklearn.study.setup import Setup
from masklearn.text import annotators
from masklearn.types import InputError, Policy

# Policies that need nothing but a rate.
PLAIN = 'random', 'whole_word', 'random_token', 'salient', 'pmi_span', 'oracle'
# The fields of config.corpus that each corpus has a use for.
CORPUS_OPTIONS = {
  'world': ('copies',),
  'people': ('size', 'copies'),
  **dict.fromkeys(FORMATS, ('path', 'words', 'annotator', 'runner', 'beam')),
}


def names(text: str) -> tuple[str, ...]:
  """The names of a list such as 'random, salient'."""
  return tuple(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))


def check(config) -> None:
  """Refuses names that do not exist, before anything is written or trained.

  Raises:
    InputError: names the nearest ones that do.
  """
  c = config.policy
  known = policies.POLICIES
  for name in names(c.names):
    check_name(known, name, 'policy')
  check_name(CORPORA, config.corpus.name, 'corpus')
  annotators.check(config.corpus.annotator)
  check_name(policies.ENCODERS, c.encoder, 'encoder of a policy')
  if (c.encoder == 'bert') != bool(c.checkpoint):
    raise InputError(
      "config.policy.checkpoint is the directory of the encoder 'bert' and of no "
      f'other, got encoder {c.encoder!r} and checkpoint {c.checkpoint!r}.'
    )
  check_name(plan.TRAINED, c.reference, 'reference')
  if not config.base.updates and not config.model.checkpoint:
    raise InputError(
      'Only a published model, config.model.checkpoint, can do without training: '
      'config.base.updates must be at least 1, got 0.'
    )
  tables = {
    'relaxation': estimators.NUMBERS,
    'mode': unroll.MODES,
    'inner_optimizer': inner.OPTIMIZERS,
  }
  for kind in ('learned', *(f'learned_{name}' for name in config.study.ablations)):
    options = learning(config, kind)
    for name in options:
      check_name(config.learn, name, 'field of config.learn')
    for name, table in tables.items():
      check_name(table, options[name], name)


def corpus(config) -> dict[str, Any]:
  """The arguments of the corpus."""
  c = config.corpus
  return {key: c[key] for key in CORPUS_OPTIONS.get(c.name, ())}


def learning(config, kind: str) -> dict[str, Any]:
  """The options of a kind: 'learned', 'learned_OTHER' or 'learned_OTHER@RATE'."""
  options = dict(config.learn) | {'warmup': dict(config.learn.warmup)}
  name, _, rate = kind.removeprefix('learned').removeprefix('_').partition('@')
  options |= dict(config.study.ablations[name]) if name else {}
  return options | ({'learning_rate': float(rate)} if rate else {})


def top(config, policy: str) -> int:
  """From how many spans a policy draws each; 0 for all."""
  return config.supervised.top if policy == 'supervised' else 0


def make_policies(
  config, setup: Setup
) -> tuple[dict[str, Policy], dict[str, dict[str, Any]]]:
  """Returns all policies, and of those that are trained what policy.json says.

  See `stored.describe`.
  """
  c = config.policy
  made = {name: policies.POLICIES[name](c.rate) for name in PLAIN}
  made['original'] = policies.POLICIES['original'](ids=setup.tokenizer.specials)
  shape = start = None
  if c.encoder == 'bert':
    shape, start = bert.load(pathlib.Path(c.checkpoint), setup.tokenizer.specials)
  specs = {
    name: policies.describe_policy(
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
      top_k=top(config, name),
    )
    for name in plan.TRAINED
  }
  for name, spec in specs.items():
    made[name] = policies.make_policy(spec, start=start)
  for name in plan.COMPARED:
    made[name] = policies.POLICIES[name](
      c.rate, reference=made[c.reference], top_k=top(config, c.reference)
    )
  return made, specs
