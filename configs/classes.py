"""What should be hidden where the answer can be told from the words beside it?

python -m experiments.study --config=configs/classes.py --workdir=runs/classes

  configs/classes.py        all policies, one seed: whether there is anything to win
  configs/classes.py:full   the study: more people, three seeds

Invented people (masklearn/tasks/people.py): a biography says that somebody plays the
violin, and that they sit among the strings; the task asks for the latter. It stands in
the passage, so whoever looks for answers hides it, in vain: the violin beside it gives
it away. What teaches a model something about a person is to restore the violin.

All numbers are ours, chosen on validation questions.
"""

from ml_collections import config_dict

from configs import world

VARIANTS = ('', 'full')


def get_config(variant: str = '') -> config_dict.ConfigDict:
  """Returns the config of the study, or of a variant."""
  if variant not in VARIANTS:
    raise ValueError(
      f'configs/classes.py has the variants {", ".join(VARIANTS[1:])}, got {variant!r}.'
    )
  c = world.get_config()
  c.name = f'classes:{variant}' if variant else 'classes'
  c.corpus.update(name='people', size=600, copies=4, classes=True, longest=140)
  c.task.update(names='classes', size=600)
  c.policy.names = (
    'none,random,salient,answer_vocabulary,cooccurrence,supervised,learned,annotated'
  )
  c.base.updates = 3_000
  c.pretrain.updates = 1_500
  c.finetune.update(updates=400, validate_every=20)
  c.study.update(seeds=1, target_seeds=(1,))
  return c
