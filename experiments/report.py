"""Writes the report of a study, finished or not, and prints its table.

python -m experiments.report --workdir=runs/demo
"""

from experiments import app
from masklearn.io.visible import one_line


def main(workdir):
  """Writes WORKDIR/report/ from the files that the study has made so far."""
  import rich

  from masklearn import report
  from masklearn.policies import POLICIES

  path = report.write_report(workdir, POLICIES)
  rich.print(report.table(workdir, POLICIES))
  print(one_line(str(path)))


if __name__ == '__main__':
  app.run(main)
