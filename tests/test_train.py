"""One loop for every stage: resume equals uninterrupted, the best state is kept."""

import gc
import itertools
import random
import time
from concurrent import futures
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn.io import checkpoint, files
from masklearn.io.progress import Progress
from masklearn.training import clock, loop, mesh, steps
from masklearn.training.context import StageContext
from masklearn.training.history import History
from masklearn.types import InputError
from tests.small import slow_case

CLOCK = tuple(f'seconds_{part}' for part in clock.PARTS)
TX = optax.adamw(0.1)


def noisy_loss(params, key, batch):
  """A loss whose gradient depends on the key, the batch and the parameters."""
  noise = jax.random.normal(key, params['w'].shape)
  loss = ((params['w'] * batch - 1) ** 2).mean() + (noise * params['w']).mean()
  return loss, {'sum': batch.sum()}


STEP = jax.jit(steps.make_step(noisy_loss, TX), donate_argnums=0)


def run(directory, count, progress=None, step=STEP, **more):
  """Trains two weights for `count` steps."""
  start = steps.begin(steps.held({'w': jnp.array([0.5, -2.0])}), TX)
  context = StageContext(directory, 'test', progress or Progress(), 4, seed=0)
  key, more = jax.random.key(0), {'steps': count, 'log_every': 3, **more}
  return loop.run(step, start, lambda i: jnp.array([i % 3, 1.0]), key, context, **more)


def timeless(history):
  """The lines of a history without what the clock says."""
  return [{k: v for k, v in row.items() if k not in CLOCK} for row in history]


def validate(state):
  """Highest near a value that training passes and leaves."""
  return {'score': -abs(float(state.params['w'][0]) - 0.6), 'w': 0.0}


@pytest.mark.parametrize('steps_before', [slow_case(2), slow_case(3), 4, slow_case(8)])
def test_resume_equals_uninterrupted(tmp_path, steps_before):
  """Stopped anywhere, also between two lines: the same state, best one and history."""
  validation = {'validate': validate, 'validate_every': 5}
  whole = run(tmp_path / 'whole', 10, **validation)
  progress = Progress()
  progress.stop = mock.Mock()  # asked once a step
  asked = [False] * steps_before, itertools.repeat(True)
  progress.stop.is_set.side_effect = itertools.chain(*asked)
  with pytest.raises(KeyboardInterrupt):
    run(tmp_path / 'cut', 10, progress, **validation)
  resumed = run(tmp_path / 'cut', 10, **validation)
  jax.tree.map(np.testing.assert_array_equal, whole.state, resumed.state)
  assert timeless(whole.history) == timeless(resumed.history)
  assert whole.score == resumed.score
  assert files.read_jsonl(tmp_path / 'cut' / 'history.jsonl') == resumed.history


def test_resume_equals_uninterrupted_where_a_validation_was_interrupted(tmp_path):
  """The next start begins with the validation that is missing."""
  options = {'validate_every': 5, 'log_every': 4}
  whole = run(tmp_path / 'whole', 10, validate=validate, **options)
  calls = iter([False, True])

  def interrupted(state):
    if next(calls):
      raise KeyboardInterrupt
    return validate(state)

  with pytest.raises(KeyboardInterrupt):
    run(tmp_path / 'cut', 10, validate=interrupted, **options)
  seen = []

  def watched(state):
    seen.append(int(state.step))
    return validate(state)

  resumed = run(tmp_path / 'cut', 10, validate=watched, **options)
  assert seen == [5, 10]
  jax.tree.map(np.testing.assert_array_equal, whole.state, resumed.state)
  assert timeless(whole.history) == timeless(resumed.history)
  assert whole.score == resumed.score


class Killed(BaseException):
  """Stands for `kill -9`: nothing is saved any more."""


