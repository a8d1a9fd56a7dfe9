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
  _check_unrelated(config)
  _check_shares(config.task)
  _check_policies(config)
  _check_batches(config)
  check_budget(config.recall)
  for group in ('finetune', 'supervised'):
    check_rates(config[group].learning_rates, f'{group}.learning_rates')
  check_rates(config.study.ablation_learning_rates, 'study.ablation_learning_rates')
  check_rates(config.study.exposures, 'study.exposures')
  _check_learning(dict(config.learn), 'learn.')
  for ablation in config.study.ablations:
    prefix = f'study.ablations.{ablation}'
    _require(not set('@/') & set(ablation), prefix, 'must have no @ and no /', ablation)
    options = settings.learning(config, plan.ablation_kind(ablation))
    _check_learning(options, f'{prefix}.')


def check_encoder(c, prefix: str) -> None:
  """Refuses a checkpoint of another encoder than 'bert', and 'bert' without one."""
  rule = (
    "must be the directory of a BERT for the encoder 'bert', and '' for any other, "
    f'such as {c.encoder!r}'
  )
  fits = (c.encoder == 'bert') == bool(c.checkpoint)
  _require(fits, f'{prefix}checkpoint', rule, c.checkpoint)


def check_budget(c) -> None:
  """Refuses hidden spans of more words than they are apart."""
  rule = f'must be below recall.every, {c.every}'
  _require(c.words < c.every, 'recall.words', rule, c.words)


def check_rates(rates, key: str) -> None:
  """Refuses numbers of which two are equal: each is tried, and has a folder."""
  names = [f'{rate:g}' for rate in rates]
  _require(len(set(names)) == len(names), key, 'must be distinct', tuple(rates))


def _require(holds, key, rule, value):
  if not holds:
    raise InputError(f'config.{key}: {rule}, got {value!r}.')


def _check_corpus(config):
  c, published = config.corpus, config.model.checkpoint
  known = c.path or c.name not in FORMATS
  _require(known, 'corpus.path', f'corpus {c.name!r} needs path', '')
  rule = 'must be empty, as a published model has its own'
  _require(not (c.tokenizer and published), 'corpus.tokenizer', rule, c.tokenizer)
  rule = 'must be 0 where a tokenizer is given, and not trained'
  given = c.tokenizer or published
  _require(not (c.entities and given), 'corpus.entities', rule, c.entities)
  rule = f'must be corpus.towns, {c.towns}, in which the same people live'
  same = config.task.towns == c.towns or c.name != 'people'
  _require(same, 'task.towns', rule, config.task.towns)
  least = 256 + len(SPECIAL_TOKENS[config.model.name])
  enough = c.tokenizer or published or c.vocabulary >= least
  rule = (
    f'must be at least {least}, the bytes and special tokens of a trained tokenizer'
  )
  _require(enough, 'corpus.vocabulary', rule, c.vocabulary)


def _check_unrelated(config):
  changes, c = dict(config.study.unrelated), settings.unrelated(config)
  wanted = set(settings.names(config.study.corpora)) - {'own'}
  rule = 'must say how it differs from config.corpus, unless config.base.apart is True'
  enough = changes or config.base.apart or not wanted
  _require(enough, 'study.unrelated', rule, changes)
  known = c['path'] or c['name'] not in FORMATS
  rule = f'corpus {c["name"]!r} needs path'
  _require(known, 'study.unrelated.path', rule, c['path'])


def _check_shares(c):
  rule = f'must be at most 1 - task.train_share, 1 - {c.train_share:g}'
  fits = c.train_share + c.validation_share < 1 + 1e-9
  _require(fits, 'task.validation_share', rule, c.validation_share)


