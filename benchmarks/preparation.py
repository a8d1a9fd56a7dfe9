"""Measures the preparation of a corpus: time, and memory at several sizes.

python -m benchmarks.preparation --megabytes=32,128
python -m benchmarks.preparation --megabytes=1,2 --annotator=spacy:en_core_web_sm

The text is about people who do not exist, in documents of twelve short paragraphs, none
of them twice; most of it is names, dates and places. A line of JSON for each size goes
to stdout: `megabytes_per_second` of text by the time of the processor, that is on one
core; `peak_bytes` is what the process, one for each size, adds to what it had before,
and `bytes_per_passage` by how much that grows from one size to the next.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.case import begin_peak, status, whole
from experiments import app
from masklearn import data
from masklearn.io import files, provenance
from masklearn.tasks import people

PARAGRAPHS = 12  # of a document


def main(megabytes='32,128', annotator='rules', words='100', measure=''):
  """Prepares a text of each size; `measure` is for the processes that it starts."""
  if measure:
    print(json.dumps(prepare(pathlib.Path(measure), annotator, int(words))))
    return
  whole('words', words)
  sizes = [whole('megabytes', size) for size in megabytes.split(',')]
  before = None
  for size in sizes:
    with tempfile.TemporaryDirectory() as folder:
      write(pathlib.Path(folder, 'documents.jsonl'), size * 1_000_000)
      flags = f'--measure={folder}', f'--annotator={annotator}', f'--words={words}'
      command = [sys.executable, '-m', 'benchmarks.preparation', *flags]
      found = json.loads(subprocess.check_output(command))
    line = {'work': 'corpus', 'annotator': annotator, 'megabytes': size, **found}
    if before:
      more = {name: found[name] - before[name] for name in ('peak_bytes', 'passages')}
      line['bytes_per_passage'] = more['peak_bytes'] / more['passages']
    before = found
    print(json.dumps(line | {'commit': provenance.commit()}), flush=True)


def write(path: pathlib.Path, size: int) -> None:
  """Writes documents with at least `size` bytes of text."""
  written, rows, seed = 0, [], 0
  while written < size:
    texts = [f'{p.text} ({seed})' for p in people.passages(seed, size=400, copies=3)]
    for first in range(0, len(texts), PARAGRAPHS):
      rows.append({'text': ' '.join(texts[first : first + PARAGRAPHS])})
      written += len(rows[-1]['text'].encode())
    seed += 1
  files.write_jsonl(path, rows)


def prepare(folder: pathlib.Path, annotator: str, words: int) -> dict[str, float]:
  """Time and memory of one preparation, in a process that does nothing else."""
  before, wall, began = begin_peak(), time.monotonic(), time.process_time()
  path, options = folder / 'documents.jsonl', {'words': words, 'annotator': annotator}
  store = data.prepare_corpus(folder / 'made', name='jsonl', path=path, **options)
  seconds = time.process_time() - began
  return {
    'seconds': time.monotonic() - wall,
    'processor_seconds': seconds,
    'megabytes_per_second': store.summary['bytes'] / 1e6 / seconds,
    'passages': len(store),
    'peak_bytes': status('VmHWM') - before,
  }


if __name__ == '__main__':
  app.run(main)