@pytest.mark.parametrize('seed', [2, *map(slow_case, (18, *range(100, 110)))])
def test_any_sequence_of_interruptions_leaves_the_result_as_it_was(
  tmp_path, monkeypatch, seed
):
  """Kills and signals within validation, before and after it, and around a save."""
  rng = random.Random(seed)
  left, kind = 0, None

  def moment():
    nonlocal left
    left -= 1
    if left == 0:
      raise kind

  def around(function):
    def watched(*arguments, **options):
      moment()
      found = function(*arguments, **options)
      moment()
      return found

    return watched

  monkeypatch.setattr(History, 'save', around(History.save))
  monkeypatch.setattr(Progress, 'check', around(Progress.check))
  options = {'validate': around(validate), 'validate_every': 2, 'log_every': 3}
  whole = run(tmp_path / 'whole', 6, **options)
  for _ in range(12):
    left, kind = rng.randint(1, 12), rng.choice([Killed, KeyboardInterrupt])
    try:
      run(tmp_path / 'cut', 6, **options)
    except (Killed, KeyboardInterrupt):
      continue
    break
  left = 0
  resumed = run(tmp_path / 'cut', 6, **options)
  jax.tree.map(np.testing.assert_array_equal, whole.state, resumed.state)
  assert timeless(whole.history) == timeless(resumed.history)
  assert whole.score == resumed.score


def test_history_has_the_mean_of_each_window(tmp_path):
  """A line for every third step, every checkpoint and the last step."""
  result = run(tmp_path, 10)
  assert [row['step'] for row in result.history] == [3, 4, 6, 8, 9, 10]
  sums = [1 + i % 3 for i in range(10)]
  assert result.history[0]['sum'] == pytest.approx(np.mean(sums[:3]))
  assert result.history[1]['sum'] == pytest.approx(sums[3])
  assert list((tmp_path / 'tensorboard').iterdir())


def test_history_says_where_the_time_went(tmp_path):
  """All of it, and compiling once; what is compiled for data is not data."""
  scaled = jax.jit(lambda x: jnp.array([1.0, 1.0]) * x)

  def slow(i):
    time.sleep(0.02)
    return scaled(i % 3)  # compiled in the first step that needs it, and never again

  def checked(state):
    time.sleep(0.03)
    return validate(state)

  began = time.monotonic()
  start = steps.begin(steps.held({'w': jnp.array([0.5, -2.0])}), TX)
  context = StageContext(tmp_path, 'test', Progress(), 4, seed=0)
  step = jax.jit(steps.make_step(noisy_loss, TX))
  found = loop.run(
    step, start, slow, jax.random.key(0), context, steps=9, log_every=3,
    validate=checked, validate_every=3,
  )  # fmt: skip
  rows = [row for row in found.history if 'loss' in row]
  spent = {name: sum(row[name] for row in rows) for name in CLOCK}
  assert spent['seconds_data'] > 9 * 0.02
  assert spent['seconds_validation'] > 4 * 0.03  # the first and the last included
  assert spent['seconds_saving'] > 0
  assert spent['seconds_compiling'] > spent['seconds_steps'] > 0
  assert sum(spent.values()) < time.monotonic() - began
  assert rows[-1]['seconds_compiling'] < rows[0]['seconds_compiling'] / 5


@pytest.mark.slow
def test_five_steps_of_a_stage_are_traced_if_asked(tmp_path):
  """And of a stage that is shorter, what there is; one after the other."""
  for count in (10, 4):
    folder = tmp_path / str(count)
    start = steps.begin(steps.held({'w': jnp.array([0.5, -2.0])}), TX)
    context = StageContext(folder, 'test', Progress(), 4, seed=0, profile=True)
    key = jax.random.key(0)
    loop.run(STEP, start, lambda i: jnp.ones(2), key, context, steps=count)
    assert list((folder / 'profile').rglob('*.xplane.pb'))


def test_the_best_state_is_that_of_the_highest_score(tmp_path):
  """Later states with lower scores do not replace it."""
  scores = iter([0.0, 3.0, 1.0, 2.0])
  seen = []

  def check(state):
    seen.append(jax.tree.map(np.array, state.params))
    return {'score': next(scores)}

  result = run(tmp_path, 6, validate=check, validate_every=2)
  assert result.score == 3.0
  assert int(result.state.step) == 2
  jax.tree.map(np.testing.assert_array_equal, result.state.params, seen[1])


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
  """It names the stage, the step and the dtype."""
  bad = jax.jit(steps.make_step(lambda p, k, b: (p['w'].sum() * jnp.nan, {}), TX))
  with pytest.raises(InputError, match='test is nan at step 3, computed in float32'):
    run(tmp_path, 5, step=bad)


def test_what_an_interrupted_save_left_is_gone_before_anything_else(tmp_path):
  """The next save of that step, and a listing, never meet it."""
  tree = {'a': np.ones((2, 3), np.float32)}
  left = tmp_path / '1.orbax-checkpoint-tmp' / 'default'
  left.mkdir(parents=True)
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    assert not left.parent.exists()
    checkpoints.save(1, tree)
    assert checkpoints.latest == 1


