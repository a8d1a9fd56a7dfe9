"""The start of a study: its config is checked, its work directory claimed."""

import datetime
import os
import pathlib

from masklearn.io import provenance
from masklearn.io.progress import Progress
from masklearn.study import plan
from masklearn.study.config import check, new_name
from masklearn.types import InputError


def run_study(config, workdir: str | os.PathLike, until: str = plan.STAGES[-1]) -> None:
  """Runs what is left of a study, up to a stage.

  Args:
    config: see `config.default_config`.
    workdir: where everything goes.
    until: one of plan.STAGES; the last also writes what the report reads.

  Raises:
    InputError: a config that `config.check` refuses, an unusable corpus or task, or a
      work directory that another config made. Nothing is overwritten then.

  >>> from masklearn.study.config import default_config
  >>> config = default_config()
  >>> config.policy.rate = 1.5
  >>> run_study(config, 'runs/mine')
  Traceback (most recent call last):
  masklearn.types.InputError: ..
  """
  check(config)
  # Takes seconds, as jax does: a mistake should not have to wait for it.
  from masklearn.study import preflight
  from masklearn.study.run import Study

  preflight.check_files(config)
  began = datetime.datetime.now(datetime.UTC)
  whole = until == plan.STAGES[-1]
  study = Study(config, pathlib.Path(workdir))
  with Progress() as progress:
    provenance.claim(study.workdir, config, new_name)
    if (study.workdir / 'study.json').exists():
      progress.say(f'{workdir} holds this study, finished: nothing to do')
      return
    before = study.finished()
    try:
      study.prepare(progress)
      if until != plan.STAGES[0]:
        study.encode()
      study.check_jobs(until)
    except InputError:
      provenance.disclaim(study.workdir)
      raise
    study.run(progress, until)
    if not whole and study.finished() == before:
      progress.say(f'{workdir} holds everything up to {until}: nothing to do')
  if whole:
    study.write_files(began)
