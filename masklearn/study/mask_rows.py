"""What policies hide: passages for the mask viewer, and recall of known answers."""

import collections
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from typing import Any

import jax
import numpy as np

from masklearn import data
from masklearn.data import answer_spans
from masklearn.evaluation import recall
from masklearn.evaluation.results import MaskRow, RecallRow
from masklearn.io import files
from masklearn.policies import POLICIES, statistics
from masklearn.study import supervise
from masklearn.study.recall_study import REFERENCES
from masklearn.study.setup import Setup
from masklearn.tasks import squad
from masklearn.tasks.splits import SPLITS
from masklearn.types import Batch, Passage, Policy, Task

VIEWED = 4  # passages of each split that the mask viewer shows


def write_masks(
  path: pathlib.Path,
  task: Task,
  setup: Setup,
  encoded: Batch,
  made: Mapping[str, tuple[Policy, Any]],
  seed: int,
  draws: int,
  workers: int,
) -> None:
  """Writes masks.jsonl: passages of each split, and what every policy hides there.

  A token's probability is its frequency among draws, as pre-training makes them. One
  passage a group, if possible one in which an answer stands.

  Args:
    path: of the file.
    task: whose questions name the groups, and ask for the spans that are marked.
    setup: the corpus and its tokenizer.
    encoded: the passages of the corpus, [P, L].
    made: by name, a policy and its parameters.
    seed: of the draws.
    draws: of each policy, for the probability of each token.
    workers: policies at a time.
  """
  told = {}  # where answers stand, of corpora that do not say it themselves
  if not any(s.label in task.asked for p in setup.passages for s in p.spans):
    told = {
      a.passage.text: [list(span) for spans in a.answers for span in spans]
      for a in supervise.of_task(task.examples, setup.passages)
    }
  rows = _viewed(task, setup.passages, told)
  shown = data.take(encoded, np.array([i for i, _ in rows]))

  def hide(policy, theta):
    key = jax.random.key(seed)
    return statistics.hidden(policy, theta, key, shown, draws, len(rows)).probability

  # Side by side, as nearly all of it is compiling.
  with futures.ThreadPoolExecutor(workers) as pool:
    found = pool.map(lambda one: hide(*one), made.values())
    hidden = dict(zip(made, found, strict=True))
  lines = []
  for row, (i, split) in enumerate(rows):
    passage = setup.passages[i]
    offsets = setup.tokenizer.encode(passage.text).offsets
    asked = [list(s) for s in passage.spans if s.label in task.asked]
    lines.append(
      MaskRow(
        id=passage.id,
        group=passage.group,
        split=split,
        text=passage.text,
        tokens=[list(pair) for pair in offsets],
        asked=asked or told.get(passage.text, []),
        policies={
          name: np.round(p[row, : len(offsets)].astype(float), 3).tolist()
          for name, p in hidden.items()
        },
      ).to_json()
    )
  files.write_jsonl(path, lines, parents=False)


def scored(
  policies: Mapping[str, Policy],
  task_names: Sequence[str],
  seeds: Iterable[int],
  theta: Callable[[str, str, int], Any],
  top_k: int,
) -> list[tuple[str, Policy, list[Any], int]]:
  """The policies that score spans of any passage, for `recall.of_policies`.

  With several tasks, a policy that knows its task is there once for each.

  Args:
    policies: by name.
    task_names: of the study.
    seeds: of the study.
    theta: (policy, task, seed) -> its parameters, None for one that was not trained.
    top_k: of supervised policies: from how many of the best spans they draw each.
  """
  made = []
  for name, policy in policies.items():
    entry = POLICIES[name]
    if not entry.has_scores or 'answers' in entry.needs:
      continue  # It has no scores, or none on passages that are not the corpus's.
    trained = entry.trained_by and entry.sees_task
    knows_task = bool(trained) or 'reference' in entry.needs
    for task in task_names if knows_task else task_names[:1]:
      thetas = [theta(name, task, seed) for seed in seeds]
      thetas = [found for found in thetas if found is not None]
      label = f'{name}, {task}' if knows_task and len(task_names) > 1 else name
      if thetas:
        own = top_k if entry.role == 'supervised' else 0
        made.append((label, policy, thetas, own))
  return made


def write_recall(
  path: pathlib.Path,
  made: Sequence[tuple[str, Policy, list[Any], int]],
  sources: Iterable[str],
  learned_from: Sequence[str],
  setup: Setup,
  longest: int,
  seed: int,
  **budget,
) -> None:
  """Writes recall.jsonl: answers that policies hide on the passages of some files.

  Of each policy over the seeds for which it was trained. Of a file that supervised
  policies learn from, the articles that were kept from them are measured.

  Args:
    path: of recall.jsonl, which is not written where there is no file to measure on.
    made: of `scored`.
    sources: files of passages and questions, in SQuAD's format.
    learned_from: the files that supervised policies learn from.
    setup: the tokenizer.
    longest: tokens of a passage at most; longer ones are cut.
    seed: of the draws and intervals.
    **budget: see `recall.measure`.
  """
  rows, tokenizer = [], setup.tokenizer

  def size(piece):
    return len(tokenizer.encode(piece).ids)

  for source in sources:
    if source in learned_from:
      answered = supervise.of_file(source, seed)['test']
    else:
      answered = answer_spans.of_examples(squad.read(source)[0])
    answered, _ = answer_spans.split(answered, size, longest)
    encoded = answer_spans.encode(answered, tokenizer, longest)
    found = recall.of_policies(made, answered, encoded, tokenizer, seed, **budget)
    name = pathlib.Path(source).name
    rows += [
      RecallRow(file=name, passages=len(answered), **row).to_json()
      for row in recall.summary(found, list(REFERENCES), seed)
    ]
  if rows:
    files.write_jsonl(path, rows, parents=False)


def _viewed(
  task: Task, passages: Sequence[Passage], told: Mapping[str, list]
) -> list[tuple[int, str]]:
  """The index and the split of each passage to show."""
  rows = []
  for split in SPLITS:
    groups = {e.group for e in task.split(split)} - {''}
    first, answered = {}, collections.defaultdict(list)  # of each group
    for i, passage in enumerate(passages):
      if passage.group in groups:
        first.setdefault(passage.group, (i, split))
        if passage.text in told:
          answered[passage.group].append((i, split))
    chosen = sorted(
      # Those of one group are about one thing each, and of all groups about all.
      answered[group][n % len(answered[group])] if answered[group] else place
      for n, (group, place) in enumerate(first.items())
    )
    rows += chosen[:: max(1, len(chosen) // VIEWED)][:VIEWED]
  if not rows:  # questions and passages that are not joined by groups
    count = len(passages)
    rows = [(i, '') for i in range(0, count, max(1, count // VIEWED))][:VIEWED]
  return rows
