"""A stage of a study in a worker of a pool."""

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

from ml_collections import config_dict

from masklearn.io import memory
from masklearn.io.progress import Progress
from masklearn.study import plan


def run(make: Callable, config: str, workdir: str, job: plan.Job, *needed) -> Any:
  """A stage of a study in a worker of a pool, which opens the study once.

  Args:
    make: `make(config, workdir)`, which plans a study.
    config: of the study, as JSON.
    workdir: with the corpus, prepared and encoded.
    job: the stage.
    *needed: what the stages that it needs have noted down.
  """
  return _opened(make, config, workdir).run_job(job, *needed)


@functools.lru_cache(1)
def _opened(make, config, workdir):
  memory.keep()  # as entry points do
  study = make(config_dict.ConfigDict(json.loads(config)), pathlib.Path(workdir))
  study.progress = Progress()
  study.prepare(study.progress)
  study.encode(study.progress)
  return study
