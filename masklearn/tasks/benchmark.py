"""A published benchmark as a task: from files, from a directory, or from the hub.

Without arguments it comes from the Hugging Face hub, at the revision pinned below.
With `source=DIR`, from a directory that holds either its official files, plain or
compressed, at any depth, or a snapshot of its repository on the hub (Parquet). With
`train=FILE` (and `validation`, `test`), from files of its own format; a path may be a
pattern, such as 'cnndm.train.*.json'. Nothing that a data set brings is ever executed.
"""

import glob
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypedDict, Unpack

from masklearn.io import record_files
from masklearn.io.lines import UNPACK
from masklearn.io.paths import check_local
from masklearn.io.records import Record, collect
from masklearn.tasks import fields, splits
from masklearn.types import Example, InputError, Task

_SAME = {split: split for split in splits.SPLITS}


class Official(NamedTuple):
  """Where a benchmark is published; third_party/datasets.toml has it with licences."""

  hub_id: str
  config: str
  revision: str  # 40 hex digits; or a branch, which may move
  files: tuple[Mapping[str, str], ...]  # ours -> official name; any of several sets
  splits: Mapping[str, str] = _SAME  # ours -> the hub's; what it lacks is cut off train
  pattern: str = ''  # of the Parquet files, where the revision has no config
  metric: str = 'em'  # see `types.Task`


def files(pattern: str, **names: str) -> dict[str, str]:
  """The official file of each split, of which each has a part of its own.

  >>> files('NQ-open.{}.jsonl', train='train', test='dev')
  {'train': 'NQ-open.train.jsonl', 'test': 'NQ-open.dev.jsonl'}
  """
  return {split: pattern.format(name) for split, name in names.items()}


class Where(TypedDict, total=False):
  """Where the questions come from, and how they are split; all may be left out."""

  train: str  # path or pattern of files of the benchmark's format
  validation: str  # the same; without it, `validation_share` of the keys of training
  test: str  # the same; without it, but with `train`, what the shares leave of its keys
  source: str  # a directory, instead
  train_share: float  # of the keys, 0.8; what no other split needs is training, too
  validation_share: float  # of the keys, 0.1


def task(
  name: str,
  seed: int,
  official: Official | None,
  parse: fields.Parser,
  *,
  key: Callable[[Example], str] = lambda e: e.group or e.source,
  disjoint: bool = False,
  parts: Callable[[Record], Iterable[Record]] = lambda record: (record,),
  **where: Unpack[Where],
) -> Task:
  """The questions of a benchmark, in its own splits as far as they go.

  What cannot be used is skipped, logged with its place and the reason, and counted.

  Args:
    name: of the task.
    seed: of what is cut off training.
    official: where it is published; None if it is not.
    parse: makes an example of a record, see `fields.by_kind`; None leaves it out.
    key: of a training question; what has the same stays together when others are cut
      off.
    disjoint: whether files that share a group are refused.
    parts: the questions of a record that has several; `parse` gets one of them.
    **where: see `Where`.

  Raises:
    InputError: nothing is found, a file cannot be read, or a split is empty.
  """
  given = {s: str(where[s]) for s in splits.SPLITS if where.get(s)}
  source = where.get('source', '')
  for what, path in (given | {'source': str(source)}).items():
    check_local(path, f'{what} of task {name!r}')
  if given and source:
    raise InputError(
      f'Task {name!r} takes files or a directory, got {next(iter(given))}='
      f'{next(iter(given.values()))} and source={source}.'
    )
  if given or official is None:
    found = _given(name, given)
  elif source:
    found = _directory(name, official, pathlib.Path(source))
  else:
    found = {
      ours: (f'{official.hub_id} ({theirs})', _rows(name, official, theirs))
      for ours, theirs in official.splits.items()
    }
  examples: dict[str, list[Example]] = {split: [] for split in splits.SPLITS}
  for split, (what, records) in found.items():
    answered = parse if split == 'test' else _answered(parse)
    asked = itertools.chain.from_iterable(map(parts, records))
    examples[split], problems = collect(asked, answered, what)
    splits.report(problems, what)
  if disjoint:
    splits.check_disjoint(examples)
  keys = [key(example) for example in examples['train']]
  shares = where.get('train_share', 0.8), where.get('validation_share', 0.1)
  splits.cut(examples, keys, seed, *shares)
  return splits.make_task(name, examples, official.metric if official else 'em')


