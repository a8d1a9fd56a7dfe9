"""The start of a study: its config is checked, its work directory claimed."""

import contextlib
import datetime
import os
import pathlib

from masklearn.io import hosts
from masklearn.io import workdir as working_directory
from masklearn.io.progress import Progress
from masklearn.study import plan
from masklearn.study.config import check, new_name
from masklearn.types import InputError

# What a corpus, its tokenizer and the length of its passages are made with.
CORPUS_KEYS = 'seed', 'corpus.', 'model.', 'study.unrelated.'
# Where a study runs; it can go on elsewhere.
FREE_KEYS = 'mesh.', 'study.workers', 'study.scheduler', 'study.profile'


def run_study(config, workdir: str | os.PathLike, until: str = plan.STAGES[-1]) -> None:
  """Runs what is left of a study, up to a stage.

  Args:
    config: see `config.default_config`.
    workdir: where everything goes.
    until: one of plan.STAGES; the last also writes what the report reads.

  Raises:
    InputError: a config that `config.check` refuses, an unusable corpus or task, or a
      work directory that another config made or another process works in: nothing
      is overwritten then; a damaged file, or one that cannot be written: the next
      call goes on.

  >>> from masklearn.study.config import default_config
  >>> config = default_config()
  >>> config.policy.rate = 1.5
  >>> run_study(config, 'runs/mine')
  Traceback (most recent call last):
  masklearn.types.InputError: ..
  """
  check(config)
  hosts.start(config.mesh.processes)
  if config.study.scheduler and hosts.count() > 1:
    raise InputError(
      f'config.study.scheduler must be empty in a job of {hosts.count()} processes, as '
      f'a pool has its own; got {config.study.scheduler!r}.'
    )
  with hosts.losses():
    _run(config, pathlib.Path(workdir), until)


def _run(config, workdir, until):
  # Takes seconds, as jax does: a mistake should not have to wait for it.
  from masklearn.study import preflight
  from masklearn.study.run import Study

  preflight.check_files(config)
  began = datetime.datetime.now(datetime.UTC)
  whole = until == plan.STAGES[-1]
  study = Study(config, workdir)
  held = working_directory.held(
    workdir, config, new_name,
    last='study.json', corpus_keys=CORPUS_KEYS, free_keys=FREE_KEYS,
  )  # fmt: skip
  with contextlib.ExitStack() as stack:
    over = hosts.told(lambda: stack.enter_context(held))
    with Progress() as progress:
      if over:
        progress.say(f'{workdir} holds this study, finished: nothing to do')
        return
      before = study.finished()
      hosts.in_turn(lambda: study.prepare(progress))
      if until != plan.STAGES[0]:
        hosts.in_turn(lambda: study.encode(progress))
      study.check_jobs(until, progress)
      progress.together = True
      study.run(progress, until)
      if not whole and study.finished() == before:
        progress.say(f'{workdir} holds everything up to {until}: nothing to do')
    if whole:
      study.write_files(began)
