"""Decoding a batch of sources, against `generate` of Hugging Face in PyTorch."""

import functools

import jax.numpy as jnp
import numpy as np

from benchmarks import model_sizes
from benchmarks.case import Case, compiled
from masklearn.models import generate

BATCH, SOURCE, LENGTH = 16, 64, 32


def build(family: str, beams: int, size: str, sides) -> Case:
  """Sources of several lengths; every row is decoded to the end, on both sides alike.

  Agreement is the share of tokens that differ.
  """
  # As drawn, a model says the same whatever it reads; wider, it does not.
  both = model_sizes.pair(family, size, scale=4.0 if family == 'bart' else 1.5)
  rng = np.random.default_rng(0)
  ids = model_sizes.IDS[family]
  lengths = rng.integers(SOURCE // 4, SOURCE + 1, BATCH)
  valid = np.arange(SOURCE) < lengths[:, None]
  source = rng.integers(110, both.model.config.vocab_size, (BATCH, SOURCE))
  source = np.where(valid, source, ids.pad).astype(np.int32)
  # No row ends early, or one side might rest while the other works.
  how = {'max_length': LENGTH, 'rules': generate.Rules(min_length=LENGTH)}
  ours, peer, temp_bytes = None, None, 0

  if 'ours' in sides:

    def decode(*arguments):
      if beams == 1:
        return generate.greedy(both.model, *arguments, **how)
      return generate.beam(both.model, *arguments, beams=beams, **how).tokens[:, 0]

    arguments = both.params, jnp.asarray(source), jnp.asarray(valid)
    ours, temp_bytes = compiled(decode, *arguments)

  if 'peer' in sides:
    import torch

    theirs = model_sizes.peer(both).eval()

    @torch.inference_mode()
    def peer():
      return theirs.generate(
        torch.tensor(source, dtype=torch.long),
        attention_mask=torch.tensor(valid, dtype=torch.long),
        num_beams=beams,
        do_sample=False,
        max_new_tokens=LENGTH,
        min_new_tokens=LENGTH,
        forced_eos_token_id=None,
      )[:, 1:].numpy()

  def agree():
    one, two = np.asarray(ours()), peer()
    return float((one[:, : two.shape[1]] != two).mean())

  return Case(ours, peer, agree, 0.01, temp_bytes, tokens=BATCH * LENGTH)


CASES = {
  'bart_beam4': functools.partial(build, 'bart', 4),
  't5_beam4': functools.partial(build, 't5', 4),
  'bart_greedy': functools.partial(build, 'bart', 1),
}
