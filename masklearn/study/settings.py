"""What a study's config asks for: names that exist, and the policies that they mean."""

import pathlib
from typing import Any

from masklearn import policies
from masklearn.data import FORMATS
from masklearn.models import bert
from masklearn.study import plan
from masklearn.study.setup import Setup
from masklearn.types import Policy

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


def model(config) -> dict[str, Any]:
  """The arguments of the model, but for those that are left to its size."""
  return {key: value for key, value in config.model.items() if value is not None}


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
  return config.supervised.top_k if policy == 'supervised' else 0


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
      top=top(config, name),
    )
    for name in plan.TRAINED
  }
  for name, spec in specs.items():
    made[name] = policies.make_policy(spec, start=start)
  for name in plan.COMPARED:
    made[name] = policies.POLICIES[name](
      c.rate, reference=made[c.reference], top=top(config, c.reference)
    )
  return made, specs
