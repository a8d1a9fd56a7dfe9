"""The comparison with a peer: both sides do the same work, and names are checked."""

import json
import os
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import benchmarks
from benchmarks import (
  lengths,
  magic,
  matmuls,
  memory_use,
  meta,
  model_sizes,
  preparation,
)
from benchmarks.case import SIDES, Case, compare, compiled, peak_bytes
from experiments import app, benchmark, memory
from masklearn import data, models
from masklearn.types import InputError


def run(capsys, *flags, main=benchmark.main):
  """Calls the main as a shell would; its exit status and what it printed."""
  with pytest.raises(SystemExit) as end:
    app.run(main, ['main', *flags])
  return end.value.code, capsys.readouterr()


def measure(capsys, monkeypatch, *flags):
  """The line of a tiny case, without the processes that weigh it."""
  monkeypatch.setattr(benchmark, 'weigh_in_a_process', lambda *case: 2**20)
  code, printed = run(capsys, '--size=tiny', '--repeats=1', *flags)
  assert code == 0, printed.err
  return json.loads(printed.out)


@pytest.mark.slow
def test_a_case_is_one_line_of_json(capsys, monkeypatch):
  """Agreement, seconds, and the bytes of the processes that it starts."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  line = measure(capsys, monkeypatch, '--suite=generate', '--case=bart_greedy')
  assert line['agree'] == 0
  assert line['speedup'] == pytest.approx(line['peer_seconds'] / line['seconds'])
  assert line['memory_ratio'] == 1
  assert line['temp_bytes'] > 0


def test_masking_agrees_with_numpy(capsys, monkeypatch):
  """Source and target of both sides have the same spans, in distribution."""
  line = measure(capsys, monkeypatch, '--suite=mask')
  assert line['peer'] == 'numpy'
  assert 0 < line['agree'] < 0.01
  assert line['tokens_per_second'] == pytest.approx(8 * 64 / line['seconds'])


def test_a_preparation_is_measured(tmp_path):
  """Of a text of the size that was asked for, without duplicates."""
  preparation.write(tmp_path / 'documents.jsonl', 200_000)
  found = preparation.prepare(tmp_path, 'rules', 100)
  assert found['passages'] > 200_000 / 1_000
  assert found['megabytes_per_second'] > 0
  assert found['peak_bytes'] > 0
  assert data.Store(tmp_path / 'made').summary['duplicates'] == 0


def test_matmuls_of_a_gradient_are_counted(monkeypatch):
  """Two products forwards and three backwards; three times as many in a scan."""
  monkeypatch.setattr(matmuls, '_time', lambda left, right, *how: 1.0)
  x, w, v = jnp.ones((2, 3)), jnp.ones((3, 5)), jnp.ones((5, 4))

  def loss(w, v):
    return jnp.tanh(jnp.tanh(x @ w) @ v).sum()

  def repeated(w, v):
    return jax.lax.scan(lambda total, _: (total + loss(w, v), None), 0.0, length=3)[0]

  assert matmuls.seconds(loss, w, v) == 2
  assert matmuls.seconds(jax.grad(loss, argnums=(0, 1)), w, v) == 5
  assert matmuls.seconds(repeated, w, v) == 6


@pytest.mark.parametrize('kind', ['questions', 'passages'])
def test_real_lengths_are_spread_and_in_no_order(kind):
  """As many pairs as asked for, from the shortest to the longest."""
  pairs = lengths.load(kind, 32)
  assert pairs.shape == (32, 2)
  assert (pairs > 0).all()
  assert pairs[:, 0].max() > 2 * pairs[:, 0].min()
  assert (np.diff(pairs[:, 0]) < 0).any()


def test_weighing_sees_what_a_side_allocates():
  """A side that holds fifty megabytes raises the peak by about as many."""
  kept = {}
  work = types.SimpleNamespace(ours=lambda: kept.update(x=bytearray(b'1' * 50_000_000)))
  assert 45e6 < peak_bytes(work, 'ours') < 200e6


@pytest.mark.slow
def test_what_a_step_needs_is_told_without_running_it():
  """Parameters, two moments and the batch; chunks of logits need less than all."""
  plain, chunked = (memory_use.training('tiny', 8, False, chunk) for chunk in (0, 64))
  assert plain['argument_bytes'] == chunked['argument_bytes'] > 3 * 4 * 2048 * 64
  assert 0 < chunked['temp_bytes'] < plain['temp_bytes']


@pytest.mark.slow
def test_meta_gradients_agree_with_every_library():
  """Through a denoising step and one of fine-tuning, whose table of words is shared."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  ours = np.asarray(meta.build(1, 'low', 'tiny', ('ours',), '').ours())
  assert (ours != 0).all()
  for library in ('higher', 'torchopt'):
    theirs = meta.build(1, 'low', 'tiny', ('peer',), library).peer()
    assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(ours), library


