"""The config of a study: its fields, their defaults, and what each of them may be.

Files in configs/ change what `default_config` returns; `check` refuses what cannot be.
The defaults are the demo's: all numbers are ours, chosen on validation questions.
"""

import re

from ml_collections import config_dict

from masklearn import models, policies, tasks
from masklearn.data import CORPORA
from masklearn.io.lookup import check_name
from masklearn.models.sizes import DTYPES
from masklearn.study import contradictions, fields, pool, settings
from masklearn.study.fields import (
  checked,
  flag,
  group,
  name,
  name_list,
  number,
  numbers,
  text,
  whole,
  wholes,
)
from masklearn.text import annotators
from masklearn.types import InputError


def _pattern(value):
  try:
    re.compile(value)
  except re.error as error:
    raise InputError(f'must be a regular expression, got {value!r}: {error}') from error


def _policies(value):
  for one in settings.names(value):
    if one in policies.RENAMED:
      raise InputError(f'{one!r} was renamed; use {policies.RENAMED[one]!r}.')
  name_list('random', policies.POLICIES, 'policy').check(value)


def _corpora(value):
  for one in settings.names(value):
    check_name(settings.CORPORA, one, 'corpus to pre-train on')


SEEDS = '[0, 2147483648)'  # what jax.random.key takes
WARMUP = {
  'updates': whole(120, '[1, inf)'),
  'batch_size': whole(16, '[1, inf)'),
  'learning_rate': number(1e-3, '(0, inf)'),
  'validate_every': whole(10, '[1, inf)'),
}
LEARN = {
  'updates': whole(200, '[1, inf)'),  # more are somewhat better, see world.py:full
  'episodes': whole(12, '[1, inf)'),  # averaged in an update; a passage, its questions
  # Of an episode; each is one of the paper's, on the same passage.
  'questions': whole(6, '[1, inf)'),
  'candidates': whole(12, '[1, inf)'),  # spans sampled from a passage
  'uniform_share': number(0.25, '[0, 1]'),  # of the candidates: those drawn uniformly
  'token_dropout': number(0.3, '[0, 1)'),  # of tokens, hidden from the policy
  'learning_rate': number(5e-3, '(0, inf)'),  # of Adam
  # Of SGD: small, as the model knows the passage but for its facts.
  'inner_learning_rate': number(3e-4, '(0, inf)'),
  # Of the fine-tuning steps; 0 for the same.
  'fine_tune_learning_rate': number(0.0, '[0, inf)'),
  # Of the fine-tuning steps, with a state of its own; '' for the same, which goes on.
  'fine_tune_optimizer': name('', 'meta.inner:OPTIMIZERS', 'inner optimizer'),
  # Weight of the policy's entropy / log(number of candidate spans), which is in [0, 1]
  # for passages of any length; at the start and at the end.
  'entropy_weight': numbers((0.39, 0.0), '[0, inf)', 2),
  'relaxation': name('mixture', 'meta.estimators:RELAXATIONS', 'relaxation'),
  # Of soft draws, at the start and at the end.
  'temperature': numbers((1.0, 0.3), '(0, inf)', 2),
  'samples': whole(4, '[1, inf)'),  # draws of a passage, for 'score'
  # Of their losses, for 'score': the mean of the other draws, or a learned one.
  'baseline': name('others', ('others', 'learned'), 'baseline'),
  'mode': name('mixed', 'meta.unroll:MODES', 'mode'),  # of the backward pass
  'window': whole(1, '[1, inf)'),  # steps that 'truncated' goes back through
  'solver': name('cg', 'meta.unroll:SOLVERS', 'solver'),  # of 'implicit'
  'solver_iterations': whole(10, '[1, inf)'),
  'damping': number(1.0, '[0, inf)'),  # of the solver
  # 'fast' keeps the gradient of every candidate, 'low' recomputes it.
  'memory': name('fast', ('low', 'fast'), 'memory'),
  'inner_optimizer': name('sgd', 'meta.inner:OPTIMIZERS', 'inner optimizer'),
  'inner_steps': whole(1, '[1, inf)'),  # K, on the same passage
  # Names of the parameters that inner steps change, a regular expression; '' for all.
  'trainable': checked('', _pattern),
  'fine_tune_steps': whole(0, '[0, inf)'),  # J; the paper has 1
  'held_out': flag(False),  # True fine-tunes on the questions of other episodes
  'cosine': flag(False),  # whether to log how far an approximate mode is off
  'shuffled': flag(False),  # True learns from exchanged answers: the control
  'validate_every': whole(40, '[1, inf)'),
  'warmup': WARMUP,
}
RECALL_BUDGET = {
  'every': whole(20, '[2, inf)'),  # words of a passage to a hidden span
  'words': whole(3, '[1, inf)'),  # of a span, on average
  'draws': whole(8, '[1, inf)'),
}
STUDY = {
  'name': text('study'),  # of the config, in results
  'seed': whole(0, SEEDS),  # of the corpus, and the first of the study's seeds
  'corpus': {
    'name': name('world', CORPORA, 'corpus'),
    'copies': whole(4, '[1, inf)'),  # passages of a country or of an invented person
    'told': whole(0, '[0, inf)'),  # facts of each of them, in turn; 0 for all
    'size': whole(400, '[1, inf)'),  # invented people, for 'people'
    # Of what there is of a person, the share that gives answers away: the answer stands
    # there twice, or beside a word that tells it.
    'repeats': number(0.0, '[0, 1)'),
    'hints': number(0.0, '[0, 1)'),
    'classes_after': whole(0, '[0, inf)'),  # of the first so many, no classes are told
    'first': whole(0, '[0, inf)'),  # of invented people; others are to tune on
    'towns': whole(0, '[0, inf)'),  # in which they live, 0 for many
    'kinds': text(''),  # of facts that are told of them, with commas; '' for all
    'path': text(''),  # a file, folder or pattern, for a format of data.FORMATS
    'words': whole(100, '[0, inf)'),  # of a passage at most, 0 for whole documents
    'runner': text(''),  # of Apache Beam, such as 'DirectRunner'; '' is one process
    'beam': text(''),  # options of the runner, as on a command line
    'longest': whole(102, '[1, inf)'),  # tokens of a passage; a longer one is cut
    'tokenizer': text(''),  # file, directory or Hugging Face name; '' trains one
    'vocabulary': whole(2_500, '[0, inf)'),  # size of a trained one
    'entities': whole(0, '[0, inf)'),  # of the first so many groups, names are tokens
    'annotator': checked('rules', annotators.check),  # who finds salient spans
  },
  'task': {
    'names': name_list('civics', tasks.TASKS, 'task'),
    # Of the groups; for all tasks but those with three splits of their own.
    'train_share': number(0.5, '(0, 1]'),
    'validation_share': number(0.2, '[0, 1)'),
    'size': whole(400, '[1, inf)'),  # invented people, for the tasks about them
    'first': whole(0, '[0, inf)'),  # of them
    'choices': whole(0, '[0, inf)'),  # that questions offer; 0 asks openly
    'towns': whole(0, '[0, inf)'),  # as of the corpus
    'train': text(''),  # files of questions; in paths {task} is the name of the task
    'validation': text(''),  # '' splits off part of train
    'test': text(''),
    # Directory of a published task, instead; '' without train is the hub.
    'source': text(''),
    'options': group(),  # of single tasks, by name; also what only they have
  },
  'policy': {
    'names': checked(
      'none,random,salient,same_sentences_random,answer_vocabulary,cooccurrence,'
      'supervised,learned,annotated',
      _policies,
    ),
    'rate': number(0.05, '(0, 1)'),  # share of a passage's words that is hidden
    'longest': whole(4, '[1, inf)'),  # words of a span of a trained policy
    'width': whole(64, '[1, inf)'),  # of its network
    'kernel_size': whole(7, '[1, inf)'),  # tokens that each of its convolutions sees
    'encoder': name('conv', 'policies.encoders:ENCODERS', 'encoder of a policy'),
    'checkpoint': text(''),  # directory of Hugging Face's BERT, for 'bert'
    'entries': whole(2**14, '[1, inf)'),  # n-grams of a policy that is counted, at most
    # A policy that is trained: random ones take its lengths, or its sentences.
    'reference': text('learned'),
  },
  'model': {  # What is None is left to the size.
    'name': name('bart', models.MODELS, 'model'),
    'size': text('tiny'),
    'checkpoint': text(''),  # a published model, as experiments.convert has written it
    'width': whole(None, '[1, inf)'),
    'encoder_layers': whole(None, '[1, inf)'),
    'decoder_layers': whole(None, '[1, inf)'),
    'encoder_heads': whole(None, '[1, inf)'),
    'decoder_heads': whole(None, '[1, inf)'),
    'encoder_ffn': whole(None, '[1, inf)'),  # width of the feed-forward layers
    'decoder_ffn': whole(None, '[1, inf)'),
    'init_std': number(None, '(0, inf)'),  # of random parameters
    'dtype': name('float32', DTYPES, 'dtype'),  # of the computation, not of parameters
    'remat': flag(False),  # whether gradients recompute the layers, to save memory
    'scan': flag(False),  # whether one layer is compiled and run in a loop, for speed
  },
  'base': {  # Random spans on the whole corpus, as BART has seen Wikipedia.
    'rate': number(0.2, '(0, 1)'),
    # Whether passages hide fewer words, too: from one span to all that the rate allows.
    # For a policy that hides fewer words than the base's rate.
    'varied': flag(False),
    'updates': whole(1_600, '[0, inf)'),
    'batch_size': whole(16, '[1, inf)'),
    'learning_rate': number(2e-3, '(0, inf)'),
    'weight_decay': number(0.01, '[0, inf)'),
    # Whether it sees the passages alone that no task asks about, and pre-training the
    # others: all facts are new then.
    'apart': flag(False),
  },
  'learn': LEARN,
  'supervised': {
    # Answers to learn from: 'task', the gold passages of its training questions, or,
    # without these, 'match', where answers stand in the corpus; 'lenient', where they
    # stand in any case and inflection; 'prefix', where words begin with theirs; files
    # in SQuAD's format; or several, separated by commas.
    'pairs': text('match'),
    'top_k': whole(5, '[0, inf)'),  # each span is drawn from the best k; 0 for all
    # Of answers that the base model cannot restore, nats a token at least; 0.7 is a
    # chance of one half.
    'least_loss': number(0.7, '[0, inf)'),
    'updates': whole(200, '[1, inf)'),
    'batch_size': whole(32, '[1, inf)'),
    'learning_rates': numbers((2e-3,), '(0, inf)'),  # each is tried
    'weight_decay': number(0.01, '[0, inf)'),
    'validate_every': whole(40, '[1, inf)'),
  },
  # The losses by which words are scored, of a policy that is trained so.
  'score': {
    'rounds': whole(1, '[1, inf)'),  # times that each word of a passage is hidden
    # Of a round, each with as many words of the passage: five hide a fifth at a time,
    # as much as the base model has been trained to restore.
    'parts': whole(5, '[2, inf)'),
    'batch_size': whole(32, '[1, inf)'),  # passages
    'sharpness': number(3.0, '(0, inf)'),  # nats of a draw to a standard deviation
  },
  'pretrain': {
    'updates': whole(320, '[1, inf)'),
    'batch_size': whole(32, '[1, inf)'),
    'learning_rate': number(2e-3, '(0, inf)'),
    'weight_decay': number(0.01, '[0, inf)'),
  },
  'finetune': {
    # 0 asks the pre-trained model, for the answer as a span that is hidden.
    'updates': whole(150, '[0, inf)'),
    'batch_size': whole(32, '[1, inf)'),
    'learning_rates': numbers((1e-3,), '(0, inf)'),  # each is tried
    'weight_decay': number(0.01, '[0, inf)'),
    'validate_every': whole(10, '[1, inf)'),
    'source_length': whole(256, '[1, inf)'),  # tokens; a longer question loses its end
    'answer_length': whole(16, '[1, inf)'),  # tokens
  },
  # Answers that policies hide, where they are known, for the report: files in SQuAD's
  # format, separated by commas; '' measures nothing.
  'recall': {'path': text(''), **RECALL_BUDGET},
  'saving': {  # of time and memory, in pre-training and fine-tuning
    'packing': whole(0, '[0, inf)'),  # tokens of a row of several examples; 0 for one
    'chunk': whole(0, '[0, inf)'),  # tokens whose logits are in memory; 0 for all
    'gradient_accumulation': whole(1, '[1, inf)'),  # parts of a batch, one at a time
    # The rows of a packed batch are a multiple of it: of so many devices, for the same
    # batches on fewer.
    'row_multiple': whole(1, '[1, inf)'),
  },
  'mesh': {  # of devices; the same numbers on any, but for rounding
    'data': whole(0, '[0, inf)'),  # that share batches and episodes; 0 for what fits
    'fsdp': whole(1, '[1, inf)'),  # that also share parameters and optimizer
    'smallest': whole(2**20, '[0, inf)'),  # bytes of an array that is shared
    # That run the same command, each with devices of its own; 0 for as many as a
    # launcher says, see masklearn/io/hosts.py.
    'processes': whole(0, '[0, inf)'),
  },
  'study': {
    'targets': name_list(
      'spans', 'training.corruption:TARGETS', 'target'
    ),  # formats, the main one first
    'target_seeds': wholes((2,), '[1, inf)'),  # seeds of each
    'seeds': whole(2, '[1, inf)'),
    # Seeds of the learned policy, and of what is compared with it.
    'learned_seeds': whole(1, '[0, inf)'),
    # Seeds of a policy that is trained on one task and used for another.
    'transfer_seeds': whole(0, '[0, inf)'),
    # How often each passage is seen in pre-training, on average; each is a run of its
    # own, beside that of pretrain.updates.
    'exposures': numbers((), '(0, inf)'),
    # What pre-training is on, beside the study's own corpus: 'unrelated,mixed'.
    'corpora': checked('', _corpora),
    # The unrelated one: what differs from `corpus`; nothing for the passages that
    # base.apart keeps from pre-training.
    'unrelated': group(),
    'ablations': group(),  # other ways to learn, by name: changes of `learn`
    'ablation_seeds': whole(0, '[0, inf)'),
    # What the first seed of an ablation tries; the rest takes the best.
    'ablation_learning_rates': numbers((), '(0, inf)'),
    # Whether models are pre-trained with the policies of ablations, too, in the main
    # format, and are scored: a cell's policy is called learned_ABLATION.
    'deploy_ablations': flag(False),
    # The difference that the study is about, 'learned,supervised' for the one minus the
    # other, chosen before it runs; '' for none.
    'primary': text(''),
    'margin': number(0.05, '(0, 1]'),  # of it, below which one is as good as the other
    'workers': whole(2, '[1, inf)'),  # stages at a time, in threads
    # A pool of processes instead: local:WORKERS, slurm:WORKERS, or the tcp:// address
    # of a Dask scheduler.
    'scheduler': checked('', pool.check),
    'profile': flag(False),  # traces five steps of a stage, one stage at a time
    'draws': whole(200, '[1, inf)'),  # of each policy, for what the report shows of it
    'save_every': whole(100, '[1, inf)'),  # steps between checkpoints
  },
}

