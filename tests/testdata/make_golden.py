"""Makes bart_golden.npz and t5_golden.npz: what Hugging Face computes on a small batch.

  python -m tests.testdata.make_golden [bart] [t5]

Needs torch. A test that no longer agrees with a file has found a change of our
model, not of theirs: make the file anew only where its content was wrong.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers

# Small models; all sizes differ, so that no two axes can be swapped.
FAMILIES = {
  'bart': (
    transformers.BartForConditionalGeneration,
    {
      'vocab_size': 41, 'd_model': 12, 'encoder_layers': 2, 'decoder_layers': 1,
      'encoder_attention_heads': 2, 'decoder_attention_heads': 3,
      'encoder_ffn_dim': 20, 'decoder_ffn_dim': 28, 'max_position_embeddings': 17,
      'forced_eos_token_id': None, 'scale_embedding': True, 'init_std': 0.3,
    },
  ),
  't5': (
    transformers.T5ForConditionalGeneration,
    {
      'vocab_size': 41, 'd_model': 12, 'd_kv': 5, 'd_ff': 20,
      'num_layers': 2, 'num_decoder_layers': 1, 'num_heads': 3,
      'relative_attention_num_buckets': 8, 'relative_attention_max_distance': 6,
      'decoder_start_token_id': 0, 'feed_forward_proj': 'gated-gelu',
      'tie_word_embeddings': False,
    },
  ),
}  # fmt: skip


def random_model(family='bart', seed=0, **sizes):
  """A model without a zero or a one among its parameters, as they would hide errors.

  The output matrix of a T5 whose states are not scaled is one of its own, as in the
  published checkpoints of version 1.1.
  """
  torch.manual_seed(seed)
  kind, usual = FAMILIES[family]
  config = kind.config_class(**(usual | sizes))
  model = kind(config).eval()
  if family == 'bart':
    model.final_logits_bias.normal_()
  elif not config.scale_decoder_outputs:
    untie(model)
  with torch.no_grad():
    for parameter in model.parameters():
      if parameter.ndim == 1:
        parameter += 0.3 * torch.randn_like(parameter)
  return model


def untie(model):
  """Gives the model an output matrix of its own."""
  model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
  return model


def favour_end(model, much):
  """Makes the model end some of its outputs early, which a random one seldom does."""
  eos = model.config.eos_token_id
  if hasattr(model, 'final_logits_bias'):
    model.final_logits_bias[0, eos] += much
  else:
    with torch.no_grad():
      model.lm_head.weight[eos] *= much
  return model


def random_batch(
  family='bart', seed=0, vocab_size=41, lengths=(7, 3, 5), target_lengths=(4, 5, 2)
):
  """Source, its mask, decoder input and labels, padded behind their `</s>`."""
  rng = np.random.default_rng(seed)
  kind, usual = FAMILIES[family]
  config = kind.config_class(**usual)
  pad, start = config.pad_token_id, config.decoder_start_token_id

  def rows(lengths):
    out = np.full((len(lengths), max(lengths)), pad, np.int32)
    for row, length in zip(out, lengths, strict=True):
      row[:length] = [*rng.integers(3, vocab_size, length)[:-1], config.eos_token_id]
    return out

  source, target = rows(lengths), rows(target_lengths)
  shifted = np.pad(target, ((0, 0), (1, 0)), constant_values=start)[:, :-1]
  return source, source != pad, shifted, target


def compute(model, source, valid, decoder_input, target):
  """Logits, loss and the gradient of every tensor, as numpy arrays."""
  model.zero_grad()
  pad = model.config.pad_token_id
  given = (source, valid, decoder_input, np.where(target == pad, -100, target))
  names = ('input_ids', 'attention_mask', 'decoder_input_ids', 'labels')
  tensors = (torch.tensor(array, dtype=torch.long) for array in given)
  result = model(**dict(zip(names, tensors, strict=True)))
  result.loss.backward()
  gradients = {name: p.grad.numpy() for name, p in model.named_parameters()}
  return result.logits.detach().numpy(), result.loss.item(), gradients


def tensors_of(model):
  """The model's tensors by name, as numpy arrays."""
  return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def main(families):
  """Writes the files."""
  for family in families:
    model = random_model(family)
    batch = random_batch(family)
    logits, loss, gradients = compute(model, *batch)
    names = ('source', 'valid', 'decoder_input', 'target')
    np.savez_compressed(
      pathlib.Path(__file__).with_name(f'{family}_golden.npz'),
      config=json.dumps(model.config.to_dict()),
      logits=logits,
      loss=loss,
      **dict(zip(names, batch, strict=True)),
      **{f'tensor {n}': t for n, t in tensors_of(model).items()},
      **{f'gradient {n}': g for n, g in gradients.items()},
    )


if __name__ == '__main__':
  main(sys.argv[1:] or FAMILIES)