@pytest.mark.peer  # python -m pytest -m peer, in an environment that has .venv-peer
@pytest.mark.parametrize(
  ('suite', 'peer'), [('meta', 'bergson_halves'), ('weights', 'bergson')]
)
def test_meta_gradients_agree_with_bergson(suite, peer):
  """In an interpreter of its own, through SGD and fine-tuning, and through Adam."""
  try:
    magic.python()
  except InputError as error:
    pytest.skip(f'needs .venv-peer: {error}')
  build = benchmarks.SUITES[suite]['K4-low']
  case = build('tiny', ('peer',), peer=peer)
  theirs = case.peer()
  assert case.process == case.peer.process != os.getpid()
  # Each call starts where the first did; with several threads, sums have no order.
  np.testing.assert_allclose(theirs, case.peer(), atol=1e-5 * np.abs(theirs).max())
  case.peer.close()
  ours = np.asarray(build('tiny', ('ours',), peer=peer).ours())
  theirs = meta.words(theirs) if suite == 'meta' else theirs
  assert (ours != 0).all()
  assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(ours)


def test_a_peer_in_a_process_of_its_own_is_asked_and_weighed(tmp_path, monkeypatch):
  """What it answers is read, what it prints besides is not; its memory is its own."""
  worker = """
import pathlib, sys, numpy as np
given, kept = sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir()), []
print('a library says hello')
print('ready', flush=True)
for line in sys.stdin:
  if len(kept) == 4:
    sys.exit('Enough: asked four times')
  kept.append(bytearray(b'1' * 20_000_000))
  np.save(line.strip(), np.float32([len(kept), len(given)]))
  print('done', flush=True)
"""
  (tmp_path / 'benchmarks').mkdir()
  (tmp_path / 'benchmarks' / 'magic_worker.py').write_text(worker)
  monkeypatch.setattr(magic, 'python', lambda: sys.executable)
  monkeypatch.setattr(magic, 'ROOT', tmp_path)
  case = meta.build(1, 'low', 'tiny', ('peer',), 'bergson')
  np.testing.assert_array_equal(case.peer(), [1, 3])  # work, arrays, and the log
  assert 55e6 < peak_bytes(case, 'peer') < 200e6
  with pytest.raises(InputError, match='it said: Enough: asked four times'):
    case.peer()


def test_an_interpreter_without_bergson_is_refused(capsys, monkeypatch):
  """Before anything is compiled, with what installs it."""
  for given in (sys.executable, 'no/such/python'):
    monkeypatch.setenv('PEER_PYTHON', given)
    code, printed = run(capsys, '--suite=meta', '--peer=bergson')
    assert code == 2
    assert printed.err.count('\n') == 1
    assert f'{given} has none; make one, python3 -m venv .venv-peer' in printed.err


def test_seconds_of_compiling_are_told():
  """Apart from those of a call; a side that compiles nothing has none."""
  add, temp_bytes = compiled(lambda x: x + 1, jnp.ones(5))
  work = Case(add, lambda: add(), lambda: 0.0, 1e-3, temp_bytes, tokens=5)
  found = compare(work, 1)
  assert found['compile_seconds'] == add.compile_seconds > found['seconds']
  assert compare(work._replace(ours=lambda: add()), 1)['compile_seconds'] == 0


@pytest.mark.slow
def test_the_influence_of_tokens_agrees_with_reverse_mode():
  """Through steps of Adam with moments, in float64."""
  case = benchmarks.SUITES['weights']['K4-low']('tiny', (), peer='reverse')
  assert case.agree() < 1e-8


@pytest.mark.slow
def test_the_unit_is_the_gradient_of_the_denoising_step():
  """The step has a gradient for the policy, and needs memory for it."""
  case = benchmarks.SUITES['units']['K1-low']('tiny', SIDES)
  agree = case.agree()
  assert isinstance(agree, float)  # what JSON can write
  assert agree < case.tolerance
  _, gradient = case.ours()
  assert np.abs(gradient['span']['kernel']).max() > 0
  assert case.temp_bytes > 0


@pytest.mark.slow
def test_what_meta_gradients_need_is_told_on_each_device():
  """Every device holds the state and one of the episodes."""
  found = memory_use.policy_learning('tiny', 'soft', 1, 'low', jax.devices()[:2])
  model = model_sizes.make_model('bart', 'tiny')
  params = jax.eval_shape(lambda key: models.init_params(model, key), jax.random.key(0))
  state = 4 * sum(x.size for x in jax.tree.leaves(params))
  assert state < found['argument_bytes'] < 2 * state
  assert found['temp_bytes'] > state
  assert found['bytes'] > found['argument_bytes'] + found['temp_bytes']


