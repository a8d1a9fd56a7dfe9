"""The fields of a config and what they may be; every config file and its variants."""

import importlib
import json
import pathlib

import pytest
from flax import traverse_util
from ml_collections import config_dict

from experiments import prepare_corpus
from masklearn import models, tasks
from masklearn.io import provenance
from masklearn.study import config, recall_config, settings
from masklearn.types import InputError, Specials
from tests.runs import command

ROOT = pathlib.Path(__file__).parents[1]
ALL = sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))
STUDIES = [name for name in ALL if name != 'recall']
PUBLISHED = ('bart_base', 'bart_large', 't5_base')
VARIANT = {'world': (), 'recall': ('scratch',)}
NAN, INF = float('nan'), float('inf')
# Where 0 has a meaning: none, all, or as it is.
ZERO = {
  'seed', 'corpus.words', 'task.validation_share', 'learn.uniform_share',
  'learn.token_dropout', 'learn.entropy_weight', 'learn.damping',
  'learn.fine_tune_steps', 'base.weight_decay', 'supervised.top_k',
  'supervised.least_loss',
  'supervised.weight_decay', 'pretrain.weight_decay', 'finetune.weight_decay',
  'saving.packing', 'saving.chunk', 'mesh.data', 'mesh.smallest',
  'mesh.processes', 'learn.fine_tune_learning_rate', 'corpus.repeats', 'corpus.hints',
  'corpus.first', 'corpus.classes_after', 'corpus.told', 'corpus.towns', 'task.first',
  'corpus.entities', 'task.choices', 'task.towns', 'finetune.updates',
  'study.learned_seeds', 'study.transfer_seeds', 'study.ablation_seeds', 'top_k',
  'networks.scratch.vocabulary',
}  # fmt: skip


def leaves(config):
  """Every dotted key of a config that holds a value, with the value."""
  return traverse_util.flatten_dict(config.to_dict(), sep='.').items()


def from_file(name, *variant):
  """The config of a file in configs/."""
  return importlib.import_module(f'configs.{name}').get_config(*variant).lock()


def changed(key, value, kind='world'):
  """The config of a file with one other value, of any type."""
  c = from_file(kind, *VARIANT[kind])
  with c.ignore_type():
    c.update_from_flattened_dict({key: value})
  return c


def refused(c, message):
  """The config of a study cannot be run, for this reason."""
  with pytest.raises(InputError, match=message):
    config.check(c)


def bad(value, zero):
  """What a field with such a value must refuse."""
  if isinstance(value, str):
    return [NAN, -1, 0, None]
  if isinstance(value, bool):
    return [NAN, -1, 0, 'x', None]
  numbers = [NAN, INF, -1, 'x', *([] if zero else [0])]
  if isinstance(value, tuple):
    count = max(1, len(value))
    return [NAN, 'x', None, *((item,) * count for item in [*numbers, True])]
  if isinstance(value, float):  # a ConfigDict makes one of a whole number
    return [float(x) if isinstance(x, int) else x for x in [*numbers, ()]]
  return [*numbers, True, ()]


@pytest.mark.parametrize(
  ('kind', 'key', 'value'),
  [
    (kind, key, value)
    for kind, variant in VARIANT.items()
    for key, value in leaves(from_file(kind, *variant))
  ],
)
def test_every_field_refuses_what_it_cannot_be(kind, key, value):
  """Not a number, below zero, zero, text: each in one line with key, rule and value."""
  check = recall_config.check if kind == 'recall' else config.check
  for wrong in bad(value, key in ZERO):
    with pytest.raises(InputError) as error:
      check(changed(key, wrong, kind))
    said = str(error.value)
    assert said.startswith(f'config.{key}: ')
    assert repr(wrong) in said
    assert '\n' not in said
  if key in ZERO:
    check(changed(key, (0,) * len(value) if isinstance(value, tuple) else 0, kind))


