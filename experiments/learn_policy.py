"""Learns the masking policies of a study, and the base models that this needs.

python -m experiments.learn_policy --config=configs/world.py --workdir=runs/demo
"""

from experiments import app
from masklearn import study


def main(config, workdir):
  """Runs what is left of these stages in `workdir`."""
  study.run_study(config, workdir, until='policies')
  print(f'{workdir}/policies')


if __name__ == '__main__':
  app.run(main, huge_pages=True, keep_programs=True)
