"""Makes the corpus and its tokenizer.

python -m experiments.prepare_corpus --config=configs/world.py --workdir=runs/demo

Of documents in files (--config.corpus.name=wikipedia --config.corpus.path=extracts/) it
says how many there are, how many passages they gave, how many of these were duplicates,
how many records could not be used, and the megabytes of text a second.
"""

from experiments import app
from masklearn import study


def main(config, workdir):
  """Runs what is left of these stages in `workdir`."""
  study.run_study(config, workdir, until='corpus')
  from masklearn.study import setup

  found = setup.summary(f'{workdir}/corpus')
  counts = ('documents', 'passages', 'duplicates', 'problems')
  parts = [f'{found[name]:,} {name}' for name in counts if name in found]
  if 'megabytes_per_second' in found:
    parts.append(f'{found["megabytes_per_second"]:.1f} MB/s')
  print(f'{workdir}/corpus: {", ".join(parts)}')


if __name__ == '__main__':
  app.run(main)