@pytest.mark.parametrize(
  ('key', 'value', 'message'),
  [
    ('base.updates', 0, 'at least 1 unless config.model.checkpoint'),
    ('corpus.annotator', 'spacy', 'rules, corpus, none or spacy:MODEL'),
    ('corpus.name', 'wikipedia', "config.corpus.path: corpus 'wikipedia' needs path"),
    ('corpus.name', 'wrold', "did you mean 'world'"),
    ('corpus.vocabulary', 260, 'must be at least 261'),
    ('finetune.learning_rates', (), 'a tuple of at least 1 numbers'),
    ('finetune.learning_rates', (1e-3, 1.0000001e-3), 'must be distinct, got'),
    ('learn.baseline', 'other', "did you mean 'others'"),
    ('mesh.data', 3, 'base.batch_size: must be a multiple of the 3 x 1 devices'),
    ('mesh.fsdp', 32, 'base.batch_size: must be a multiple of the 1 x 32 devices'),
    ('learn.candidates', 10, 'uniform_share: must make a whole number .* 10, got 0.25'),
    ('learn.inner_optimizer', 'adamw', "did you mean 'adam'"),
    ('learn.fine_tune_optimizer', 'sdg', "did you mean 'sgd'"),
    ('learn.memory', 'lov', "did you mean 'low'"),
    ('learn.mode', 'reversed', "did you mean 'reverse'"),
    ('learn.relaxation', 'mixtur', "did you mean 'mixture'"),
    ('learn.solver', 'gc', "did you mean 'cg'"),
    ('learn.temperature', (1.0, 0.5, 0.3), 'a tuple of 2 numbers'),
    ('learn.trainable', '(', 'a regular expression'),
    ('model.dtype', 'bf16', "did you mean 'bfloat16'"),
    ('model.encoder_heads', 3, 'width must be a multiple of encoder_heads'),
    ('model.name', 't6', "did you mean 't5'"),
    ('model.size', 'tinny', "did you mean 'tiny'"),
    ('seed', 2**31, r'a whole number in \[0, 2147483648\), got 2147483648'),
    ('study.ablation_learning_rates', (1e-3, 1e-3), 'must be distinct, got'),
    ('supervised.learning_rates', (1e-3, 1e-3), 'must be distinct, got'),
    ('policy.checkpoint', 'bert', "'' for any other, such as 'conv', got 'bert'"),
    ('policy.encoder', 'bert', "config.policy.checkpoint: .*, got ''"),
    ('policy.names', 'none,learnd', "did you mean 'learned'"),
    ('policy.names', ' , ', 'must name at least one policy'),
    ('policy.rate', 1.5, r'a number in \(0, 1\), got 1.5'),
    ('policy.reference', 'random', 'that is trained, one of answer_vocabulary'),
    ('recall.words', 20, 'below recall.every, 20'),
    ('study.deploy_ablations', True, 'must be False without study.ablations'),
    ('saving.gradient_accumulation', 3, 'base.batch_size: .*accumulation, 3, got 16'),
    ('study.seeds', 1.0, 'a whole number'),
    ('study.exposures', (10, 10.0), 'study.exposures: must be distinct'),
    ('study.corpora', 'own,unrelatd', "did you mean 'unrelated'"),
    ('study.corpora', 'mixed', 'study.unrelated: must say how it differs .* got {}'),
    ('study.target_seeds', (1, 1), r'as many as study.targets, 1, got \(1, 1\)'),
    ('study.targets', 'spans,evil', "Unknown target 'evil'"),
    ('task.names', 'civic', "did you mean 'civics'"),
    ('task.train_share', 0.9, r'at most 1 - task.train_share, 1 - 0.9, got 0.2'),
  ],
)
def test_fields_that_contradict_each_other_are_refused(key, value, message):
  """And names that do not exist, with the nearest that does."""
  refused(changed(key, value), message)


def test_a_batch_that_is_packed_need_not_be_divisible():
  """Packing rounds the rows of a batch itself."""
  c = from_file('world')
  c.base.batch_size = 15  # any size is right until it is taken apart
  config.check(c)
  c.saving.gradient_accumulation = 2
  refused(c, 'base.batch_size: must be a multiple of saving')
  c.saving.packing = 256
  config.check(c)


def test_only_a_published_model_does_without_training_and_vocabulary():
  """It brings both; what its size says does not matter then."""
  c = from_file('world')
  c.base.updates = c.corpus.vocabulary = 0
  c.model.checkpoint = 'somewhere'
  config.check(c)
  c.corpus.tokenizer = 'mine'
  refused(c, r'corpus\.tokenizer: must be empty')


def test_only_spans_are_asked_for_without_fine_tuning():
  """A model that restores whole passages does not answer with a span."""
  c = from_file('world')
  c.finetune.updates = 0
  config.check(c)
  c.study.targets = 'full'
  refused(c, "finetune.updates: must be at least 1 unless study.targets is 'spans'")


