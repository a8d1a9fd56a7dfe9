"""The config of experiments.recall: its fields, and what each of them may be."""

from ml_collections import config_dict

from masklearn.study import contradictions, fields
from masklearn.study.config import RECALL_BUDGET, SEEDS, new_name
from masklearn.study.fields import group, name, number, numbers, text, whole, wholes

NETWORK = {
  'encoder': name('conv', 'policies.encoders:ENCODERS', 'encoder of a policy'),
  'checkpoint': text(''),  # directory of a BERT, for 'bert'
  'vocabulary': whole(8_000, '[0, inf)'),  # of a trained tokenizer; a BERT has its own
  'longest': whole(6, '[1, inf)'),  # words of a span; longer answers are not learned
  'width': whole(128, '[1, inf)'),
  'kernel_size': whole(7, '[1, inf)'),  # tokens that a convolution sees
}
RECALL = {
  'name': text('recall'),
  'seed': whole(0, SEEDS),  # of the split, and the first of the networks'
  'seeds': whole(1, '[1, inf)'),  # of every network
  'rate': number(0.15, '(0, 1)'),  # of random spans' reference
  'top_k': wholes((1, 5), '[0, inf)'),  # each span is drawn from the best k; 0 for all
  'data': {
    'path': text(''),  # passages and questions in SQuAD's format, plain or .gz
    'test_path': text(''),  # others to test on; '' takes the articles that are left
    'train_groups': whole(32, '[2, inf)'),  # articles to train on
    'validation_share': number(0.125, '(0, 1)'),  # of these, to choose by
    'words': whole(120, '[1, inf)'),  # of a passage; longer ones are cut
  },
  'networks': group(),  # name -> fields of `NETWORK`
  'supervised': {
    'updates': whole(300, '[1, inf)'),
    'batch_size': whole(8, '[1, inf)'),  # passages
    'learning_rates': numbers((1e-4, 1e-3), '(0, inf)'),  # each is tried
    'weight_decay': number(0.01, '[0, inf)'),
    'validate_every': whole(50, '[1, inf)'),
    'save_every': whole(100, '[1, inf)'),  # steps between checkpoints
  },
  'recall': RECALL_BUDGET,
}


def default_config() -> config_dict.ConfigDict:
  """Returns the config without a network, to be changed, see `network`."""
  return fields.make(RECALL)


def network() -> config_dict.ConfigDict:
  """Returns one of `default_config().networks`."""
  return fields.make(NETWORK)


def check(config) -> None:
  """Refuses a config that cannot be run; makes and reads nothing.

  Raises:
    InputError: names a field, the rule, and the value.
  """
  fields.check(RECALL, config, new_name)
  for one, options in config.networks.items():
    fields.check(NETWORK, options, new_name, f'networks.{one}.')
    contradictions.check_encoder(options, f'networks.{one}.')
  contradictions.check_budget(config.recall)
  contradictions.check_rates(
    config.supervised.learning_rates, 'supervised.learning_rates'
  )
