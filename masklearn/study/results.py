"""What a study leaves for its reader: results, masks, and how it was run."""

import collections
import datetime
import pathlib
import shlex
import sys
from concurrent import futures

import jax
import numpy as np

from masklearn import data
from masklearn.data import answer_spans
from masklearn.evaluation import baselines, recall
from masklearn.io import files, provenance
from masklearn.policies import sampling
from masklearn.study import plan, settings, supervise
from masklearn.tasks import squad
from masklearn.tasks.splits import SPLITS

VIEWED = 4  # passages of each split that the mask viewer shows
AT_ONCE = 8_192  # passages
DRAWS = 200  # of each policy, for the probabilities of the mask viewer


def write_results(study, results) -> None:
  """Writes results.jsonl: a line for each finished cell and split, as planned."""
  c = study.config
  rows = []
  for cell in study.cells:
    if cell not in results:
      continue
    done = results[cell]
    for split in ('validation', 'test'):
      rows.append(
        {
          'task': cell.task,
          'policy': cell.policy,
          'policy_task': cell.policy_task,
          'target': cell.target,
          'base': f'{c.model.name}-{c.model.size}',
          'seed': cell.seed,
          'split': split,
          **done[split],
          **({'overlaps': done['overlaps']} if split == 'test' else {}),
          'updates': 0 if cell.policy == 'none' else c.pretrain.updates,
          'masked_words': done['masked_words'],
          'learning_rate': done['learning_rate'],
          'trials': done['trials'],
          'seconds': round(done['seconds'], 2),
          'learning_seconds': round(done['learning_seconds'], 2),
          'config': c.name,
          'commit': done['commit'],
        }
      )
  files.write_jsonl(study.workdir / 'results.jsonl', rows)


def write_study(study, began: datetime.datetime) -> None:
  """Writes study.json: data, budget, command, machine, and the time of each stage."""
  c = study.config
  words, hidden = _sizes(study.passages[study.task_names[0]], c.policy.rate)
  ended = datetime.datetime.now(datetime.UTC)
  files.write_json(
    study.workdir / 'study.json',
    {
      'config': c.name,
      'command': shlex.join(['python', '-m', 'experiments.study', *sys.argv[1:]]),
      'commit': provenance.commit(),
      'hardware': provenance.hardware(),
      'started': began.isoformat(timespec='seconds'),
      'seconds': (ended - began).total_seconds(),  # of the last call
      'seeds': list(study.seeds),
      'tasks': {name: _task(study, name) for name in study.task_names},
      'corpus': {
        'name': c.corpus.name,
        'passages': len(study.setup.passages),
        'words': words,
        'problems': study.setup.skipped,
      },
      'budget': {
        'rate': c.policy.rate,
        'words_per_passage': hidden / len(study.setup.passages),
      },
      'policies': _learned(study),
      'stages': _stages(study),
    },
  )


