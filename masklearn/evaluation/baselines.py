"""A baseline without a model: the most frequent answer of each kind of question."""

import collections

from masklearn.evaluation import metrics
from masklearn.types import Task


def majority_baseline(task: Task, split: str) -> float:
  """The exact match in [0, 1] of one answer for all questions of a label.

  The answer is the most frequent one of the label's training questions; of equally
  frequent ones, the first.
  """
  answers = collections.defaultdict(collections.Counter)
  for example in task.train:
    answers[example.label][example.targets[0]] += 1
  guess = {label: count.most_common(1)[0][0] for label, count in answers.items()}
  examples = task.split(split)
  right = [metrics.exact_match(guess.get(e.label, ''), e.targets) for e in examples]
  return sum(right) / len(right)
