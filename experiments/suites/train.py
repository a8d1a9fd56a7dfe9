"""A step of training with AdamW and dropout, against Hugging Face's in PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.suites import shapes
from experiments.suites.case import Case
from masklearn import losses, steps
from masklearn.types import Corrupted

BATCH, SOURCE, TARGET = 8, 128, 64
RATE = 1e-4


def build(family: str, size: str, sides) -> Case:
  """A full batch without padding; agreement is that of the loss without dropout."""
  both = shapes.pair(family, size, dropout=0.1)
  plain = shapes.pair(family, size)
  rng = np.random.default_rng(0)
  vocab = both.model.config.vocab_size
  source = rng.integers(110, vocab, (BATCH, SOURCE)).astype(np.int32)
  target = rng.integers(110, vocab, (BATCH, TARGET)).astype(np.int32)
  start = shapes.IDS[family].decoder_start
  shifted = np.pad(target, ((0, 0), (1, 0)), constant_values=start)[:, :-1]
  ours, peer, agree, temp_bytes = None, None, None, 0

  if 'ours' in sides:
    batch = Corrupted(
      jnp.asarray(source),
      jnp.ones(source.shape, bool),
      jnp.asarray(shifted),
      jnp.asarray(target),
      jnp.ones(target.shape, jnp.float32),
    )
    tx = optax.adamw(RATE, weight_decay=0.01)
    step = steps.make_step(losses.make_token_loss(both.model), tx)
    # Dropout's bits are most of what is drawn; this generator is the fast one.
    key = jax.random.key(0, impl='rbg')
    holder = [steps.init_state(jax.tree.map(jnp.copy, both.params), tx)]
    compiled = jax.jit(step, donate_argnums=0).lower(holder[0], key, batch).compile()
    temp_bytes = compiled.memory_analysis().temp_size_in_bytes

    def ours():
      holder[0], metrics = compiled(holder[0], key, batch)
      return float(jax.block_until_ready(metrics['loss']))

  if 'peer' in sides:
    import torch

    theirs = shapes.peer(both).train()
    optimizer = torch.optim.AdamW(
      theirs.parameters(), lr=RATE, weight_decay=0.01, fused=True
    )
    inputs = {
      'input_ids': torch.tensor(source, dtype=torch.long),
      'decoder_input_ids': torch.tensor(shifted, dtype=torch.long),
      'labels': torch.tensor(target, dtype=torch.long),
    }

    def peer():
      optimizer.zero_grad(set_to_none=True)
      loss = theirs(**inputs).loss
      loss.backward()
      optimizer.step()
      return loss.item()

  if set(sides) == {'ours', 'peer'}:

    def agree():
      loss = losses.make_token_loss(plain.model, train=False)
      one = float(jax.jit(loss)(plain.params, None, batch)[0])
      with torch.no_grad():
        two = shapes.peer(plain).eval()(**inputs).loss.item()
      return abs(one - two) / abs(two)

  return Case(ours, peer, agree, 1e-5, temp_bytes)


CASES = {
  'bart_full': functools.partial(build, 'bart'),
  't5_full': functools.partial(build, 't5'),
}
