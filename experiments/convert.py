"""Turns a checkpoint of Hugging Face into ours, or ours into one of Hugging Face.

python -m experiments.convert --input=bart-base --output=bart-base-ours
python -m experiments.convert --input=bart-base-ours --output=bart-base-again

The direction is read from the input: config.json, model.safetensors and a fast
tokenizer are Hugging Face's, model.json and params are ours. BART and T5, of any size.
"""

import dataclasses

from experiments import app


def main(input, output):
  """Writes the directory `output`, which must not be there yet."""
  from masklearn.models import pretrained

  ours = pretrained.is_ours(input)
  config = (pretrained.to_hf if ours else pretrained.from_hf)(input, output)
  for field in dataclasses.fields(config):
    print(f'{field.name:>20} {getattr(config, field.name)}')
  print(output)


if __name__ == '__main__':
  app.run(main)
