"""Turns a checkpoint of Hugging Face into ours, or ours into one of Hugging Face.

python -m experiments.convert --input=bart-base --output=bart-base-ours
python -m experiments.convert --input=bart-base-ours --output=bart-base-again

The direction is read from the input: config.json, model.safetensors and a fast
tokenizer are Hugging Face's, model.json and params are ours. BART and T5, of any size.

  --tokenizer=PATH  a tokenizer from elsewhere; `none` converts a checkpoint without
                    one, which can be exported again but not trained
"""

import dataclasses

from experiments import app
from masklearn.types import InputError


def main(input, output, tokenizer=''):
  """Writes the directory `output`, which must not be there yet."""
  from masklearn.models import pretrained

  if pretrained.is_ours(input):
    if tokenizer:
      raise InputError(
        f'--tokenizer is for a checkpoint of Hugging Face; {input} has its own, got '
        f'{tokenizer!r}.'
      )
    config = pretrained.to_hf(input, output)
  else:
    given = None if tokenizer == 'none' else tokenizer
    config = pretrained.from_hf(input, output, given, say=print)
  for field in dataclasses.fields(config):
    print(f'{field.name:>20} {getattr(config, field.name)}')
  print(output)


if __name__ == '__main__':
  app.run(main)
