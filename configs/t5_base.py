r"""The same as configs/bart_base.py with T5 1.1 base, whose targets are masked spans.

pip install 'masklearn[sentencepiece]'
hf download google/t5-v1_1-base --include '*.safetensors' '*.json' spiece.model \
  --local-dir t5-base
python -m experiments.convert --input=t5-base --output=runs/t5-base
python -m experiments.study --config=configs/t5_base.py:zsre --workdir=runs/zsre \
  --config.model.checkpoint=runs/t5-base --config.corpus.path=wikipedia/

Its vocabulary is spiece.model, which sentencepiece reads.

  configs/t5_base.py:TASK  a task of masklearn.tasks.TASKS; without one, nq_open

All numbers but those marked in configs/bart_base.py are ours, and none has been run.
"""

from configs import bart_base


def get_config(variant: str = 'nq_open'):
  """Returns the config of a task."""
  c = bart_base.get_config(variant)
  c.name = c.name.replace('bart_base', 't5_base')
  c.model.name = 't5'
  c.learn.warmup.learning_rate = 1e-4
  c.pretrain.learning_rate = 3e-4
  c.finetune.learning_rates = (1e-4, 3e-4, 1e-3)
  return c
