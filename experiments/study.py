"""Runs a whole study, or what is left of it, and shows the result.

python -m experiments.study --config=configs/world.py --workdir=runs/demo
"""

from experiments import app
from masklearn import study
from masklearn.io import hosts


def main(config, workdir):
  """Runs the study in `workdir`; prints its table and the path of its report."""
  study.run_study(config, workdir)
  hosts.told(lambda: show(workdir))  # the others wait, as they end together


def show(workdir):
  """Writes the report; prints its table and its path."""
  from rich import console

  from masklearn import report

  page = report.write_report(workdir)
  console.Console().print(report.table(workdir))
  print(f'report: {page}')


if __name__ == '__main__':
  app.run(main, huge_pages=True, keep_programs=True)
