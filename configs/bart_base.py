r"""Intermediate pre-training of BART-base for one task, with every policy compared.

hf download facebook/bart-base --local-dir bart-base
python -m experiments.convert --input=bart-base --output=runs/bart-base
python -m experiments.study --config=configs/bart_base.py:trivia_qa --workdir=runs/tqa \
  --config.model.checkpoint=runs/bart-base --config.corpus.path=wikipedia/ \
  --config.task.train=qa/wikipedia-train.json --config.task.test=qa/wikipedia-dev.json

  configs/bart_base.py:TASK  a task of masklearn.tasks.TASKS; without one, nq_open

Stages can be run one at a time: `learn_policy`, `pretrain` and `finetune` take the same
flags, and go on where they were.

The paper's values are marked; all others are ours. Nothing here has been run at this
size yet, so no number is promised. The encoded corpus lies on disk, 7 bytes a token of
its longest passage; with collocations 8.
"""

from masklearn.study import config

# Tokens of an answer at most, where 16 are not enough.
ANSWERS = {'wow': 64, 'cnn_dailymail': 142, 'xsum': 62, 'scitldr': 62, 'ropes': 24}
# Tokens of a question, or of what is to be summarized, where 256 are not enough.
SOURCES = {'cnn_dailymail': 1_024, 'xsum': 512, 'scitldr': 512, 'ropes': 512}
# Tasks with a corpus of their own; that of the others is Wikipedia.
CORPORA = {'wikidyk': 'wikidyk'}
# Tasks whose questions name no group and have no context: nothing says which passages
# are about them. Those of KILT name a page, and so does TriviaQA in its own files.
UNGROUPED = ('nq_open', 'web_questions')


def get_config(variant: str = 'nq_open'):
  """Returns the config of a task."""
  c = config.default_config()
  task = variant or 'nq_open'
  c.name = f'bart_base:{task}'
  c.corpus.update(name=CORPORA.get(task, 'wikipedia'))
  c.corpus.update(words=100, longest=254, vocabulary=0)
  c.task.names = task
  # A policy is learned from passages and questions about the same thing; where nothing
  # joins them, the supervised one is trained on files in SQuAD's format.
  learned = 'supervised' if task in UNGROUPED else 'learned'
  c.policy.update(
    names=f'none,random,random_span,salient,pmi_span,same_sentences_random,{learned}',
    rate=0.15,
    longest=10,
    width=256,
    reference=learned,
  )
  c.model.update(size='base', remat=True, scan=True)
  c.base.updates = 0  # the checkpoint is the base
  c.learn.update(
    updates=2_000,
    episodes=8,
    questions=1,  # the paper's: one context, one query, one answer
    inner_steps=1,  # the paper's
    fine_tune_steps=1,  # the paper's
    held_out=False,  # the paper's: the outer loss is that of the same query
    memory='low',
    inner_learning_rate=1e-3,
    learning_rate=1e-3,
    validate_every=200,
  )
  c.learn.warmup.update(updates=500, batch_size=32, learning_rate=3e-5)
  c.supervised.update(pairs='train-v1.1.json', learning_rates=(1e-4, 3e-4))
  c.supervised.update(updates=20_000, validate_every=1_000)
  c.pretrain.update(updates=100_000, batch_size=256, learning_rate=1e-4)
  c.finetune.update(
    updates=20_000,
    batch_size=64,
    learning_rates=(1e-5, 3e-5, 1e-4),  # as many trials for every policy
    validate_every=1_000,
    source_length=SOURCES.get(task, 256),
    answer_length=ANSWERS.get(task, 16),
  )
  c.saving.update(packing=256, chunk=2_048, gradient_accumulation=8)
  c.study.update(seeds=3, learned_seeds=3, target_seeds=(3,))
  c.study.update(workers=1, save_every=1_000)
  return c
