"""Runs the intermediate pre-training of every policy, and what it needs.

python -m experiments.pretrain --config=configs/world.py --workdir=runs/demo
"""

from experiments import app
from masklearn import study


def main(config, workdir):
  """Runs what is left of these stages in `workdir`."""
  study.run_study(config, workdir, until='pretrain')
  print(f'{workdir}/pretrain')


if __name__ == '__main__':
  app.run(main, huge_pages=True, keep_programs=True)
