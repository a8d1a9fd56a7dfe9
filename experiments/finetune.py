"""Fine-tunes and evaluates every cell of a study, and runs what that needs.

python -m experiments.finetune --config=configs/world.py --workdir=runs/demo
"""

from experiments import app
from masklearn import study


def main(config, workdir):
  """Runs what is left of these stages in `workdir`."""
  study.run_study(config, workdir, until='finetune')
  print(f'{workdir}/results.jsonl')


if __name__ == '__main__':
  app.run(main, huge_pages=True, keep_programs=True)
