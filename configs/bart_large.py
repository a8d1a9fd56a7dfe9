r"""The same as configs/bart_base.py with BART-large.

hf download facebook/bart-large --local-dir bart-large
python -m experiments.convert --input=bart-large --output=runs/bart-large
python -m experiments.study --config=configs/bart_large.py:wow --workdir=runs/wow \
  --config.model.checkpoint=runs/bart-large --config.corpus.path=wikipedia/

  configs/bart_large.py:TASK  a task of masklearn.tasks.TASKS; without one, nq_open

An update of the policy needs 6.6 GiB a chip with soft masks, K = J = 1 and
`memory=low` (docs/meta_gradients.md). All other numbers are ours, and none has been
run.
"""

from configs import bart_base


def get_config(variant: str = 'nq_open'):
  """Returns the config of a task."""
  c = bart_base.get_config(variant)
  c.name = c.name.replace('bart_base', 'bart_large')
  c.model.size = 'large'
  c.learn.relaxation = 'soft'
  c.learn.warmup.learning_rate = 1e-5
  c.pretrain.learning_rate = 5e-5
  c.finetune.learning_rates = (5e-6, 1e-5, 3e-5)
  c.saving.gradient_accumulation = 16
  return c