def test_a_study_of_nothing_is_refused():
  """Where every policy is learned, and no seed learns one."""
  c = from_file('world')
  c.study.learned_seeds = 0
  config.check(c)
  c.policy.names = 'learned,random_span'
  refused(c, 'learned_seeds: must be at least 1 where all')
  c.policy.reference = 'supervised'
  config.check(c)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'updats': 3}, 'no such field; nearest: config.study.ablations.mine.updates'),
    (
      {'entropy_coefficient': (0.1, 0.0)},
      r'renamed; use config.study.ablations.mine.entropy_weight \(of entropy / log',
    ),
    ({'updates': 0}, 'ablations.mine.updates: must be a whole number'),
    ({'candidates': 5}, 'ablations.mine.uniform_share: must make a whole number'),
    (
      {'mode': 'implicit', 'trainable': 'decoder'},
      r"ablations.mine.trainable: must be '' in mode 'implicit', .* got 'decoder'",
    ),
    ({'relaxation': 'score', 'samples': 1}, 'ablations.mine.samples: must be at least'),
    (
      {'fine_tune_steps': 1, 'fine_tune_optimizer': 'adam'},
      "ablations.mine.fine_tune_learning_rate: must be above 0, .* of 'sgd'",
    ),
    ({'warmup': 3}, 'ablations.mine.warmup: must be a group of fields, got 3'),
  ],
)
def test_ablations_are_checked_as_what_they_change(changes, message):
  """Each with all that it leaves as it is."""
  c = from_file('world')
  c.study.ablations = config_dict.create(mine=config_dict.create(**changes))
  refused(c, message)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'frist': 3}, 'no such field; nearest: config.study.unrelated.first'),
    ({'first': -1}, 'study.unrelated.first: must be a whole number'),
    ({'tokenizer': 'mine'}, 'study.unrelated.tokenizer: no such field'),
    ({'name': 'text'}, "study.unrelated.path: corpus 'text' needs path, got ''"),
  ],
)
def test_an_unrelated_corpus_is_checked_as_a_corpus(changes, message):
  """But for what it shares with the study's own; with base.apart it needs nothing."""
  c = from_file('world')
  c.study.corpora = 'unrelated'
  c.study.unrelated = config_dict.create(**changes)
  refused(c, message)
  c.study.unrelated = config_dict.create(name='people')
  config.check(c)
  c.study.unrelated = config_dict.ConfigDict()
  c.base.apart = True
  config.check(c)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'civic': {}}, "Unknown task in config.task.options 'civic'"),
    ({'civics': 3}, 'task.options.civics: must be a group of fields'),
    ({'civics': {'train_share': NAN}}, 'civics.train_share: must be a number'),
  ],
)
def test_options_of_single_tasks_are_checked(options, message):
  """As the fields of all tasks are."""
  c = from_file('world')
  c.task.options = config_dict.ConfigDict(options)
  refused(c, message)


def test_a_config_of_ones_own_is_checked_for_its_keys():
  """A wrong key names the nearest one, or the new one; none may be missing."""
  c = config.default_config()
  c.learn.terms = 3
  refused(c, r'learn\.terms: renamed; use .*iterations')
  del c.learn.terms
  c.learn.updats = 3
  refused(c, r'learn\.updats: no such field; nearest: con')
  del c.learn.updats
  del c.learn.updates
  refused(c, r'config\.learn\.updates: missing')


@pytest.mark.parametrize(
  'flag',
  [
    'policy.rate=nan', 'learn.learning_rate=inf', 'seed=-1', 'study.seeds=0',
    'study.target_seeds=(0,)', 'policy.names=', 'policy.reference=random',
    'base.updates=0', 'learn.candidates=5', 'finetune.learning_rates=many',
  ],
)  # fmt: skip
def test_a_command_with_such_a_value_leaves_nothing(tmp_path, capsys, flag):
  """One line, exit code 2, and no work directory."""
  workdir = tmp_path / 'run'
  argv = '--config=configs/world.py:smoke', f'--workdir={workdir}', f'--config.{flag}'
  assert command(prepare_corpus.main, *argv) == 2
  said = capsys.readouterr()
  assert said.err.startswith('error: config.')
  assert said.err.count('\n') == 1
  assert not said.out
  assert not workdir.exists()


