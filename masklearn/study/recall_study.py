"""Policies side by side by the answers that they hide: supervised ones and others.

WORKDIR/
  config.json  recall.jsonl (a row for every policy)
  policies/NETWORK/SEED  the supervised policies

All see the same passages, of articles that nothing was trained on.
"""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from masklearn import text
from masklearn.data import answer_spans
from masklearn.data.answer_spans import Answered
from masklearn.evaluation import recall
from masklearn.io import checksums, files, provenance
from masklearn.io import workdir as working_directory
from masklearn.io.progress import Progress
from masklearn.models import bert
from masklearn.policies import heuristic
from masklearn.policies.learned import supervised
from masklearn.study import recall_config, stage, supervise
from masklearn.study.config import new_name
from masklearn.tasks import splits, squad
from masklearn.training.context import StageContext
from masklearn.training.mesh import one_device
from masklearn.types import Answers, InputError, Policy

LAST = 'recall.jsonl'  # is written at the end
# What supervised policies are compared with: nothing has trained them.
REFERENCES = {'random': heuristic.whole_word, 'salient': heuristic.salient}


class Network(NamedTuple):
  """A network to supervise, with passages in its tokens."""

  tokenizer: text.Tokenizer
  encoded: Mapping[str, Answers]  # of every split
  policy: Policy
  start: Any  # function of a key: the parameters before training


def run(config, workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """Trains the supervised policies and returns the rows of recall.jsonl.

  Args:
    config: see `recall_config.default_config`.
    workdir: where everything goes; what was interrupted goes on from there.

  Raises:
    InputError: unusable files, or a work directory that another config made.
  """
  recall_config.check(config)
  answered = passages(config.seed, **config.data)
  path = pathlib.Path(workdir) / LAST
  with working_directory.held(workdir, config, new_name, last=LAST) as over:
    if not over:
      rows = _rows(config, path.parent, answered)
      files.write_jsonl(path, rows, parents=False)
      checksums.add(path.parent, [LAST])
    return files.read_jsonl(path)


def _rows(config, workdir, answered) -> list[dict[str, Any]]:
  """Trains what is left to train, and measures."""
  c = config
  found: dict[str, recall.Recall] = {}
  options = dict(c.supervised)
  save_every = options.pop('save_every')
  training = supervise.Supervision(**options)
  with Progress() as progress:
    for name, options in c.networks.items():
      network = make_network(answered, c.rate, **options)
      thetas = []
      for seed in range(c.seed, c.seed + c.seeds):
        directory = workdir / 'policies' / name / str(seed)
        title = f'supervised, {name}, seed {seed}'
        start = network.start(jax.random.key(seed))
        supervise.train_policy(
          network.policy,
          start,
          (network.encoded['train'], network.encoded['validation']),
          training,
          StageContext(directory, title, progress, save_every, seed),
        )
        thetas.append(stage.saved(directory / 'theta', start, one_device()).read())
      compared = _beside(c, name, network.policy, thetas)
      found |= recall.of_policies(
        # Those that know no network are measured with the first.
        [one for one in compared if one[0] not in found],
        answered['test'],
        network.encoded['test'],
        network.tokenizer,
        c.seed,
        **c.recall,
      )
  made = {'seeds': c.seeds, 'commit': provenance.commit()}
  return [{**row, **made} for row in recall.summary(found, list(REFERENCES))]


def passages(
  seed: int,
  path: str,
  test_path: str,
  train_groups: int,
  validation_share: float,
  words: int,
) -> dict[str, list[Answered]]:
  """Returns the passages of three splits, by article.

  Args:
    seed: of the split.
    path: a file of SQuAD's format.
    test_path: another one to test on; '' for the articles of `path` that are left.
    train_groups: articles to train on.
    validation_share: of these, for the choice of learning rate and moment.
    words: of a passage at most; longer ones are cut between sentences.
  """
  if not path:
    said = "--config.data.path names the file of passages, in SQuAD's format."
    raise InputError(said)
  examples, _ = squad.read(path)
  groups = sorted({example.group for example in examples})
  most = len(groups) - (not test_path)
  if not 1 < train_groups <= most:
    raise InputError(
      f'{path} has {len(groups)} articles, so train_groups must be between 2 and '
      f'{most}, got {train_groups}.'
    )
  kept = max(1, round(validation_share * train_groups))
  shares = (train_groups - kept) / len(groups), kept / len(groups)
  split_of = splits.split_groups(groups, seed, *shares)
  found = {split: [] for split in splits.SPLITS}
  for example in examples:
    found[split_of[example.group]].append(example)
  if test_path:
    found['test'] = squad.read(test_path)[0]
  return {
    split: answer_spans.split(
      answer_spans.of_examples(rows), lambda piece: len(text.words(piece)), words
    )[0]
    for split, rows in found.items()
  }


def make_network(
  answered: Mapping[str, Sequence[Answered]],
  rate: float,
  encoder: str,
  checkpoint: str,
  vocabulary: int,
  longest: int,
  width: int,
  kernel_size: int,
) -> Network:
  """Returns a network for supervision, and the passages in its tokens.

  Args:
    answered: the passages of every split.
    rate: of the policy.
    encoder: a name of `encoders.ENCODERS`; its words are learned, too.
    checkpoint: directory of Hugging Face's BERT with its tokenizer; '' for a random
      network and a tokenizer that is trained on the training passages.
    vocabulary: size of a trained tokenizer.
    longest: words of a span at most.
    width: of the network, but for BERT.
    kernel_size: tokens that a convolution sees.
  """
  texts = [a.passage.text for a in answered['train']]
  if checkpoint:
    tokenizer = text.load_tokenizer(checkpoint)
    shape, start = bert.load(checkpoint, tokenizer.specials)
  else:
    tokenizer, shape, start = text.train_tokenizer(texts, vocabulary), None, None
  every = itertools.chain(*answered.values())
  length = max(len(tokenizer.encode(a.passage.text).ids) for a in every)
  encoded = {
    split: answer_spans.encode(rows, tokenizer, length)
    for split, rows in answered.items()
  }
  policy = supervised(
    rate,
    tokenizer.size,
    longest,
    width=width,
    kernel_size=kernel_size,
    embedding=width,
    encoder=encoder,
    bert=shape,
    start=start,
    learn_words=True,
  )
  return Network(tokenizer, encoded, policy, policy.init)


def _beside(c, name, policy, thetas) -> list[tuple[str, Policy, Sequence[Any], int]]:
  """The supervised policy and what it is compared with, for `recall.of_policies`."""
  seeds = [{}] * c.seeds
  return [
    *((other, make(c.rate), seeds, 0) for other, make in REFERENCES.items()),
    # As long as what is supervised, so that lengths are not the reason.
    (f'random spans as of {name}', heuristic.random_span(c.rate, policy), thetas, 0),
    *((f'{name}, top {top}', policy, thetas, top) for top in c.top_k),
  ]