def _check_policies(config):
  c, study = config.policy, config.study
  check_encoder(c, 'policy.')
  trained = [one for one, entry in policies.POLICIES.items() if entry.trained_by]
  rule = f'must be a policy that is trained, one of {", ".join(trained)}'
  _require(c.reference in trained, 'policy.reference', rule, c.reference)
  taught = [plan.teacher(one, c.reference) for one in settings.names(c.names)]
  learned = [one and policies.POLICIES[one].trained_by == 'learn' for one in taught]
  rule = f'must be at least 1 where all policies are learned, as in {c.names!r}'
  seeds = study.learned_seeds
  _require(seeds or not all(learned), 'study.learned_seeds', rule, seeds)
  deployed = study.ablations if study.deploy_ablations else ()
  rule = 'must be False without study.ablations, or with study.ablation_seeds of 0'
  fits = not study.deploy_ablations or (deployed and study.ablation_seeds)
  _require(fits, 'study.deploy_ablations', rule, study.deploy_ablations)
  primary, known = settings.names(study.primary), list(settings.names(c.names))
  known += map(plan.ablation_kind, deployed)
  rule = f'must be two of {", ".join(known)}, with a comma, or empty'
  fits = len(primary) in (0, 2) and set(primary) <= set(known)
  _require(fits, 'study.primary', rule, study.primary)
  rule = "must be at least 1 unless study.targets is 'spans', which asks for them"
  spans = config.finetune.updates or settings.names(study.targets) == ('spans',)
  _require(spans, 'finetune.updates', rule, config.finetune.updates)
  count, seeds = len(settings.names(study.targets)), study.target_seeds
  rule = f'must be as many as study.targets, {count}'
  _require(len(seeds) == count, 'study.target_seeds', rule, seeds)


def _check_model(config):
  c = settings.model(config)
  published = c.pop('checkpoint')
  rule = 'must be at least 1 unless config.model.checkpoint is a published model'
  updates = config.base.updates
  _require(updates or published, 'base.updates', rule, updates)
  if not published:
    first = 0 if c['name'] == 'bart' else None
    try:
      models.model_config(vocab_size=4, ids=Specials(first, 1, 2, 3), **c)
    except InputError as error:
      raise InputError(f'config.model: {error}') from error


def _check_batches(config):
  saving = config.saving
  parts = saving.gradient_accumulation
  data, fsdp = config.mesh.data or 1, config.mesh.fsdp
  devices = f'{data} x {fsdp} devices of config.mesh'
  rule = f'must be a multiple of saving.gradient_accumulation, {parts}'
  for stage in ('base', 'pretrain', 'finetune'):
    size = config[stage].batch_size
    whole = saving.packing or size % parts == 0 or not config[stage].updates
    _require(whole, f'{stage}.batch_size', rule, size)
  for key, (size, each) in settings.shared_sizes(config).items():
    by = f' times saving.gradient_accumulation, {each}' if each > 1 else ''
    shared = f'{data} devices of config.mesh.data' if 'episodes' in key else devices
    rule = f'must be a multiple of the {shared}{by}'
    _require(settings.fits(key, size, each, data, fsdp), key, rule, size)


def _check_learning(c, prefix):
  share, samples = c['uniform_share'], c['samples']
  rule = f'must make a whole number with the candidates, {c["candidates"]}'
  whole = c['relaxation'] != 'mixture' or not share * c['candidates'] % 1
  _require(whole, f'{prefix}uniform_share', rule, share)
  one, other = c['inner_optimizer'], c['fine_tune_optimizer']
  rate = c['fine_tune_learning_rate']
  rule = f'must be above 0, as a learning rate of {one!r} says nothing about {other!r}'
  alike = other in ('', one) or not c['fine_tune_steps']
  _require(rate or alike, f'{prefix}fine_tune_learning_rate', rule, rate)
  others = (c['relaxation'], c['baseline']) == ('score', 'others')
  rule = "must be at least 2 for the baseline 'others'"
  _require(samples > 1 or not others, f'{prefix}samples', rule, samples)
  rule = "must be '' in mode 'implicit', which solves for all parameters"
  fits = c['mode'] != 'implicit' or not c['trainable']
  _require(fits, f'{prefix}trainable', rule, c['trainable'])
