r"""How many answers does a policy hide, on passages of articles that it has not seen?

python -m experiments.recall --config=configs/recall.py --workdir=runs/recall \
  --config.data.path=new_wiki.json.gz --config.networks.bert.checkpoint=DIR

  configs/recall.py          two networks: convolutions from scratch, and a BERT
  configs/recall.py:scratch  without the BERT
  configs/recall.py:smoke    seconds, for tests

The data is any file in the format of SQuAD v1.1, such as SquadShifts' new Wikipedia
articles; the checkpoint a directory of Hugging Face's BERT, such as
sentence-transformers/all-MiniLM-L6-v2. All numbers are ours.
"""

from ml_collections import config_dict

from masklearn.study import recall_config

VARIANTS = ('', 'scratch', 'smoke')


def get_config(variant: str = '') -> config_dict.ConfigDict:
  """Returns the config, or that of a variant."""
  if variant not in VARIANTS:
    raise ValueError(
      f'configs/recall.py has the variants {", ".join(VARIANTS[1:])}, got {variant!r}.'
    )
  c = recall_config.default_config()
  c.name = f'recall:{variant}' if variant else 'recall'
  c.networks.scratch = recall_config.network()
  if not variant:
    c.networks.bert = recall_config.network()
    c.networks.bert.encoder = 'bert'
  if variant == 'smoke':
    c.networks.scratch.update(vocabulary=300, longest=3, width=8, kernel_size=3)
    c.supervised.update(updates=2, batch_size=2, validate_every=2)
    c.data.update(train_groups=2, words=30)
    c.recall.draws = 2
  return c
