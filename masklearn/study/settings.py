"""The plain arguments that a study's config asks for."""

from typing import Any

from masklearn import policies
from masklearn.data import corpus_options


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


def top_k(config, policy: str) -> int:
  """From how many of the best spans a policy draws each; 0 for all."""
  supervised = policies.POLICIES[policy].trained_by == 'supervise'
  return config.supervised.top_k if supervised else 0
