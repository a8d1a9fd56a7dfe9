"""Writes the report of a study, finished or not, and prints its table.

python -m experiments.report --workdir=runs/demo
"""

import rich

from experiments import app
from masklearn import report


def main(workdir):
  """Writes WORKDIR/report/ from the files that the study has made so far."""
  path = report.write(workdir)
  rich.print(report.table(workdir))
  print(path)


if __name__ == '__main__':
  app.run(main)
