"""Fields of a config that contradict each other, each of which could be by itself."""

from masklearn import models, policies
from masklearn.data import FORMATS
from masklearn.study import plan, settings
from masklearn.text.tokenizer import SPECIAL_TOKENS
from masklearn.types import InputError, Specials


def check(config) -> None:
  """Refuses a study's config whose fields contradict each other.

  Raises:
    InputError: names one of them, the rule, and its value.
  """
  _check_model(config)
  _check_corpus(config)
  _check_shares(config.task)
  _check_policies(config)
  _check_batches(config)
  check_budget(config.recall)
  _check_learning(dict(config.learn), 'learn.')
  for ablation in config.study.ablations:
    prefix = f'study.ablations.{ablation}'
    _require(not set('@/') & set(ablation), prefix, 'must have no @ and no /', ablation)
    options = settings.learning(config, plan.ablation_kind(ablation))
    _check_learning(options, f'{prefix}.')


def check_encoder(c, prefix: str) -> None:
  """Refuses a checkpoint of another encoder than 'bert', and 'bert' without one."""
  _require(
    (c.encoder == 'bert') == bool(c.checkpoint),
    f'{prefix}checkpoint',
    "must be the directory of a BERT for the encoder 'bert', and '' for any other, "
    f'such as {c.encoder!r}',
    c.checkpoint,
  )


def check_budget(c) -> None:
  """Refuses hidden spans of more words than they are apart."""
  _require(
    c.words < c.every, 'recall.words', f'must be below recall.every, {c.every}', c.words
  )


def _require(holds, key, rule, value):
  if not holds:
    raise InputError(f'config.{key}: {rule}, got {value!r}.')


def _check_corpus(config):
  c, published = config.corpus, config.model.checkpoint
  _require(
    c.path or c.name not in FORMATS, 'corpus.path', f'corpus {c.name!r} needs path', ''
  )
  _require(
    not (c.tokenizer and published),
    'corpus.tokenizer',
    'must be empty, as a published model has its own',
    c.tokenizer,
  )
  least = 256 + len(SPECIAL_TOKENS[config.model.name])
  _require(
    c.tokenizer or published or c.vocabulary >= least,
    'corpus.vocabulary',
    f'must be at least {least}, the bytes and special tokens of a trained tokenizer',
    c.vocabulary,
  )


def _check_shares(c):
  _require(
    c.train_share + c.validation_share < 1 + 1e-9,
    'task.validation_share',
    f'must be at most 1 - task.train_share, 1 - {c.train_share:g}',
    c.validation_share,
  )


def _check_policies(config):
  c, study = config.policy, config.study
  check_encoder(c, 'policy.')
  trained = [one for one, entry in policies.POLICIES.items() if entry.trained_by]
  _require(
    c.reference in trained,
    'policy.reference',
    f'must be a policy that is trained, one of {", ".join(trained)}',
    c.reference,
  )
  entries = [policies.POLICIES[one] for one in settings.names(c.names)]
  own = [
    policies.POLICIES[c.reference].trained_by
    if 'reference' in e.needs
    else e.trained_by
    for e in entries
  ]
  _require(
    study.learned_seeds or set(own) != {'learn'},
    'study.learned_seeds',
    f'must be at least 1 where all policies are learned, as in {c.names!r}',
    study.learned_seeds,
  )
  targets = settings.names(study.targets)
  _require(
    len(study.target_seeds) == len(targets),
    'study.target_seeds',
    f'must be as many as study.targets, {len(targets)}',
    study.target_seeds,
  )


def _check_model(config):
  c = settings.model(config)
  published = c.pop('checkpoint')
  _require(
    config.base.updates or published,
    'base.updates',
    'must be at least 1 unless config.model.checkpoint is a published model',
    config.base.updates,
  )
  if not published:
    first = 0 if c['name'] == 'bart' else None
    try:
      models.model_config(vocab_size=4, ids=Specials(first, 1, 2, 3), **c)
    except InputError as error:
      raise InputError(f'config.model: {error}') from error


def _check_batches(config):
  saving = config.saving
  parts = saving.gradient_accumulation
  for stage in ('base', 'pretrain', 'finetune'):
    size = config[stage].batch_size
    _require(
      saving.packing or size % parts == 0 or not config[stage].updates,
      f'{stage}.batch_size',
      f'must be a multiple of saving.gradient_accumulation, {parts}',
      size,
    )


def _check_learning(c, prefix):
  uniform = c['uniform_share'] * c['candidates']
  _require(
    c['relaxation'] != 'mixture' or not uniform % 1,
    f'{prefix}uniform_share',
    f'must make a whole number with the candidates, {c["candidates"]}',
    c['uniform_share'],
  )
  _require(
    (c['relaxation'], c['baseline']) != ('score', 'others') or c['samples'] > 1,
    f'{prefix}samples',
    "must be at least 2 for the baseline 'others'",
    c['samples'],
  )