def write_masks(study) -> None:
  """Writes masks.jsonl: passages of each split, and what every policy hides there.

  Those of the first seed and task; a token's probability is its frequency among
  draws, as pre-training makes them. One passage a group, if possible one in which an
  answer stands.
  """
  task_name, seed = study.task_names[0], study.seeds[0]
  task, everything = study.tasks[task_name, seed], study.passages[task_name]
  told = {}  # where answers stand, of corpora that do not say it themselves
  if not any(s.label in task.asked for p in study.setup.passages for s in p.spans):
    told = {
      a.passage.text: [list(span) for spans in a.answers for span in spans]
      for a in supervise.of_task(task.examples, study.setup.passages)
    }
  rows = []
  for split in SPLITS:
    groups = {e.group for e in task.split(split)} - {''}
    first, answering = {}, collections.defaultdict(list)  # of each group
    for i, passage in enumerate(study.setup.passages):
      if passage.group in groups:
        first.setdefault(passage.group, (i, split))
        if passage.text in told:
          answering[passage.group].append((i, split))
    chosen = sorted(
      # Those of one group are about one thing each, and of all groups about all.
      answering[group][n % len(answering[group])] if answering[group] else place
      for n, (group, place) in enumerate(first.items())
    )
    rows += chosen[:: max(1, len(chosen) // VIEWED)][:VIEWED]
  if not rows:  # questions and passages that are not joined by groups
    count = len(study.setup.passages)
    rows = [(i, '') for i in range(0, count, max(1, count // VIEWED))][:VIEWED]
  shown = data.take(everything, np.array([i for i, _ in rows]))

  def hide(name):
    theta = study.theta(name, task_name, seed)
    if name not in study.policies or theta is None:
      return None
    key = jax.random.key(seed)
    policy, few = study.policies[name], len(rows)
    return answering.hidden(policy, theta, key, shown, DRAWS, few).probability

  # Side by side, as nearly all of it is compiling.
  with futures.ThreadPoolExecutor(study.config.study.workers) as pool:
    found = zip(study.policy_names, pool.map(hide, study.policy_names), strict=True)
  hidden = {name: values for name, values in found if values is not None}
  lines = []
  for row, (i, split) in enumerate(rows):
    passage = study.setup.passages[i]
    offsets = study.setup.tokenizer.encode(passage.text).offsets
    lines.append(
      {
        'id': passage.id,
        'group': passage.group,
        'split': split,
        'text': passage.text,
        'tokens': [list(pair) for pair in offsets],
        'asked': [list(s) for s in passage.spans if s.label in task.asked]
        or told.get(passage.text, []),
        'policies': {
          name: np.round(p[row, : len(offsets)].astype(float), 3).tolist()
          for name, p in hidden.items()
        },
      }
    )
  files.write_jsonl(study.workdir / 'masks.jsonl', lines)


def write_recall(study) -> None:
  """Writes recall.jsonl: answers that policies hide on the passages of some files.

  Of every policy that has scores, over the seeds for which it was trained. With several
  tasks, a policy that knows its task is there once for each. Of a file that supervised
  policies learn from, the articles that were kept from them are measured.
  """
  options = dict(study.config.recall)
  paths = settings.names(options.pop('path'))
  learned_from = settings.names(study.config.supervised.pairs)
  made = _scored(study) if paths else []
  rows = []
  for path in paths:
    if path in learned_from:
      answered = supervise.of_file(path, study.config.seed)['test']
    else:
      answered = answer_spans.of_examples(squad.read(path)[0])
    answered, _ = answer_spans.split(
      answered,
      lambda piece: len(study.setup.tokenizer.encode(piece).ids),
      study.config.corpus.longest,
    )
    found = recall.of_policies(
      made,
      answered,
      answer_spans.encode(answered, study.setup.tokenizer, study.config.corpus.longest),
      study.setup.tokenizer,
      study.seeds[0],
      **options,
    )
    summary = recall.summary(found, ('random', 'salient'), study.seeds[0])
    file = {'file': pathlib.Path(path).name, 'passages': len(answered)}
    rows += [file | row for row in summary]
  if rows:
    files.write_jsonl(study.workdir / 'recall.jsonl', rows)


def _scored(study):
  """The policies that have scores on any passage, for `recall.of_policies`."""
  made = []
  for name in study.policy_names:
    taught = plan.teacher(name, study.config.policy.reference)
    if name in ('none', 'oracle', 'original'):
      continue  # They have no scores, or none on other passages.
    for task in study.task_names if taught else study.task_names[:1]:
      thetas = [study.theta(name, task, seed) for seed in study.seeds]
      thetas = [theta for theta in thetas if theta is not None]
      label = f'{name}, {task}' if taught and len(study.task_names) > 1 else name
      if thetas:
        made.append(
          (label, study.policies[name], thetas, settings.top(study.config, name))
        )
  return made


def _task(study, name):
  task = study.tasks[name, study.seeds[0]]
  splits = {split: task.split(split) for split in SPLITS}
  return {
    'questions': {split: len(examples) for split, examples in splits.items()},
    'groups': {split: len({e.group for e in es}) for split, es in splits.items()},
    'majority_em': {
      split: float(
        np.mean(
          [
            baselines.majority_baseline(study.tasks[name, s], split)
            for s in study.seeds
          ]
        )
      )
      for split in ('validation', 'test')
    },
    'kinds': dict(collections.Counter(e.label for e in task.test)),
  }


def _sizes(passages, rate):
  """Words of all passages, and how many of them are hidden."""
  words, hidden, count = 0, 0, len(passages.tokens)
  for rows in np.array_split(np.arange(count), count // AT_ONCE + 1):
    part = data.take(passages, rows)
    words += int(sampling.word_count(part).sum())
    hidden += int(sampling.budget(part, rate).sum())
  return words, hidden


def _learned(study):
  """What learning gave, for each policy, task and seed, and how it was set up."""
  own, rows = settings.learning(study.config, 'learned'), []
  for path in sorted((study.workdir / 'policies').glob('learned*/*/done.json')):
    policy, seed = path.parts[-3:-1]
    options = settings.learning(study.config, policy.rpartition('-')[0])
    history = list(files.read_jsonl(path.parent / 'history.jsonl'))
    ratios = [point['snr'] for point in history if 'snr' in point]
    rows.append(
      {
        'policy': policy,
        'seed': int(seed),
        **files.read_json(path),
        'settings': {k: v for k, v in options.items() if v != own[k]},
        'snr': float(np.mean(ratios)) if ratios else None,
      }
    )
  return rows


def _stages(study):
  """Seconds of every finished stage, without those of the stages before it."""
  rows = []
  for stage in ('base', 'policies', 'pretrain', 'finetune'):
    for path in sorted((study.workdir / stage).rglob('done.json')):
      *names, seed = path.relative_to(study.workdir / stage).parts[:-1]
      task = names.pop(0) if stage == 'finetune' else ''
      rows.append(
        {
          'stage': stage,
          'policy': names[0] if names else '',
          'task': task,
          'seed': int(seed),
          'seconds': round(files.read_json(path)['seconds'], 2),
        }
      )
  return rows
