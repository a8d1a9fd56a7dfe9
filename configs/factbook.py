r"""Does a policy that was taught to find answers help to learn real facts from prose?

python -m experiments.study --config=configs/factbook.py --workdir=runs/factbook \
  --config.corpus.path=data/corpora/factbook_profiles.jsonl.gz \
  --config.task.options.kilt.train=data/facts/factbook_slots.jsonl.gz \
  --config.task.options.web_questions.train=data/facts/webquestions_in_factbook.jsonl \
  --config.supervised.pairs=task,data/squad_like/new_wiki_40articles.json.gz \
  --config.recall.path=data/squad_like/new_wiki_40articles.json.gz,\
data/qed/qed-dev.first1000.jsonl.gz,data/squad_like/xquad.en.json.gz

  configs/factbook.py          a small model from scratch, three seeds, two cores
  configs/factbook.py:smoke    seconds, for tests

The corpus consists of the fields of the country profiles of the CIA World Factbook. One
task asks for thirteen of these fields in the form of zero-shot relation extraction; the
other has those of WebQuestions whose answer stands in a profile. No test country is
trained on, and no passage is given with a question. The supervised policy sees
answers about training countries and about other articles, never about test countries.
All numbers are ours.
"""

from ml_collections import config_dict

from configs import world

VARIANTS = ('', 'smoke')


def get_config(variant: str = ''):
  """Returns the study's config, or that of a variant."""
  if variant not in VARIANTS:
    raise ValueError(f'configs/factbook.py has the variant smoke, got {variant!r}.')
  c = world.get_config(variant)
  c.name = f'factbook:{variant}' if variant else 'factbook'
  c.corpus.update(name='factbook', words=40, longest=62, vocabulary=3_000)
  c.task.names = 'kilt,web_questions'
  c.task.options = config_dict.create(
    kilt={'train': ''},
    web_questions={'train': '', 'held_out': False},  # whose profile the corpus has
  )
  c.policy.names = 'none,random,salient,same_sentences_random,supervised'
  c.policy.update(rate=0.15, longest=6, reference='supervised')
  # Every field of a profile is a fact to remember: after the same time, a model twice
  # as wide as the demo's answered more of the validation questions.
  c.model.update(width=128, init_std=0.09)  # 1 / sqrt(width)
  c.supervised.update(
    pairs='task', updates=400, batch_size=32, learning_rates=(2e-3, 5e-3),
    validate_every=50,
  )  # fmt: skip
  c.base.update(updates=4_000, batch_size=32)
  c.pretrain.update(updates=4_500, batch_size=32)
  c.finetune.learning_rates = (5e-4, 1e-3)
  # Profiles have many short fields: about four share a row.
  c.saving.update(packing=128, chunk=128)
  c.study.update(seeds=3, target_seeds=(3,), learned_seeds=0, save_every=500)
  if variant == 'smoke':
    c.corpus.vocabulary = 400
    c.base.update(updates=2, batch_size=8)
    c.pretrain.update(updates=2, batch_size=8)
    c.supervised.update(updates=2, batch_size=2, validate_every=2)
    c.supervised.learning_rates = (2e-3,)
    c.finetune.learning_rates = (1e-3,)
    c.mesh.data = 1
    c.study.update(seeds=1, target_seeds=(1,), save_every=1, draws=10)
  return c