def _answered(parse: fields.Parser) -> fields.Parser:
  def answered(record, default_id):
    example = parse(record, default_id)
    if example and not example.targets:
      raise ValueError('no answer; only a test question may have none.')
    return example

  return answered


# split -> (what it is read from, its records)
Records = dict[str, tuple[str, Iterator[Record]]]


def _given(name: str, paths: Mapping[str, str]) -> Records:
  if 'train' not in paths:
    raise InputError(f'Task {name!r} needs train=FILE, its training questions.')
  found = {}
  for split, path in paths.items():
    # A path that is there is no pattern, whatever characters it has.
    several = [] if os.path.exists(path) else sorted(glob.glob(path, recursive=True))
    found[split] = path, _chain(several or [path])
  return found


def _directory(name: str, official: Official, root: pathlib.Path) -> Records:
  """The first set of official files that is there, or else the hub's Parquet."""
  sets = [
    {split: (file, *(file + end for end in UNPACK)) for split, file in files.items()}
    for files in official.files
  ]
  sets.append({ours: _parquet(official, hub) for ours, hub in official.splits.items()})
  for patterns in sets:
    paths = {split: _first(root, several) for split, several in patterns.items()}
    if not paths['train']:
      continue
    for split, several in paths.items():
      if not several:
        raise InputError(
          f'{root} has {paths["train"][0].name}, but no {patterns[split][0]}: {name} '
          f'needs both. Put it there, or give train=FILE alone to split it.'
        )
    return {split: (str(files[0]), _chain(files)) for split, files in paths.items()}
  raise InputError(f'{root} does not hold {name}. {_advice(official)}')


def _rows(name: str, official: Official, split: str) -> Iterator[Record]:
  import datasets  # here, as it takes its time and most tasks do without

  if official.pattern:
    config = {'data_files': {split: official.pattern.format(split=split)}}
  else:
    config = {'name': official.config}
  try:
    rows = datasets.load_dataset(
      official.hub_id, revision=official.revision, split=split, **config
    )
  except Exception as error:  # what it raises comes from five libraries
    reason = ' '.join(str(error).split())
    if 'scripts are no longer supported' in reason:
      reason = f'at {official.revision} it is a script, and no script is ever run'
    raise InputError(
      f'{name} cannot be loaded from {official.hub_id} on the hub: {reason:.300}. '
      f'{_advice(official)}'
    ) from error
  for number, record in enumerate(rows, start=1):
    place = f'{official.hub_id}: {split} {number}'
    yield Record(place, record, id=f'{split}-{number}')


def _advice(official: Official) -> str:
  wanted = ' or '.join(' and '.join(files.values()) for files in official.files)
  return (
    f'Put {wanted}, or a download of {official.hub_id}, into a directory and give it '
    'as source=DIR; or give the files as train=FILE and test=FILE (in a study, '
    '--config.task.source=DIR and so on).'
  )


def _parquet(official: Official, split: str) -> tuple[str, ...]:
  """Patterns of a split in the ways in which the hub arranges its files."""
  own = (official.pattern.format(split=split),) if official.pattern else ()
  config = official.config
  return (
    *own,
    f'{config}/{split}-*.parquet',
    f'{config}/{split}/*.parquet',
    f'{config}/*-{split}.parquet',
    f'data/{split}-*.parquet',
    f'{split}-*.parquet',
    f'{split}.parquet',
  )


def _first(root: pathlib.Path, patterns: Iterable[str]) -> list[pathlib.Path]:
  """The files of the first pattern that has any; of one name, in one folder alone."""
  for pattern in patterns:
    if found := sorted(root.rglob(pattern), key=lambda p: (len(p.parts), p)):
      return [path for path in found if path.parent == found[0].parent]
  return []


def _chain(paths: Iterable[str | os.PathLike]) -> Iterator[Record]:
  return itertools.chain.from_iterable(map(record_files.read, paths))
