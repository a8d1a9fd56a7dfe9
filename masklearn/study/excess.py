"""Giving a policy its parameters by excess losses: which words a model can still learn.

A word is worth hiding where a reference model, which has been pre-trained on the
passages, restores it better than the base model does: not where both know it, nor where
neither can, as with noise.

References:
  Lin et al., Rho-1: Not All Tokens Are What You Need (2024), section 2.2, which selects
  the tokens of a language model's loss so. https://arxiv.org/abs/2404.07965
"""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masklearn import data
from masklearn.policies import ngrams, occurrences, sampling
from masklearn.policies.capacity import part_capacity
from masklearn.study import stage
from masklearn.study.setup import Setup
from masklearn.training import corruption, losses
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Batch, MaskDraw, Specials

_NUMBER = 1 << 24  # above all tokens: a word's number in place of its tokens


class Scoring(NamedTuple):
  """How words are scored by the losses of two models."""

  rounds: int  # times that each word of a passage is hidden
  parts: int  # of a passage's words in a round, hidden one part at a time
  batch_size: int  # passages
  sharpness: float  # nats of a draw to a standard deviation of the excess loss


def score_passages(
  setup: Setup,
  passages: Batch,
  params: tuple[Start, Start],
  target: str,
  sizes: tuple[int, int],
  scoring: Scoring,
  context: StageContext,
) -> dict[str, Any]:
  """Scores each word of each passage by its excess loss.

  In a round the words of a passage are divided into parts at random, and each part is
  hidden once, every word of it behind a marker of its own. The excess of a word is the
  loss of the base model minus that of the reference, summed over the word's tokens; its
  mean over rounds, and over passages of the same tokens, is divided by the standard
  deviation over all words and multiplied by `sharpness`: the policy's log-weight.

  Args:
    setup: tokenizer and model.
    passages: encoded, [P, L].
    params: of the base model and of the reference model.
    target: the format in which words are restored, 'spans' or 'full'.
    sizes: passages and words that the policy's table has room for.
    scoring: how.
    context: where, and from which seed, that of the parts.

  Returns:
    `seconds`; `excess`, the mean excess loss of a word in nats, and `deviation`, its
    standard deviation; `theta` in the stage's directory gets the parameters.

  Raises:
    InputError: a part has more words than T5 has sentinels.
  """
  done = stage.finished(context.directory, 'theta')
  if done:
    return done
  began, layout, ids = time.monotonic(), context.layout, setup.tokenizer.specials
  length = int(part_capacity(passages, scoring.parts, ids).max())
  given = setup.model, ids, target, length, scoring.rounds, scoring.parts
  compute = compiled(*given, layout)
  both, key = tuple(start.read() for start in params), jax.random.key(context.seed)
  found = []
  rows = data.filled(len(passages.tokens), layout.multiple(scoring.batch_size))
  for i, index in enumerate(rows):
    texts = layout.batch(lambda own, i=index: data.take(passages, i[own]), len(index))
    found.append(layout.read(compute(both, jax.random.fold_in(key, i), texts)))
    context.progress.check()
  excess, inside, first, second = (
    np.concatenate(parts)[: len(passages.tokens)] for parts in zip(*found, strict=True)
  )
  mean, deviation = float(excess[inside].mean()), float(excess[inside].std())
  weight = np.where(inside, scoring.sharpness * excess / max(deviation, 1e-9), 0)
  entries, width = sizes
  weight = np.pad(weight, ((0, 0), (0, width - weight.shape[1])))
  theta = occurrences.table(np.stack([first, second]), weight, entries)
  seconds = time.monotonic() - began
  done = {'seconds': seconds, 'excess': mean, 'deviation': deviation}
  return stage.finish(context.directory, done, 'theta', layout.place(theta))


@functools.cache
def compiled(
  model,
  ids: Specials,
  target: str,
  length: int,
  rounds: int,
  parts: int,
  layout: Layout,
):
  """The compiled `((base, reference), key, passages) -> (excess, exists, *hashes)`.

  `excess` [B, W] is the mean excess loss of each word, `exists` [B, W] whether there is
  one; the two hashes are those of the passages, [B] each.
  """
  token_losses = losses.make_token_losses(model)

  def hide(batch, own):
    """The draw of some words [B, W], each a span of its own."""
    hidden = sampling.of_tokens(own.astype(jnp.float32), batch)
    before = jnp.pad(batch.word, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
    begins = jnp.where(batch.word != before, hidden, 0)
    return MaskDraw(hidden, begins, jnp.zeros(len(hidden)))

  def excess(both, batch, own):
    """The excess losses of some words, [B, W]."""
    draw, row = hide(batch, own), jnp.arange(len(own), dtype=jnp.int32)[:, None]
    examples = corruption.corrupt(batch, draw, ids, target, length)
    # With numbers of words in place of tokens, the target says whose each token is.
    numbered = batch._replace(tokens=batch.word + _NUMBER)
    word = corruption.corrupt(numbered, draw, ids, target, length).target - _NUMBER
    known = word >= 0
    known &= jnp.take_along_axis(own, jnp.maximum(word, 0), axis=1)  # [B, T]
    base, reference = (token_losses(params, None, examples)[0] for params in both)
    place = jnp.where(known, word, own.shape[1])
    return jnp.zeros(own.shape).at[row, place].add(base - reference, mode='drop')

  def scored(both, key, batch):
    exists = sampling.fits(batch, 1)[..., 0]  # [B, W]

    def one(total, turn):
      noise = jax.random.uniform(jax.random.fold_in(key, turn // parts), exists.shape)
      rank = jnp.where(exists, noise, 2.0).argsort(-1).argsort(-1)
      own = exists & (rank % parts == turn % parts)
      return total + excess(both, batch, own), None

    turns = jnp.arange(rounds * parts, dtype=jnp.int32)
    total, _ = jax.lax.scan(one, jnp.zeros(exists.shape), turns)
    return total / rounds, exists, *ngrams.passage_hashes(batch)

  return layout.jit_whole(scored)