# Old name -> new name.
RENAMED = {
  'corpus.classes': 'corpus.kinds',
  'learn.blot': 'learn.token_dropout',
  'learn.bonus': 'learn.entropy_weight',
  'learn.entropy_coefficient': 'learn.entropy_weight',
  'learn.explore': 'learn.uniform_share',
  'learn.inner_step': 'learn.inner_learning_rate',
  'learn.terms': 'learn.solver_iterations',
  'networks.bert.reach': 'networks.bert.kernel_size',
  'networks.scratch.reach': 'networks.scratch.kernel_size',
  'policy.reach': 'policy.kernel_size',
  'saving.pieces': 'saving.gradient_accumulation',
  'study.other_seeds': 'study.ablation_seeds',
  'study.others': 'study.ablations',
  'study.trials': 'study.ablation_learning_rates',
  'supervised.top': 'supervised.top_k',
  'tops': 'top_k',
}

# New name -> what changed with it, for the message.
UNITS = {
  'corpus.kinds': ' (which names family, animal and decade among others)',
  'learn.entropy_weight': ' (of entropy / log(number of candidate spans), not of nats)',
}


def default_config() -> config_dict.ConfigDict:
  """Returns the config of a study, to be changed.

  >>> default_config().policy.rate
  0.05
  """
  return fields.make(STUDY)