def test_memory_has_a_line_for_each_number_of_steps_and_estimator(capsys, monkeypatch):
  """In the order in which they are asked for, with what was asked."""

  def found(size, relaxation, steps, estimator, devices):
    return {'bytes': steps}

  monkeypatch.setattr(memory_use, 'policy_learning', found)
  flags = '--work=meta', '--size=tiny', '--steps=1,4', '--estimators=fast,low'
  code, printed = run(capsys, *flags, main=memory.main)
  assert code == 0, printed.err
  lines = [json.loads(line) for line in printed.out.splitlines()]
  asked = [(line['steps'], line['estimator']) for line in lines]
  assert asked == [(1, 'fast'), (1, 'low'), (4, 'fast'), (4, 'low')]
  for line in lines:
    assert line['bytes'] == line['steps']
    assert (line['work'], line['size'], line['topology']) == ('meta', 'tiny', 'cpu')


@pytest.mark.parametrize(
  ('main', 'flags', 'message'),
  [
    (memory.main, '--work=met', "'met'; did you mean 'meta'? All are train, meta."),
    (
      memory.main,
      '--config=configs/t5_base.py:zsre --stages=fine-tunning',
      "'fine-tunning'; did you mean 'fine-tuning'?",
    ),
    (memory.main, '--size=big', 'All are tiny, small, base, large, xl.'),
    (memory.main, '--steps=1,x --work=meta', 'steps must be a whole number above 0'),
    (memory.main, '--estimators=low,fst', "did you mean 'fast'"),
    (memory.main, '--relaxation=mix', "did you mean 'mixture'"),
    (memory.main, '--size=BASE', "did you mean 'base'?"),
    (memory.main, '--rows=0', 'rows must be a whole number above 0 and up to 65,536'),
    (memory.main, '--rows=²', "got '²'."),
    (memory.main, f'--rows={"9" * 200}', f"got '{'9' * 39}."),
    (memory.main, '--work=meta --steps=', 'steps must be a whole number above 0'),
    (memory.main, '--work=meta --steps=1,,4', "got ''."),
    (
      memory.main,
      '--estimators=',
      "Unknown estimators ''; All are low, fast, reverse.",
    ),
    (memory.main, '--topology=v5e', '--topology=v5e must name TPUs, such as v5e:2x2'),
    (memory.main, f'--work={"x" * 200}', f"Unknown work '{'x' * 80}'; did you mean"),
    (benchmark.main, '--suite=Train --size=tiny', "did you mean 'train'?"),
    (benchmark.main, '--suite=train --repeats=0', 'a whole number above 0'),
    (benchmark.main, '--suite=train --repeats=-1', "got '-1'"),
    (benchmark.main, '--suite=train --repeats=1e9', "got '1e9'"),
    (benchmark.main, '--suite=mask --weigh=our', "weigh 'our'; did you mean 'ours'?"),
    (benchmark.main, '--suite=gen', 'All are train, generate, mask, meta, weights, '),
    (benchmark.main, '--suite=train --size=huge', 'All are tiny, small, base.'),
    (benchmark.main, '--suite=train --case=bart_fill', "did you mean 'bart_full'"),
    (
      benchmark.main,
      '--suite=train --peer=numpy',
      "peer 'numpy'; did you mean 'torch'?",
    ),
    (benchmark.main, '--suite=meta --peer=opt', "'torchopt'? All are higher, torchopt"),
    (benchmark.main, '--suite=train --repeats=x', "up to 65,536, got 'x'"),
  ],
)
def test_wrong_names_list_the_nearest(capsys, main, flags, message):
  """Before anything is built or compiled."""
  code, printed = run(capsys, *flags.split(), main=main)
  assert code == 2
  assert message in printed.err
  assert printed.err.count('\n') == 1


def test_a_peer_that_is_not_there_is_named(capsys, monkeypatch):
  """With the extra that installs it; so is a process that could not be weighed."""

  def build(size, sides):
    raise ModuleNotFoundError("No module named 'torch'", name='torch')

  monkeypatch.setitem(benchmarks.SUITES, 'train', {'bart_full': build})
  code, printed = run(capsys, '--suite=train', '--size=tiny', '--weigh=ours')
  assert code == 2
  assert 'torch is not installed; the extra `parity` brings it' in printed.err
  monkeypatch.setattr(benchmark.sys, 'executable', 'false')
  code, printed = run(capsys, '--suite=train', '--size=tiny')
  assert code == 2
  assert "its process for 'ours' ended with 1" in printed.err
