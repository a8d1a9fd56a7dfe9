r"""Trains supervised policies, and counts the answers that policies hide.

python -m experiments.recall --config=configs/recall.py --workdir=runs/recall \
  --config.data.path=new_wiki.json.gz --config.networks.bert.checkpoint=DIR
"""

from rich import console, table

from experiments import app


def main(config, workdir):
  """Writes WORKDIR/recall.jsonl and shows it."""
  from masklearn.study import recall_config

  recall_config.check(config)  # before what takes seconds to load
  from masklearn.study import recall_study

  shown = table.Table(
    'policy', 'answers hidden', '95%', 'above random', 'above salient'
  )
  for row in recall_study.run(config, workdir):
    above = (row['above'].get(name) for name in recall_study.REFERENCES)
    shown.add_row(row['policy'], *_cells(row['recall']), *map(_difference, above))
  console.Console().print(shown)


def _cells(found):
  return f'{found["mean"]:.3f}', f'{found["low"]:.3f} to {found["high"]:.3f}'


def _difference(found):
  if found is None:
    return ''
  return f'{found["mean"]:+.3f} ({found["low"]:+.3f} to {found["high"]:+.3f})'


if __name__ == '__main__':
  app.run(main, huge_pages=True, keep_programs=True)
