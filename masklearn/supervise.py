"""Training a policy on passages with the places of answers in them."""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from masklearn import checkpoint, data, files, stages, steps, train
from masklearn.policies.supervised import make_loss
from masklearn.progress import Progress
from masklearn.types import Answers, Policy


def train_policy(
  policy: Policy,
  theta: Any,
  training: Answers,
  validation: Answers,
  directory: str | os.PathLike,
  *,
  title: str,
  progress: Progress,
  save_every: int,
  seed: int,
  updates: int,
  batch_size: int,
  learning_rates: Sequence[float],
  weight_decay: float,
  validate_every: int,
) -> dict[str, Any]:
  """Trains a policy to find answers without their questions.

  The learning rate, and when to stop, are those of the lowest validation loss.

  Args:
    policy: what to train.
    theta: its parameters to start from.
    training: passages with answers.
    validation: the same, of other groups.
    directory: of the stage.
    title: shown with the progress.
    progress: where to show it.
    save_every: steps between checkpoints.
    seed: of the batches.
    updates: steps at most.
    batch_size: passages a step.
    learning_rates: to choose from; each is tried for all updates.
    weight_decay: of AdamW.
    validate_every: steps between validations.

  Returns:
    `theta`, `seconds`, the chosen `learning_rate`, `updates` used, `score` (minus the
    validation loss) and `trials`, the score of every learning rate.
  """
  directory = pathlib.Path(directory)
  if (directory / 'done.json').exists():
    done = files.read_json(directory / 'done.json')
    return {'theta': checkpoint.restore(directory / 'theta', theta), **done}
  index = data.batches(np.arange(len(training.start)), batch_size, seed)
  rows = data.filled(len(validation.start), batch_size)
  results = []
  for rate in learning_rates:
    tx, step, losses = _training(policy, rate, updates, weight_decay)

    def validate(state, losses=losses):
      # A last batch that is filled up counts its first passages twice.
      found = [losses(state.params, None, data.take(validation, i)) for i in rows]
      totals = np.array(
        [(loss * aux['answers'], aux['answers']) for loss, aux in found]
      )
      loss = float(totals[:, 0].sum() / totals[:, 1].sum())
      return {'score': -loss, 'loss': loss}

    result = train.run(
      step,
      steps.init_state(theta, tx),
      lambda i: data.take(training, index[i]),
      jax.random.key(seed),
      directory / f'lr-{rate:g}',
      steps=updates,
      name=f'{title}, lr {rate:g}',
      progress=progress,
      save_every=save_every,
      validate=validate,
      validate_every=validate_every,
    )
    results.append((result, rate))
  chosen, rate = max(results, key=lambda pair: pair[0].score)
  checkpoint.save(directory / 'theta', chosen.state.params)
  done = {
    'seconds': sum(result.seconds for result, _ in results),
    'learning_rate': rate,
    'updates': int(chosen.state.step),
    'score': chosen.score,
    'trials': {f'{rate:g}': result.score for result, rate in results},
  }
  return {'theta': chosen.state.params, **stages.finish(directory, done)}


@functools.cache
def _training(policy, learning_rate, updates, weight_decay):
  """The optimizer, the compiled step, and the compiled loss alone."""
  tx = stages.optimizer(learning_rate, updates, weight_decay)
  loss = make_loss(policy)
  return tx, jax.jit(steps.make_step(loss, tx), donate_argnums=0), jax.jit(loss)