def new_name(key: str) -> str:
  """The new name of a key that was renamed, or is in a group that was; else ''.

  Behind it stands what its number means, if that is something else now.

  >>> new_name('study.others.J1.fine_tune_steps')
  'study.ablations.J1.fine_tune_steps'
  >>> new_name('study.ablations.J1.terms')
  'study.ablations.J1.solver_iterations'
  """
  for old, new in RENAMED.items():
    if key == old or key.startswith(f'{old}.'):
      return new + key.removeprefix(old) + UNITS.get(new, '')
  ablation = re.match(r'study\.ablations\.[^.]+\.', key)
  if ablation and (new := new_name(f'learn.{key[ablation.end() :]}')):
    return ablation[0] + new.removeprefix('learn.')
  return ''


def check(config) -> None:
  """Refuses a config of a study that cannot be run; makes and reads nothing.

  Raises:
    InputError: names a field, the rule, and the value.
  """
  fields.check(STUDY, config, new_name)
  shared = {key: field for key, field in STUDY['task'].items() if key != 'options'}
  for task, options in config.task.options.items():
    check_name(tasks.TASKS, task, 'task in config.task.options')
    fields.check({task: group()}, {task: options}, prefix='task.options.')
    known = {key: options[key] for key in options if key in shared}
    fields.check(shared, known, prefix=f'task.options.{task}.', complete=False)
  for ablation, changes in config.study.ablations.items():
    prefix = f'study.ablations.{ablation}.'
    fields.check(LEARN, changes, new_name, prefix, complete=False)
  # The tokenizer, and what fits the model, are those of the study's own corpus.
  fixed = 'tokenizer', 'vocabulary', 'entities', 'longest'
  known = {key: field for key, field in STUDY['corpus'].items() if key not in fixed}
  other = config.study.unrelated
  fields.check(known, other, prefix='study.unrelated.', complete=False)
  contradictions.check(config)
