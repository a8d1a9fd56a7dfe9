"""Which words should be hidden where the answers stand, and mostly teach nothing?

python -m experiments.study --config=configs/people.py --workdir=runs/people

  configs/people.py:hints      most passages give the answer away by another word
  configs/people.py:rivers     the same, and no answer is a word of any passage
  configs/people.py:repeats    most passages have the answer twice: restoring is copying
  configs/people.py:exposures  how often a passage has to be seen, and what is forgotten
  configs/people.py:classes    the answer can be told from another word of the passage
  configs/people.py:dyk        facts of a sentence each, and questions like WikiDYK's

Invented people (masklearn/tasks/people.py), so that nothing is known from elsewhere.
Without a variant it is `hints`. A biography has two facts. One is told such as "Belora
keeps a horse", and the other such as "The saddle tells that Belora owns a horse", or,
with `repeats`, "At the horse show, Belora has a horse". Whoever looks for answers finds
both. With one hidden word a biography, half of what they hide can be told from the
words beside it, and is not remembered of Belora.

With `rivers`, a task asks on which river somebody lives, and a biography says that they
live in Tynemouth. Beside one of its two towns it names another on the same river, such
as Tyneside: who hides the town there, hides the river in vain. Answers of questions are
looked for as the beginnings of words, as no passage has them as words.

With `classes`, a biography says that somebody plays the violin, and that they sit among
the strings; the task asks for the latter.

docs/results.md says what was found. All numbers are ours.
"""

from ml_collections import config_dict

from configs import world
from masklearn.tasks import people

VARIANTS = ('hints', 'rivers', 'repeats', 'exposures', 'classes', 'dyk')
POLICIES = 'none,random,answer_vocabulary,cooccurrence,supervised,learned,annotated'


def get_config(variant: str = 'hints') -> config_dict.ConfigDict:
  """Returns the config of the study, or of a variant."""
  if variant not in VARIANTS:
    raise ValueError(
      f'configs/people.py has the variants {", ".join(VARIANTS)}, got {variant!r}.'
    )
  c = world.get_config()
  c.name = f'people:{variant}'
  c.corpus.update(name='people', size=600, copies=4, longest=140)
  c.task.size = 600
  c.policy.names = POLICIES
  c.base.updates = 3_000
  c.pretrain.updates = 1_500
  c.finetune.update(updates=400, validate_every=20)
  c.study.update(seeds=1, target_seeds=(1,))
  if variant in ('hints', 'rivers', 'repeats', 'exposures'):
    _given_away(c, 'repeats' if variant == 'repeats' else 'hints')
  if variant in ('hints', 'rivers'):
    c.policy.names = (
      'none,random,answer_vocabulary,cooccurrence,supervised,supervised_unknown,'
      'learned,annotated'
    )
    c.study.update(ablation_seeds=3, deploy_ablations=True)
    c.study.ablations = config_dict.create(shuffled={'shuffled': True})
  if variant == 'rivers':
    c.corpus.kinds = 'home_town,work_town,school_town'
    c.corpus.vocabulary = 900  # towns begin with the tokens of their rivers
    c.task.names = 'rivers'
    c.supervised.pairs = 'prefix'
  if variant == 'exposures':
    c.corpus.update(first=10_000, size=5_600, entities=1_600)
    c.task.update(first=10_000, size=1_600, train_share=0.4)
    c.policy.names = 'none,random,supervised,learned,annotated'
    c.pretrain.updates = 1_500  # 10 samples of each passage
    c.study.update(exposures=(1, 3, 30), corpora='unrelated,mixed')
  if variant == 'classes':
    c.corpus.kinds = ','.join((*people.TEMPLATES, *people.CLASSES))
    c.task.names = 'classes'
  if variant == 'dyk':
    _dyk(c)
  return c


def _given_away(c, how):
  """12 biographies of each person, of two facts each, of which one is given away.

  If each told all facts, they would be a key to one another: a model would remember
  biographies, and not people. Names are tokens, but for those of the people whom the
  base model reads about: it does not remember these, and learns what hints tell.
  Numbers were tuned on people from the 22,000th on.
  """
  c.corpus.update(size=8_500, copies=12, told=2, longest=90, vocabulary=1_200)
  c.corpus[how] = 2 / 3
  c.corpus.kinds = 'profession,instrument,pet'
  c.task.update(size=4_500, train_share=0.2, validation_share=0.05)  # 10,125 questions
  c.task.names = 'habits'
  c.corpus.entities = c.task.size
  c.model.decoder_ffn = 1_024
  # It has to read what stands beside, and to know what to do with one hidden word.
  c.base.update(
    apart=True, updates=10_000, batch_size=32, learning_rate=3e-3, rate=0.2, varied=True
  )
  c.pretrain.update(updates=1_500, batch_size=128, learning_rate=2e-3)
  c.finetune.update(updates=1_000, validate_every=50)
  c.learn.update(updates=200, episodes=24, candidates=16, validate_every=40)
  c.supervised.top_k = 3  # no worse than 1 on those people
  # One word of each biography; the words around it tell whether it is worth hiding.
  c.policy.update(rate=0.02, longest=1, kernel_size=11)
  c.study.update(seeds=3, learned_seeds=3, target_seeds=(3,))
  c.study.primary = 'learned,supervised'


def _dyk(c):
  """200 facts, see masklearn/tasks/facts.py: a stand-in for configs/t5_base.py:wikidyk.

  Samples of a fact are pretrain.updates * batch_size / 200; here 96.
  """
  c.corpus.update(name='facts', size=200, longest=80)
  c.task.update(names='facts', size=200)
  # Of the 12 or 14 words of a fact, with its marks, three; `one_span` hides 2.8.
  c.policy.update(rate=0.22, longest=2)
  c.policy.names = 'none,random,one_span,salient,cooccurrence,supervised,learned'
  c.base.apart = True
  c.supervised.pairs = 'task'
  c.learn.questions = 5  # of each fact
  c.pretrain.updates = 600
  c.finetune.update(updates=200, validate_every=20)
  c.study.primary = 'learned,random'  # at the same budget
