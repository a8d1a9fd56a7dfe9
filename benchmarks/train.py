"""A step of training with AdamW and dropout, against Hugging Face's in PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import lengths, matmuls, model_sizes
from benchmarks.case import Case
from masklearn import data
from masklearn.training import losses, packing, steps
from masklearn.types import Corrupted

BATCH = {'full': 8, 'questions': 32, 'passages': 8}  # rows of a step
SOURCE, TARGET = 128, 64
STEPS = 4  # of each kind of examples with real lengths
ROW = {'questions': 128, 'passages': 256}  # source tokens of a packed row
RATE = 1e-4


def build(
  family: str,
  kinds: tuple[str, ...],
  size: str,
  sides,
  chunk: int | None = None,
  gradient_accumulation: int = 1,
  remat: bool = False,
  dtype: str = 'float32',
  tolerance: float = 1e-5,
) -> Case:
  """Some examples once: a full batch, or four of real questions, of passages, or both.

  On our side rows hold several examples, and the loss is computed where there are
  targets; on the peer's every batch is padded to its longest example. Both make as
  many steps. Agreement is that of the mean loss of all target tokens, without dropout.
  `chunk`, `gradient_accumulation`, `remat` and `dtype` save memory on our side.
  """
  both = model_sizes.pair(family, size, dropout=0.1, remat=remat, dtype=dtype)
  plain = model_sizes.pair(family, size, dtype=dtype)
  full, ids = kinds == ('full',), model_sizes.IDS[family]
  vocabulary = both.model.config.vocab_size
  examples = {kind: _examples(kind, vocabulary, ids) for kind in kinds}
  ours = peer = agree = alone = None
  temp_bytes = 0
  if 'ours' in sides:
    batches = [b for kind in kinds for b in _batches(kind, examples[kind], ids.pad)]
    loss = losses.make_token_loss(both.model, chunk=chunk)
    ours, alone, temp_bytes = _ours(loss, both.params, batches, gradient_accumulation)
  if 'peer' in sides:
    inputs = [
      _padded(data.take(rows, slice(first, first + BATCH[kind])))
      for kind, rows in examples.items()
      for first in range(0, len(rows.source), BATCH[kind])
    ]
    peer = _peer(model_sizes.peer(both).train(), inputs)
  if set(sides) == {'ours', 'peer'}:
    agree = functools.partial(_disagreement, plain, batches, inputs, chunk)
  return Case(
    ours,
    peer,
    agree,
    tolerance,
    temp_bytes,
    tokens=sum(int(packing.lengths(rows).sum()) for rows in examples.values()),
    matmul_seconds=alone if full and not chunk else None,
  )


def _ours(loss, params, batches, gradient_accumulation):
  """One step on each batch, the seconds of its matrix products, and XLA's bytes."""
  tx = optax.adamw(RATE, weight_decay=0.01)
  step = steps.make_step(loss, tx, gradient_accumulation)
  key = jax.random.key(0)
  holder = [steps.init_state(jax.tree.map(jnp.copy, params), tx)]
  jitted = jax.jit(step, donate_argnums=0)
  compiled = {}  # by shape
  for batch in batches:
    if batch.source.shape not in compiled:
      compiled[batch.source.shape] = jitted.lower(holder[0], key, batch).compile()

  def ours():
    for batch in batches:
      run = compiled[batch.source.shape]
      holder[0], metrics = run(holder[0], key, batch)
      jax.block_until_ready(metrics['loss'])

  def alone():
    return sum(matmuls.seconds(step, holder[0], key, batch) for batch in batches)

  analyses = [run.memory_analysis() for run in compiled.values()]
  return ours, alone, max(found.temp_size_in_bytes for found in analyses)


def _peer(model, inputs):
  """The peer's steps on as many batches."""
  import torch

  optimizer = torch.optim.AdamW(
    model.parameters(), lr=RATE, weight_decay=0.01, fused=True
  )

  def peer():
    for batch in inputs:
      optimizer.zero_grad(set_to_none=True)
      loss = model(**batch).loss
      loss.backward()
      optimizer.step()
      loss.item()

  return peer


