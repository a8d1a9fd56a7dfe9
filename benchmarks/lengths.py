"""Lengths of real questions and passages, for the cases that train on them.

python -m benchmarks.lengths --questions=NQ-open.dev.jsonl \
  --passages=wiki.jsonl.gz --output=benchmarks/lengths.json

lengths.json was made from the 3,610 questions of NQ-open's development set with their
first answers, and from the paragraphs of WikiText-2's test set and the fields of 226
profiles of the World Factbook, in tokens of a byte-level BPE of 8,192 that was trained
on both. Of each kind it has 512 pairs of source and target, evenly spaced by length; a
passage's target is what T5's objective hides of it. Nothing of the texts is in it.
"""

import gzip
import json
import pathlib

import numpy as np

from experiments import app
from masklearn import text
from masklearn.io import files
from masklearn.policies import pretraining

LONGEST = 254  # tokens of a passage; what is longer is cut into several
KEPT = 512
PATH = pathlib.Path(__file__).parent / 'lengths.json'


def load(kind: str, count: int) -> np.ndarray:
  """`count` pairs of lengths, source and target, in random order: [count, 2] int32."""
  pairs = np.array(json.loads(PATH.read_text())[kind], np.int32)
  return np.random.default_rng(0).permutation(_spread(pairs, count))


def main(questions, passages, output):
  """Measures the lengths of both kinds; `passages` are files with commas between."""
  asked = [(r['question'], r['answer'][0]) for r in _records(questions)]
  texts = [t for path in passages.split(',') for r in _records(path) for t in _texts(r)]
  tokens = text.train_tokenizer([*(q for q, _ in asked), *texts], 8_192, 'bart')

  def length(string):
    return len(tokens.encode(string).ids)

  pairs = {'questions': [(length(q) + 2, length(a) + 2) for q, a in asked]}
  whole = [length(string) for string in texts]
  cut = [min(LONGEST, n - i) for n in whole for i in range(0, n, LONGEST)]
  hidden, spans = pretraining.t5_sizes(LONGEST, 0.15, 3.0).tolist()
  pairs['passages'] = [
    (n - hidden[n] + spans[n] + 2, hidden[n] + spans[n] + 1) for n in cut
  ]
  kept = {k: _spread(np.array(sorted(v)), KEPT).tolist() for k, v in pairs.items()}
  files.write_text(output, json.dumps(kept) + '\n')


def _spread(pairs, count):
  return pairs[np.linspace(0, len(pairs) - 1, count).round().astype(int)]


def _records(path):
  open_ = gzip.open if path.endswith('.gz') else open
  with open_(path, 'rt', encoding='utf-8') as lines:
    return [json.loads(line) for line in lines]


def _texts(record):
  """Paragraphs of an article, without headings, or the fields of a profile."""
  if 'fields' in record:
    name = record['name']
    return [f'{name}. {field}: {string}' for field, string in record['fields']]
  lines = (line.strip() for line in record['text'].splitlines())
  return [line for line in lines if line and not line.startswith('=')]


if __name__ == '__main__':
  app.run(main)
