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

VARIANTS = ('', 'scratch', 'smoke')


def get_config(variant: str = '') -> config_dict.ConfigDict:
  """Returns the config, or that of a variant."""
  if variant not in VARIANTS:
    raise ValueError(
      f'configs/recall.py has the variants {", ".join(VARIANTS[1:])}, got {variant!r}.'
    )
  new = config_dict.create
  c = config_dict.ConfigDict()
  c.name = f'recall:{variant}' if variant else 'recall'
  c.seed = 0  # of the split, and the first of the networks'
  c.seeds = 1  # of every network
  c.rate = 0.15  # of random spans' reference; recall has its own budget, below
  c.tops = (1, 5)  # each span is drawn from the so many best; 0 for all
  c.data = new(
    path='',  # passages and questions in SQuAD's format, plain or .gz
    test_path='',  # others to test on; '' takes the articles that are left
    train_groups=32,  # articles to train on
    validation_share=0.125,  # of these, to choose by
    words=120,  # of a passage; longer ones are cut between sentences
  )
  network = new(
    encoder='conv',  # of masklearn.policies.ENCODERS
    checkpoint='',  # directory of a BERT, for 'bert'
    vocabulary=8_000,  # of a tokenizer that is trained; a BERT has its own
    longest=6,  # words of a span at most; longer answers are not learned from
    width=128,
    kernel_size=7,  # tokens that a convolution sees
  )
  c.networks = new(scratch=network)
  if not variant:
    c.networks.bert = network.copy_and_resolve_references()
    c.networks.bert.encoder = 'bert'
  c.supervised = new(
    updates=300,
    batch_size=8,  # passages
    learning_rates=(1e-4, 1e-3),  # each is tried; validation chooses
    weight_decay=0.01,
    validate_every=50,
    save_every=100,  # steps between checkpoints
  )
  c.recall = new(every=20, words=3, draws=8)  # one span for 20 words, of 3 on average
  if variant == 'smoke':
    c.networks.scratch.update(vocabulary=300, longest=3, width=8, kernel_size=3)
    c.supervised.update(updates=2, batch_size=2, validate_every=2)
    c.data.update(train_groups=2, words=30)
    c.recall.draws = 2
  return c
