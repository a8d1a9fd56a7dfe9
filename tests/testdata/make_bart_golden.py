"""Makes bart_golden.npz: what Hugging Face's BART computes on one small batch.

  python -m tests.testdata.make_bart_golden

Needs torch. A test that no longer agrees with the file has found a change of our
model, not of theirs: make the file anew only where its content was wrong.
"""

import json
import pathlib

import numpy as np
import torch
import transformers

PATH = pathlib.Path(__file__).with_name('bart_golden.npz')

# All sizes differ, so that no two axes can be swapped unseen.
SIZES = {
  'vocab_size': 41,
  'd_model': 12,
  'encoder_layers': 2,
  'decoder_layers': 1,
  'encoder_attention_heads': 2,
  'decoder_attention_heads': 3,
  'encoder_ffn_dim': 20,
  'decoder_ffn_dim': 28,
  'max_position_embeddings': 17,
  'forced_eos_token_id': None,
  'scale_embedding': True,
  'init_std': 0.3,
}
PAD, BOS, EOS = 1, 0, 2


def random_model(seed=0, **sizes):
  """A BART without a zero or a one among its parameters, as they would hide errors."""
  torch.manual_seed(seed)
  config = transformers.BartConfig(**(SIZES | sizes))
  model = transformers.BartForConditionalGeneration(config).eval()
  model.final_logits_bias.normal_()
  with torch.no_grad():
    for parameter in model.parameters():
      if parameter.ndim == 1:
        parameter += 0.3 * torch.randn_like(parameter)
  return model


def random_batch(seed=0, vocab_size=41, lengths=(7, 3, 5), target_lengths=(4, 5, 2)):
  """Source, its mask, decoder input and labels, padded behind their `</s>`."""
  rng = np.random.default_rng(seed)
  source, target = (
    np.stack([_row(rng, vocab_size, n, max(lens)) for n in lens])
    for lens in (lengths, target_lengths)
  )
  decoder_input = np.pad(target, ((0, 0), (1, 0)), constant_values=EOS)[:, :-1]
  return source, source != PAD, decoder_input, target


def _row(rng, vocab_size, length, width):
  row = np.full(width, PAD, np.int32)
  row[:length] = rng.integers(3, vocab_size, length)
  row[length - 1] = EOS
  return row


def compute(model, source, valid, decoder_input, target):
  """Logits, loss and the gradient of every tensor, as numpy arrays."""
  model.zero_grad()
  result = model(
    input_ids=torch.tensor(source, dtype=torch.long),
    attention_mask=torch.tensor(valid, dtype=torch.long),
    decoder_input_ids=torch.tensor(decoder_input, dtype=torch.long),
    labels=torch.tensor(np.where(target == PAD, -100, target), dtype=torch.long),
  )
  result.loss.backward()
  gradients = {name: p.grad.numpy() for name, p in model.named_parameters()}
  return result.logits.detach().numpy(), result.loss.item(), gradients


def main():
  """Writes the file."""
  model = random_model()
  batch = random_batch()
  logits, loss, gradients = compute(model, *batch)
  names = ('source', 'valid', 'decoder_input', 'target')
  np.savez_compressed(
    PATH,
    config=json.dumps(model.config.to_dict()),
    logits=logits,
    loss=loss,
    **dict(zip(names, batch, strict=True)),
    **{f'tensor {n}': t.numpy() for n, t in model.state_dict().items()},
    **{f'gradient {n}': g for n, g in gradients.items()},
  )


if __name__ == '__main__':
  main()
