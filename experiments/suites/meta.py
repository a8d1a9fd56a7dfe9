"""A meta-gradient through K denoising steps and one of fine-tuning.

Soft masks of 8 passages of 128 tokens, SGD, no policy network: what is differentiated
is the share of each token that is hidden. `higher` does the same with the graph of
every step in memory; the peer `reverse` is our own reverse mode over reverse mode.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.suites import shapes
from experiments.suites.case import Case
from masklearn import losses, meta, relaxations, steps
from masklearn.outer import Episode
from masklearn.policies import soft
from masklearn.types import Batch, Corrupted

PASSAGES, LENGTH = 8, 128  # with <s> and </s>
QUESTIONS, SOURCE, TARGET = 8, 16, 8
RATE = 0.05
CHUNK = {'low': 4, 'fast': PASSAGES}  # passages in memory at once


def build(count: int, memory: str, size: str, sides, peer: str) -> Case:
  """K = `count` steps, J = 1. Agreement is that of the gradients, in float64."""
  ours = other = agree = None
  temp_bytes = 0
  if 'ours' in sides:
    ours, temp_bytes = _compiled(size, count, 'mixed', memory)
  if 'peer' in sides:
    other = _peer(size, count, peer)

  if set(sides) == {'ours', 'peer'}:

    def agree():
      with jax.enable_x64(True):
        one = np.asarray(_compiled(size, count, 'mixed', memory, 'float64')[0]())
        two = np.asarray(_peer(size, count, peer, 'float64')())
        return np.linalg.norm(one - two) / np.linalg.norm(one)

  tokens = PASSAGES * LENGTH * count
  return Case(ours, other, agree, 1e-3, temp_bytes, tokens=tokens)


class Work:
  """What both sides are given, as numpy arrays."""

  def __init__(self, size: str, count: int, dtype: str):
    """Everything random, from one seed."""
    self.pair = shapes.pair('bart', size, dtype=dtype)
    self.ids = shapes.IDS['bart']
    rng = np.random.default_rng(0)
    vocabulary = self.pair.model.config.vocab_size
    shape = count, PASSAGES, LENGTH - 2
    self.tokens = rng.integers(110, vocabulary, shape).astype(np.int32)
    self.shares = rng.uniform(0.05, 0.3, shape).astype(dtype)

    def question():
      source = rng.integers(110, vocabulary, (QUESTIONS, SOURCE)).astype(np.int32)
      target = rng.integers(110, vocabulary, (QUESTIONS, TARGET)).astype(np.int32)
      start = np.full((QUESTIONS, 1), self.ids.decoder_start, np.int32)
      shifted = np.concatenate([start, target[:, :-1]], 1)
      weight = np.ones(target.shape, dtype)
      return Corrupted(source, np.ones(source.shape, bool), shifted, target, weight)

    self.support, self.query = question(), question()


def _compiled(size, count, mode, memory='low', dtype='float32'):
  """Our side, as a function that waits for the gradient, and its temporaries."""
  work = Work(size, count, dtype)
  none = np.zeros_like(work.tokens)
  shown = Batch(work.tokens, none == 0, none, none, none, none)
  unread = work.tokens, work.tokens[..., 0], shown
  draw = soft.Noise(*unread, passages=shown)
  row_sums = losses.make_row_sums(work.pair.model)
  relaxation = relaxations.soft(
    None,
    row_sums,
    work.ids,
    0.15,
    chunk=CHUNK[memory],
    decide=lambda policy, theta, noise, rate: theta,
  )
  tx = optax.sgd(RATE)
  given = meta.make_meta_gradient(
    relaxation, row_sums, tx, fine_tune_steps=1, mode=mode, memory=memory
  )
  questions = jax.tree.map(lambda x: x[None], (work.support, work.query))
  episode = Episode(shown, *questions, jnp.ones(1))
  params = jax.tree.map(lambda x: x.astype(dtype), work.pair.params)
  arguments = jax.tree.map(
    jnp.asarray,
    (
      work.shares.reshape(-1, LENGTH - 2),
      steps.init_state(params, tx),
      episode,
      draw,
      jax.random.key(0),
    ),
  )
  compiled = jax.jit(lambda *all: given.gradient(*all)[1]).lower(*arguments).compile()

  def run():
    return jax.block_until_ready(compiled(*arguments))

  return run, compiled.memory_analysis().temp_size_in_bytes


def _peer(size, count, peer, dtype='float32'):
  if peer == 'reverse':
    return _compiled(size, count, 'reverse', dtype=dtype)[0]
  return _higher(size, count, dtype)


def _higher(size, count, dtype='float32'):
  """Hugging Face's model in PyTorch, its steps made differentiable by `higher`."""
  import higher
  import torch

  work = Work(size, count, dtype)
  kind = getattr(torch, dtype)

  class Soft(torch.nn.Module):
    """BART that reads tokens of which a share is `<mask>`."""

    def __init__(self, model):
      super().__init__()
      self.model = model

    def forward(self, source, shares, decoder_input, target, weight):
      table = self.model.model.shared
      x = table(source)
      if shares is not None:
        hidden = table(torch.full((1, 1), work.ids.mask))
        x = (1 - shares[..., None]) * x + shares[..., None] * hidden
      logits = self.model(inputs_embeds=x, decoder_input_ids=decoder_input).logits
      nll = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), reduction='none'
      ).view(target.shape)
      return ((nll * weight).sum(-1) / weight.sum(-1)).mean()

  theirs = shapes.peer(work.pair, attention='eager').to(kind)  # has second derivatives
  model = Soft(theirs)
  optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

  def tensor(x):
    return torch.tensor(x, dtype=kind if x.dtype.kind == 'f' else torch.long)

  begin, end = (
    np.full((count, PASSAGES, 1), token) for token in (work.ids.bos, work.ids.eos)
  )
  whole = tensor(np.concatenate([begin, work.tokens, end], -1))
  start = torch.full_like(whole[..., :1], work.ids.decoder_start)
  shifted = torch.cat([start, whole[..., :-1]], -1)
  questions = [
    [tensor(x) for x in (q.source, q.decoder_input, q.target, q.weight)]
    for q in (work.support, work.query)
  ]

  def run():
    shares = tensor(work.shares).requires_grad_()
    padded = torch.nn.functional.pad(shares, (1, 1))
    with higher.innerloop_ctx(model, optimizer) as (functional, inner):
      for k in range(count):
        inner.step(functional(whole[k], padded[k], shifted[k], whole[k], padded[k]))
      source, *rest = questions[0]
      inner.step(functional(source, None, *rest))
      source, *rest = questions[1]
      outer = functional(source, None, *rest)
    return torch.autograd.grad(outer, shares)[0].reshape(-1, LENGTH - 2).numpy()

  return run


CASES = {
  f'K{count}-{memory}': functools.partial(build, count, memory)
  for count, memory in [(1, 'low'), (1, 'fast'), (4, 'low'), (4, 'fast'), (8, 'low')]
}