def test_a_work_directory_goes_on_with_what_its_version_did_not_know(tmp_path):
  """A key that its config.json lacks may be empty, and nothing else."""
  c = from_file('world')
  said = c.to_dict()
  del said['study']['exposures'], said['study']['primary']
  (tmp_path / 'config.json').write_text(json.dumps(said))
  provenance.claim(tmp_path, c)
  for key, value in {
    'study.exposures': (1,),
    'study.primary': 'learned,random',
  }.items():
    with pytest.raises(InputError, match=f'another config: {key} is None'):
      provenance.claim(tmp_path, changed(key, value))


@pytest.mark.parametrize(('old', 'new'), config.RENAMED.items())
def test_a_renamed_key_of_a_work_directory_is_named(tmp_path, old, new):
  """What an older version has made is not mixed with what this one makes."""
  (tmp_path / 'config.json').write_text(json.dumps({old: 3}))
  with pytest.raises(InputError, match=f'has {old}, which is now {new}'):
    provenance.claim(tmp_path, from_file('world'), config.new_name)
  kind = 'world' if '.' in old and not old.startswith('networks') else 'recall'
  group = from_file(kind)
  for part in new.split('.'):
    group = group[part]


@pytest.mark.parametrize('name', STUDIES)
def test_a_study_names_what_exists(name):
  """Policies, tasks, a corpus and options, in every variant of its own."""
  module = importlib.import_module(f'configs.{name}')
  for variant in getattr(module, 'VARIANTS', tasks.TASKS):
    c = from_file(name, variant)
    if name in PUBLISHED:
      c.model.checkpoint = 'somewhere'
    if name != 'world':
      c.corpus.path = 'articles'
    config.check(c)
    assert c.name.startswith(name)
    assert len(settings.names(c.study.targets)) == len(c.study.target_seeds)


@pytest.mark.parametrize('variant', ['', 'scratch', 'smoke'])
def test_a_comparison_of_networks_names_what_exists(variant):
  """But for the checkpoint, which is the user's."""
  c = from_file('recall', variant)
  if not variant:
    with pytest.raises(InputError, match=r'networks\.bert\.checkpoint'):
      recall_config.check(c)
    c.networks.bert.checkpoint = 'somewhere'
  recall_config.check(c)


@pytest.mark.parametrize('family', ['bart', 't5'])
def test_the_demo_runs_with_either_family(family):
  """A field of the model has one name for both."""
  for variant in ('', 'smoke', 'full', 'estimators'):
    c = from_file('world', variant)
    c.model.name = family
    assert config.check(c) is None
    own = settings.model(c)
    del own['checkpoint']
    ids = Specials(0 if family == 'bart' else None, 1, 2, 3)
    made = models.model_config(vocab_size=40, ids=ids, **own)
    assert (made.encoder_layers, made.encoder_ffn) == (1, 128)


@pytest.mark.parametrize('name', [n for n in ALL if n not in PUBLISHED])
def test_a_variant_that_does_not_exist_is_refused(name):
  """But for published models, whose variants are all tasks."""
  with pytest.raises(ValueError, match='variant'):
    from_file(name, 'fulll')


def test_every_published_config_needs_its_checkpoint():
  """Without one there is no base to train on."""
  for name in PUBLISHED:
    refused(from_file(name), r'config\.model\.checkpoint')


@pytest.mark.parametrize(
  ('changes', 'devices', 'data'),
  [
    ({}, 1, 1),
    ({}, 8, 4),  # twelve episodes
    ({'learn.episodes': 16}, 8, 8),
    ({'learn.episodes': 16, 'mesh.fsdp': 2}, 8, 4),
    ({'learn.episodes': 16, 'saving.gradient_accumulation': 4}, 8, 4),
    ({'policy.names': 'none,random', 'policy.reference': 'supervised'}, 8, 8),
    ({'mesh.data': 2}, 8, 2),
    ({'learn.episodes': 16, 'study.ablations': {'few': {'episodes': 6}}}, 8, 2),
    (
      {'learn.episodes': 16, 'study.ablations': {'few': {'warmup': {'batch_size': 4}}}},
      8,
      4,
    ),
  ],
)
def test_a_mesh_is_as_large_as_what_its_devices_share(changes, devices, data):
  """Every batch and all episodes, in equal parts, where nothing else is asked for."""
  c = from_file('world', '')
  with c.unlocked():
    c.update_from_flattened_dict(changes)
  config.check(c)
  assert settings.mesh(c, devices)['data'] == data
