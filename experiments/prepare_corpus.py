"""Makes the corpus and its tokenizer.

python -m experiments.prepare_corpus --config=configs/world.py --workdir=runs/demo
"""

from experiments import app
from masklearn import study


def main(config, workdir):
  """Runs what is left of these stages in `workdir`."""
  study.run(config, workdir, until='corpus')
  print(f'{workdir}/corpus')


if __name__ == '__main__':
  app.run(main)
