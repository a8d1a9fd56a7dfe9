"""Scores predictions against gold answers, both in KILT's schema (JSON lines).

python -m experiments.score --predictions=P.jsonl --gold=G.jsonl
  --train=T.jsonl     also scores by overlap with these training questions
  --compare=P2.jsonl  also the difference to other predictions, question by question

Records are joined by id; one that is missing, left over or duplicated is an error. One
JSON object goes to stdout: em, f1, accuracy and rougeL in [0, 1], as KILT's scorer
computes them, each with a 95% bootstrap interval; the number of questions, n; and the
number of empty predictions, which score 0.
"""

import json

from experiments import app


def main(predictions, gold, train='', compare=''):
  """Prints the scores."""
  from masklearn.evaluation import kilt_files

  print(json.dumps(kilt_files.score(predictions, gold, train, compare)))


if __name__ == '__main__':
  app.run(main)
