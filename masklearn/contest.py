"""Policies side by side by the answers that they hide: supervised ones and others.

WORKDIR/
  config.json  recall.jsonl (a row for every policy)
  policies/NETWORK/SEED  the supervised policies

All see the same passages, of articles that nothing was trained on.
"""

import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from masklearn import answers, files, policies, provenance, recall, supervise, text
from masklearn.answers import Answered
from masklearn.models import bert
from masklearn.policies import fixed
from masklearn.progress import Progress
from masklearn.tasks import splits, squad
from masklearn.types import Answers, InputError, Policy

REFERENCES = 'random', 'salient'  # what the others are compared with


class Network(NamedTuple):
  """A network to supervise, with passages in its tokens."""

  tokenizer: text.Tokenizer
  encoded: Mapping[str, Answers]  # of every split
  policy: Policy
  start: Any  # function of a key: the parameters before training


def run(config, workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """Trains the supervised policies and returns the rows of recall.jsonl.

  Args:
    config: see configs/recall.py.
    workdir: where everything goes; what was interrupted goes on from there.

  Raises:
    InputError: unusable files, or a work directory that another config made.
  """
  workdir, c = pathlib.Path(workdir), config
  path = workdir / 'recall.jsonl'
  answered = passages(c.seed, **c.data)
  provenance.claim(workdir, c)
  if path.exists():
    return files.read_jsonl(path)
  found: dict[str, list[recall.Recall]] = {}
  with Progress() as progress:
    for name, options in c.networks.items():
      network = make_network(answered, c.rate, **options)
      for seed in range(c.seed, c.seed + c.seeds):
        done = supervise.train_policy(
          network.policy,
          network.start(jax.random.key(seed)),
          network.encoded['train'],
          network.encoded['validation'],
          workdir / 'policies' / name / str(seed),
          title=f'supervised, {name}, seed {seed}',
          progress=progress,
          seed=seed,
          **c.supervised,
        )
        beside = name == next(iter(c.networks))
        for label, one in _measured(
          name, network, done['theta'], answered['test'], c, seed, beside
        ):
          found.setdefault(label, []).append(one)
  rows = recall.summary(
    {label: recall.averaged(each) for label, each in found.items()}, REFERENCES
  )
  made = {'seeds': c.seeds, 'commit': provenance.commit()}
  files.write_jsonl(path, ({**row, **made} for row in rows))
  return files.read_jsonl(path)


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
    raise InputError(
      "--config.data.path names the file of passages, in SQuAD's format."
    )
  examples, _ = squad.read(path)
  groups = sorted({example.group for example in examples})
  if not 1 < train_groups <= len(groups) - (not test_path):
    raise InputError(
      f'{path} has {len(groups)} articles, so train_groups must be between 2 and '
      f'{len(groups) - (not test_path)}, got {train_groups}.'
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
    split: answers.split(
      answers.of_examples(rows), lambda piece: len(text.words(piece)), words
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
  reach: int,
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
    reach: tokens that a convolution sees.
  """
  if (encoder == 'bert') != bool(checkpoint):
    raise InputError(
      "A checkpoint is the directory of the encoder 'bert' and of no other, got "
      f'encoder {encoder!r} and checkpoint {checkpoint!r}.'
    )
  texts = [a.passage.text for a in answered['train']]
  if checkpoint:
    tokenizer = text.load_tokenizer(checkpoint)
    shape, start = bert.load(checkpoint, tokenizer.specials)
  else:
    tokenizer, shape, start = text.train_tokenizer(texts, vocabulary), None, None
  length = max(
    len(tokenizer.encode(a.passage.text).ids)
    for rows in answered.values()
    for a in rows
  )
  encoded = {
    split: answers.encode(rows, tokenizer, length) for split, rows in answered.items()
  }
  policy = policies.POLICIES['supervised'](
    rate,
    tokenizer.size,
    longest,
    width=width,
    reach=reach,
    embedding=width,
    encoder=encoder,
    bert=shape,
    start=start,
    learn_words=True,
  )
  return Network(tokenizer, encoded, policy, policy.init)


def _measured(
  name, network, theta, test, c, seed, beside
) -> Iterator[tuple[str, recall.Recall]]:
  """Yields labels and recalls: of the supervised policy and, if `beside`, of others."""
  policy = network.policy
  # A random one as long as what is supervised, so that lengths are not the reason.
  pairs = [(f'random spans as of {name}', fixed.random_span(c.rate, policy), theta, 0)]
  if beside:
    pairs += [
      (other, policies.POLICIES[other](c.rate), {}, 0)
      for other in ('random', 'salient')
    ]
  pairs += [(f'{name}, top {top}', policy, theta, top) for top in c.tops]
  for label, policy, parameters, top in pairs:
    scores = jax.jit(functools.partial(policy.scores, parameters))
    yield label, recall.measure(
      scores, test, network.encoded['test'], network.tokenizer, seed=seed, top=top,
      **c.recall,
    )  # fmt: skip
