"""What should a model mask to learn facts about the world's countries?

python -m experiments.study --config=configs/world.py --workdir=runs/demo

  configs/world.py         the demo: civics, two seeds of what is cheap
  configs/world.py:smoke   seconds, for tests: every stage, nothing learned
  configs/world.py:full    five seeds, both tasks, both output formats, transfer
  configs/world.py:estimators   one task, policies learned by every estimator

All numbers are ours, chosen on validation questions: the paper's setting is one
denoising step and one fine-tuning step (fine_tune_steps = 1) of a published model.
"""

from ml_collections import config_dict

VARIANTS = ('', 'smoke', 'full', 'estimators')


def get_config(variant: str = '') -> config_dict.ConfigDict:
  """Returns the demo's config, or that of a variant."""
  if variant not in VARIANTS:
    raise ValueError(
      f'configs/world.py has the variants {", ".join(VARIANTS[1:])}, got {variant!r}.'
    )
  new = config_dict.create
  c = config_dict.ConfigDict()
  c.name = f'world:{variant}' if variant else 'world'
  c.seed = 0  # of the corpus, and the first of the study's seeds
  c.corpus = new(
    name='world',  # a name of masklearn.corpus.CORPORA
    copies=4,  # passages of each country; for 'world' and 'people'
    size=400,  # invented people; for 'people'
    path='',  # a file, folder or pattern; for a format, of masklearn.corpus.FORMATS
    words=100,  # of a passage at most, 0 for whole documents; for a format
    runner='',  # of Apache Beam, such as 'DirectRunner'; '' is one process; the same
    beam='',  # options of the runner, as on a command line
    longest=102,  # tokens of a passage; a longer one is cut into several
    tokenizer='',  # file, directory or Hugging Face name; '' trains one
    vocabulary=2_500,  # size of a trained one
    annotator='rules',  # of salient spans, or 'corpus', 'none', 'spacy:MODEL'
  )
  c.task = new(
    names='civics',  # of masklearn.tasks.TASKS, separated by commas
    train_share=0.5,  # of the groups; for all tasks but those with three splits
    validation_share=0.2,
    size=400,  # invented people; for 'habits' and 'origins'
    train='',  # files of questions; in paths {task} is the name of the task
    validation='',  # '' splits off part of train
    test='',
    source='',  # directory of a published task, instead; '' and no train is the hub
    options=new(),  # of single tasks, by name: other values, and what only they have
  )
  c.policy = new(
    names='none,random,random_span,salient,same_sentences_random,learned,oracle',
    rate=0.05,  # share of a passage's words that every policy hides
    longest=4,  # words of a learned policy's spans
    width=64,  # of its network
    kernel_size=7,  # tokens that each of its convolutions sees
    encoder='conv',  # 'bilstm', or 'bert'
    checkpoint='',  # directory of Hugging Face's BERT; for 'bert'
    reference='learned',  # whose lengths and sentences random ones take; 'supervised'
  )
  c.model = new(
    name='bart',
    size='tiny',
    checkpoint='',  # a published model, as experiments.convert has written it
    encoder_layers=1,  # with little to understand, memory in the decoder is enough
    encoder_ffn=128,
    init_std=0.125,  # 1 / sqrt(width): BART's 0.02 is for widths of 768 and more
    dtype='float32',  # of the computation; parameters and logits are float32
    remat=False,  # whether layers run once more for the gradient, to save memory
  )
  c.base = new(  # random spans on the whole corpus, as BART has seen Wikipedia
    rate=0.2, updates=1_600, batch_size=16, learning_rate=2e-3, weight_decay=0.01
  )
  c.learn = new(
    updates=200,  # more are somewhat better, see `full`
    episodes=12,  # averaged in an update; one passage and its questions each
    questions=6,  # of an episode; each is one of the paper's, on the same passage
    candidates=12,  # spans sampled from a passage
    uniform_share=0.25,  # share of them that is uniform
    token_dropout=0.3,  # share of tokens hidden from the policy while it learns
    learning_rate=5e-3,  # of Adam
    inner_learning_rate=3e-4,  # of SGD: small, as the model knows the passage but for the facts
    entropy_coefficient=(
      0.07,
      0.0,
    ),  # weight of the policy's entropy, at first and at last
    relaxation='mixture',  # or 'soft', 'straight_through', 'score': see estimators.py
    temperature=(1.0, 0.3),  # of soft draws, at first and at last
    samples=4,  # draws of a passage, in 'score'
    baseline='others',  # of their losses, in 'score': the other draws', or 'learned'
    mode='mixed',  # the way back, of unroll.MODES
    window=1,  # steps that 'truncated' goes back through
    solver='cg',  # of 'implicit', or 'neumann'; its iterations, and its damping
    terms=10,
    damping=1.0,
    memory='fast',  # keeps the gradient of every candidate: it is a small model
    inner_optimizer='sgd',  # of inner.OPTIMIZERS
    inner_steps=1,  # K, on the same passage
    trainable='',  # names of parameters that inner steps change, a regular expression
    fine_tune_steps=0,  # J; the paper has 1
    held_out=False,  # True tunes on the questions of other episodes
    cosine=False,  # whether to log how far an approximate mode is off
    shuffled=False,  # True learns from exchanged answers: the control
    validate_every=40,
    warmup=new(updates=120, batch_size=16, learning_rate=1e-3, validate_every=10),
  )
  c.supervised = new(
    # Answers to learn from: 'task', the gold passages of its training questions, or,
    # without these, 'match', where answers stand in the corpus; files in SQuAD's
    # format; or several, separated by commas.
    pairs='match',
    top_k=5,  # each span is drawn from the so many best; 0 for all
    updates=200,
    batch_size=32,
    learning_rates=(2e-3,),  # each is tried; validation chooses
    weight_decay=0.01,
    validate_every=40,
  )
  c.pretrain = new(updates=320, batch_size=32, learning_rate=2e-3, weight_decay=0.01)
  c.finetune = new(
    updates=150,
    batch_size=32,
    learning_rates=(1e-3,),  # each is tried; validation chooses
    weight_decay=0.01,
    validate_every=10,
    source_length=256,  # tokens of a question; a longer one loses its end
    answer_length=16,  # tokens
  )
  c.recall = new(  # answers that policies hide, where they are known; for the report
    path='',  # files in SQuAD's format, separated by commas; '' measures nothing
    every=20,  # words of a passage to a hidden span
    words=3,  # of a span, on average
    draws=8,
  )
  c.saving = new(
    packing=0, chunk=0, gradient_accumulation=1
  )  # of all stages, see stages.PLAIN
  c.study = new(
    targets='spans',  # output formats, the main one first
    target_seeds=(2,),  # seeds of each
    seeds=2,
    learned_seeds=1,  # of the learned policy and of what is compared with it
    transfer_seeds=0,
    ablations=new(),  # other ways to learn, for the report: by name, changes of `learn`
    ablation_seeds=0,
    ablation_learning_rates=(),  # learning rates that their first seed tries, and the rest follows
    workers=2,  # stages at a time
    save_every=100,  # steps between checkpoints
  )
  if variant == 'full':
    c.task.names = 'civics,geography'
    c.learn.update(updates=300, validate_every=60)
    c.study.update(
      targets='spans,full', target_seeds=(5, 2), seeds=5, learned_seeds=5,
      transfer_seeds=2, ablation_seeds=2,
    )  # fmt: skip
    c.study.ablations = new(J1=new(fine_tune_steps=1), shuffled=new(shuffled=True))
  if variant == 'estimators':
    c.policy.names = 'none,random,learned,oracle'
    c.study.update(seeds=3, target_seeds=(1,), ablation_seeds=3, ablation_learning_rates=(5e-3, 2e-3))
    c.study.ablations = new(
      mixture=new(),
      soft=new(relaxation='soft'),
      straight_through=new(relaxation='straight_through'),
      score=new(relaxation='score'),
      J1=new(fine_tune_steps=1),
      held_out=new(fine_tune_steps=1, held_out=True),
    )
  if variant == 'smoke':
    c.corpus.copies = 1
    c.model.decoder_layers = 1
    c.policy.width = 16
    c.policy.names += ',supervised,original'
    c.base.update(updates=2, batch_size=2)
    c.learn.update(
      updates=2,
      episodes=2,
      questions=2,
      candidates=2,
      uniform_share=0.5,
      validate_every=2,
    )
    c.learn.warmup.update(updates=2, batch_size=2, validate_every=2)
    c.supervised.update(updates=2, batch_size=2, validate_every=2)
    c.pretrain.update(updates=2, batch_size=2)
    c.finetune.update(updates=2, batch_size=2, validate_every=2)
    c.study.update(seeds=1, target_seeds=(1,), save_every=1)
  return c