def _disagreement(plain, batches, inputs, chunk) -> float:
  """The relative difference of both mean losses of a target token."""
  import torch

  loss = jax.jit(losses.make_token_loss(plain.model, train=False, chunk=chunk))
  found = [loss(plain.params, None, batch) for batch in batches]
  tokens = [float(aux['tokens']) for _, aux in found]
  one = np.average([float(value) for value, _ in found], weights=tokens)
  model = model_sizes.peer(plain).eval()
  with torch.no_grad():
    two = np.average(
      [model(**batch).loss.item() for batch in inputs],
      weights=[int((batch['labels'] != -100).sum()) for batch in inputs],
    )
  return abs(one - two) / abs(two)


def _examples(kind, vocab, ids) -> Corrupted:
  """Random rows of the lengths of a kind, each padded to the longest."""
  sizes = np.full((BATCH[kind], 2), [SOURCE, TARGET])
  if kind != 'full':
    sizes = lengths.load(kind, STEPS * BATCH[kind])
  rng = np.random.default_rng(0)
  made = []
  for length in sizes.T:
    used = np.arange(length.max()) < length[:, None]
    made.append((used, np.where(used, rng.integers(110, vocab, used.shape), ids.pad)))
  (valid, source), (counts, target) = made
  source, target = source.astype(np.int32), target.astype(np.int32)
  shifted = np.pad(target, ((0, 0), (1, 0)), constant_values=ids.decoder_start)[:, :-1]
  return Corrupted(source, valid, shifted, target, counts.astype(np.float32))


def _batches(kind: str, examples: Corrupted, pad: int) -> list[Corrupted]:
  """All examples once: full ones as they are, others packed into rows for `STEPS`."""
  if kind == 'full':
    return [jax.tree.map(jnp.asarray, examples)]
  plan = packing.plan(packing.lengths(examples), ROW[kind], seed=0)
  # The last batch is filled up with rows of nothing.
  count = -(-len(plan.rows) // STEPS)
  rows = np.full((STEPS * count, plan.rows.shape[1]), -1)
  rows[: len(plan.rows)] = plan.rows
  return [
    packing.pack(
      data.take(examples, index.reshape(-1)), index >= 0, plan.source, plan.target, pad
    )[0]
    for index in np.split(rows, STEPS)
  ]


def _padded(batch: Corrupted):
  """Arguments of Hugging Face's model, as wide as the longest row."""
  import torch

  source, target = batch.source_valid.sum(1).max(), int((batch.weight > 0).sum(1).max())
  labels = np.where(batch.weight > 0, batch.target, -100)[:, :target]
  arguments = {
    'input_ids': batch.source[:, :source],
    'attention_mask': batch.source_valid[:, :source],
    'decoder_input_ids': batch.decoder_input[:, :target],
    'labels': labels,
  }
  return {k: torch.tensor(v, dtype=torch.long) for k, v in arguments.items()}


_FULL, _REAL = ('full',), ('questions', 'passages')
_chunked = functools.partial(build, chunk=512)  # leaves out the logits of padding
_bart_full = functools.partial(build, 'bart', _FULL)
CASES = {
  'bart_full': _bart_full,
  'bart_lengths': functools.partial(_chunked, 'bart', _REAL),
  't5_full': functools.partial(build, 't5', _FULL),
  't5_lengths': functools.partial(_chunked, 't5', _REAL),
  'bart_questions': functools.partial(_chunked, 'bart', _REAL[:1]),
  'bart_passages': functools.partial(_chunked, 'bart', _REAL[1:]),
  'bart_full_chunk': functools.partial(_bart_full, chunk=128),
  'bart_full_accumulated': functools.partial(_bart_full, gradient_accumulation=4),
  'bart_full_remat': functools.partial(_bart_full, remat=True),
  'bart_full_bfloat16': functools.partial(_bart_full, dtype='bfloat16', tolerance=1e-3),
}
