"""What the stages of a study train on: passages, prepared, encoded and divided."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from masklearn.data import array_files
from masklearn.io.progress import Progress
from masklearn.policies import POLICIES
from masklearn.study import settings, setup
from masklearn.study.parts import Parts, asked_groups
from masklearn.study.setup import Setup
from masklearn.types import Batch, InputError, Passage, Task

SHOWN = 5  # unusable records that are printed; all are in the work directory
UNRELATED = 'unrelated'  # the folder of that corpus


@dataclasses.dataclass(frozen=True)
class Corpora:
  """The encoded passages of a study, by the stage that trains on them.

  Passages are given for each task, as they differ in what the task asks about.
  """

  own: Mapping[str, Batch]  # task -> all passages of the study's corpus, [P, L]
  parts: Parts | None = None  # which of them the base model sees; None for all
  other: Mapping[str, Batch] | None = None  # of a corpus that no task asks about
  pad: int = 0  # the token behind the end of a passage

  def base(self, task: str) -> Batch:
    """What the base model is trained on: all, or what no task asks about."""
    return self.parts.take(self.own[task], False) if self.parts else self.own[task]

  def pretraining(self, task: str, corpus: str = 'own') -> Batch:
    """What intermediate pre-training is on.

    Args:
      task: whose answers are marked.
      corpus: 'own', the study's corpus, or the part of it that tasks ask about;
        'unrelated', what none asks about: another corpus, or the rest of it; or
        'mixed', the passages of both.
    """
    own = self.parts.take(self.own[task], True) if self.parts else self.own[task]
    if corpus == 'own':
      return own
    if self.other is None:  # The part of the base model is the unrelated one.
      return self.base(task) if corpus == 'unrelated' else self.own[task]
    other = self.other[task]
    return other if corpus == 'unrelated' else joined(own, other, self.pad)

  def kept(self, task: str, corpora: Iterable[str]) -> Batch | None:
    """What the base model is trained on, if pre-training sees none of it again.

    Args:
      task: as of `pretraining`.
      corpora: as of `pretraining`; one of them must see none.
    """
    if not self.parts:
      unseen = {'unrelated'}
    else:
      unseen = {'own'} if self.other is None else set(settings.CORPORA)
    return self.base(task) if unseen & set(corpora) else None


def joined(first: Batch, second: Batch, pad: int) -> Batch:
  """The passages of both, [P, L] and [Q, M] to [P + Q, max(L, M)], in memory."""
  length = max(first.tokens.shape[1], second.tokens.shape[1])

  def both(name):
    fields = getattr(first, name), getattr(second, name)
    if any(field is None for field in fields):
      return None
    fill = pad if name == 'tokens' else 0
    rows = [
      np.pad(x, ((0, 0), (0, length - x.shape[1])), constant_values=fill)
      for x in map(np.asarray, fields)
    ]
    return np.concatenate(rows)

  return Batch(**{name: both(name) for name in Batch._fields})


def prepare(config, directory: pathlib.Path, progress: Progress) -> Setup:
  """Makes the corpus of a study, its tokenizer and its model, or reads them.

  Args:
    config: of the study.
    directory: of the corpus.
    progress: takes what is to be said, such as which records cannot be used.
  """
  return _prepared(config, config.corpus, directory, progress)


def prepare_unrelated(
  config, directory: pathlib.Path, progress: Progress
) -> Setup | None:
  """Makes the corpus that has nothing to do with the tasks, or reads it.

  None where the study needs none, or has it in its own corpus.

  Args:
    config: of the study.
    directory: of the study's own corpus, which is prepared.
    progress: see `prepare`.
  """
  wanted = {setting.corpus for setting in settings.pretraining(config).values()}
  if wanted == {'own'} or not config.study.unrelated:
    return None
  c = settings.unrelated(config)
  if not config.model.checkpoint:
    c['tokenizer'] = str(directory / 'tokenizer.json')
  return _prepared(config, c, directory / UNRELATED, progress)


def _prepared(config, c, directory, progress):
  made = setup.prepare(
    directory,
    seed=config.seed,
    name=c['name'],
    longest=c['longest'],
    tokenizer=c['tokenizer'],
    vocabulary=c['vocabulary'],
    entities=c['entities'],
    model=settings.model(config),
    say=progress.say,
    stopped=progress.stop.is_set,
    **settings.corpus(c),
  )
  for problem in made.problems[:SHOWN]:
    progress.say(f'skipped {problem}')
  if made.skipped:
    progress.say(f'{made.skipped} records of the corpus were skipped')
  return made


def encode(
  config,
  made: Setup,
  other: Setup | None,
  tasks: Mapping[tuple[str, int], Task],
  directory: pathlib.Path,
  progress: Progress,
) -> Corpora:
  """Encodes the corpora of a study for its model, on disk.

  Args:
    config: of the study.
    made: its own corpus.
    other: the unrelated one, if there is one.
    tasks: by name and seed.
    directory: of the corpus.
    progress: may end it.

  Raises:
    InputError: a task asks about the unrelated corpus.
  """
  c, units = config, None
  used = settings.names(c.policy.names)
  if any('collocations' in POLICIES[name].needs for name in used):
    units = setup.units(directory, made.passages)
  # The asked spans are those of a task's labels, which are the same in all seeds.
  asked = {name: tasks[name, c.seed].asked for name in settings.names(c.task.names)}

  def encoded(passages, folder, annotator):
    given = folder / 'encoded', folder / setup.TOKENS, passages, made.tokenizer
    longest = c.corpus.longest
    return array_files.load_or_encode(
      *given, annotator, asked, longest, units, progress.check
    )

  own = encoded(made.passages, directory, c.corpus.annotator)
  divided = Parts(made.passages, tasks.values()) if c.base.apart else None
  if other is None:
    return Corpora(own, divided)
  _check_unrelated(other.passages, tasks.values())
  annotator = settings.unrelated(c)['annotator']
  found = encoded(other.passages, directory / UNRELATED, annotator)
  return Corpora(own, divided, found, made.tokenizer.specials.pad)


def _check_unrelated(passages: Sequence[Passage], tasks: Iterable[Task]) -> None:
  groups = asked_groups(tasks)
  count = sum(passage.group in groups for passage in passages)
  if count:
    raise InputError(
      'config.study.unrelated: must be a corpus that no task asks about, and '
      f'{count:,} of its {len(passages):,} passages are about the same as questions.'
    )
