r"""The same as configs/bart_base.py with T5 1.1 base, whose targets are masked spans.

pip install 'masklearn[sentencepiece]'
hf download google/t5-v1_1-base --include '*.safetensors' '*.json' spiece.model \
  --local-dir t5-base
python -m experiments.convert --input=t5-base --output=runs/t5-base
python -m experiments.study --config=configs/t5_base.py:zsre --workdir=runs/zsre \
  --config.model.checkpoint=runs/t5-base --config.corpus.path=wikipedia/

Its vocabulary is spiece.model, which sentencepiece reads.

  configs/t5_base.py:TASK  a task of masklearn.tasks.TASKS; without one, nq_open
  configs/t5_base.py:wikidyk  at the published setting, see below

All numbers but those marked in configs/bart_base.py are ours, and none has been run.

WikiDYK (Zhang et al., 2026, https://arxiv.org/abs/2505.12306) trains Flan-T5 on facts,
one random span of 1 to 5 words an example (the policy `one_span`), and then asks it,
without any training on questions. From its code (scripts/train_full_flan_t5.sh):

hf download google/flan-t5-base --include '*.safetensors' '*.json' spiece.model \
  --local-dir flan-t5-base
hf download YWZBrandon/wikidyk_exp --repo-type dataset --local-dir dyk
python -m experiments.convert --input=flan-t5-base --output=runs/flan-t5-base
python -m experiments.study --config=configs/t5_base.py:wikidyk --workdir=runs/dyk \
  --config.model.checkpoint=runs/flan-t5-base --config.task.source=dyk \
  --config.corpus.path=dyk/wikidyk2022-2025_01082025_gpt-4o_evalv2_pages_formatted_combined_v2.json

The samples of a fact are pretrain.updates * 128 / 12,290 facts:

  --config.pretrain.updates=97      1        --config.pretrain.updates=9_602    100
  --config.pretrain.updates=961    10        --config.pretrain.updates=96_016  1,000
"""

from configs import bart_base

DYK_POLICIES = (
  'none,random,one_span,random_span,salient,pmi_span,same_sentences_random,supervised,'
  'learned'
)


def get_config(variant: str = 'nq_open'):
  """Returns the config of a task."""
  c = bart_base.get_config(variant)
  c.name = c.name.replace('bart_base', 't5_base')
  c.model.name = 't5'
  c.learn.warmup.learning_rate = 1e-4
  c.pretrain.learning_rate = 3e-4
  c.finetune.learning_rates = (1e-4, 3e-4, 1e-3)
  if variant == 'wikidyk':
    _wikidyk(c)
  return c


def _wikidyk(c):
  """The published values are marked."""
  c.corpus.words = 0  # a fact is never cut
  # All facts are trained on, and most of their questions are asked. Those of the others
  # are for policies that learn from questions.
  c.task.update(train_share=0.1, validation_share=0.1)
  # 2.9 of 20 words are hidden by `one_span`, which has a budget of its own.
  c.policy.update(names=DYK_POLICIES, rate=0.15, longest=5)
  c.supervised.pairs = 'task'
  c.pretrain.update(
    updates=96_016,  # 1,000 samples of each fact: published
    batch_size=128,  # published: 64 on each of two GPUs
    learning_rate=3e-4,  # published; then a linear decay, here a cosine
    weight_decay=0.0,  # published
  )
  # Published: asked as it is, for up to 266 tokens.
  c.finetune.update(updates=0, learning_rates=(1e-4,), answer_length=64)