def test_stages_side_by_side_save_one_after_the_other(tmp_path, monkeypatch):
  """Orbax takes two saves at a time for one, and waits for the wrong one."""
  real, inside, most = checkpoint.ocp.training.Checkpointer.save, [], []

  def watched(*arguments, **more):
    inside.append(1)
    most.append(len(inside))
    time.sleep(0.05)
    saved = real(*arguments, **more)
    inside.pop()
    return saved

  monkeypatch.setattr(checkpoint.ocp.training.Checkpointer, 'save', watched)
  trees = [{'a': jnp.full((2, 3), i, jnp.float32)} for i in range(4)]
  with futures.ThreadPoolExecutor(len(trees)) as pool:
    paths = [tmp_path / str(i) for i in range(len(trees))]
    list(pool.map(checkpoint.save, paths, trees))
  assert most == [1] * len(trees)
  for path, tree in zip(paths, trees, strict=True):
    np.testing.assert_array_equal(checkpoint.restore(path, tree)['a'], tree['a'])


def test_checkpoints_keep_dtypes_and_the_newest(tmp_path):
  """What is restored is bit for bit what was saved last."""
  tree = {'a': jnp.arange(3, dtype=jnp.int32), 'b': (jnp.float32(0.1),)}
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest is None
    checkpoints.save(1, jax.tree.map(np.zeros_like, tree))
    checkpoints.save(5, tree)
    assert checkpoints.latest == 5
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    got = checkpoints.restore(tree)
  for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(got), strict=True):
    assert np.asarray(a).dtype == np.asarray(b).dtype
    np.testing.assert_array_equal(a, b)


def test_gradient_accumulation_is_the_step_of_the_whole_batch():
  """Parts count by their tokens; what is logged is the mean of the parts."""

  def loss(params, key, batch):
    x, weight = batch
    tokens = weight.sum()
    value = (jnp.square(x @ params['w']) * weight).sum() / tokens
    return value, {'tokens': tokens, 'size': x.mean()}

  batch = jax.random.normal(jax.random.key(0), (6, 3)), jnp.array([1, 2, 0, 1, 4, 0.5])
  tx = optax.sgd(0.1)
  state = steps.init_state({'w': jnp.array([1.0, -2, 3])}, tx)
  key = jax.random.key(1)
  whole, expected = jax.jit(steps.make_step(loss, tx))(state, key, batch)
  for parts in (2, 3):
    step = jax.jit(steps.make_step(loss, tx, parts))
    found, metrics = step(state, key, batch)
    np.testing.assert_allclose(found.params['w'], whole.params['w'], rtol=1e-6)
    chex.assert_trees_all_close(metrics, expected, rtol=1e-5)


@pytest.mark.parametrize(('validates', 'most'), [slow_case(False, 3.05), (True, 3.05)])
def test_a_step_holds_the_weights_and_two_moments(tmp_path, validates, most):
  """On the device, and nothing else of their size: the state is given away each time.

  The best state is on the host, and what was read to start from is nobody's.
  """
  shape = {'w': jax.ShapeDtypeStruct((300, 400), jnp.float32)}
  weights, held, given = 4 * 300 * 400, [], []
  before = {id(x) for x in jax.live_arrays()}

  def read():
    return {'w': jnp.ones((300, 400))}

  def batch_at(i):
    gc.collect()
    live = [x for x in jax.live_arrays() if id(x) not in before]
    # By their place: an array and its shard are one.
    sizes = {
      x.unsafe_buffer_pointer(): x.nbytes
      for x in live
      if x.sharding.memory_kind != mesh.HOST
    }
    held.append(sum(sizes.values()) / weights)
    return jnp.ones((300, 1))

  jitted = jax.jit(steps.make_step(noisy_loss, TX), donate_argnums=0)

  def step(state, key, batch):
    found = jitted(state, key, batch)
    given.append(state.params['w'].is_deleted())
    return found

  context = StageContext(tmp_path, 'test', Progress(), 2, seed=0)
  start = steps.begin(steps.Start(shape, read), TX)
  options = {'steps': 4, 'log_every': 1}
  if validates:
    options |= {'validate': lambda state: {'score': float(state.step)}}
    options |= {'validate_every': 1}
  loop.run(step, start, batch_at, jax.random.key(0), context, **options)
  assert max(held) < most, held
  assert all(given)
