"""Operations are counted with all turns of loops, and bought as updates."""

import types

import jax
import jax.numpy as jnp
import pytest

from configs import world
from masklearn import models
from masklearn.study import compute
from masklearn.study.programs import Programs
from masklearn.training import mesh
from masklearn.types import Example, Task
from tests.small import IDS, make_batch

PASSAGES = make_batch([[1, 2, 1, 1, 1, 3], [2, 1, 1], [1] * 7])
SIZES = {'encoder_layers': 1, 'decoder_layers': 1, 'width': 8, 'max_positions': 32}
HEADS = dict.fromkeys(('encoder_heads', 'decoder_heads'), 2)


def small_config(**learn):
  """Of a study whose numbers of updates all differ."""
  c = world.get_config('smoke')
  c.policy.names = 'none,random_longer'
  c.learn.update(updates=5, **learn)
  c.learn.warmup.updates = 3
  c.pretrain.updates = 10
  c.saving.chunk = 4
  return c


@pytest.fixture(scope='module')
def setup():
  """A tiny model, with a tokenizer of one token a letter."""
  net = models.make_model('bart', 'tiny', 60, IDS, **SIZES, **HEADS)

  def encode(text):
    return types.SimpleNamespace(ids=[10 + ord(x) % 50 for x in text])

  tokenizer = types.SimpleNamespace(specials=IDS, encode=encode, size=60)
  return types.SimpleNamespace(model=net, tokenizer=tokenizer)


def task(*pairs):
  """A task of these questions and answers."""
  return Task('t', tuple(Example(q, q, (a,)) for q, a in pairs), (), ())


TASKS = task(('what', 'this')), task(('is', 'so long'), ('it', ''))


def test_a_loop_counts_as_often_as_it_turns():
  """Also within a compiled function, a branch, a gradient and another loop."""
  x, w = jnp.ones((2, 3)), jnp.ones((3, 3))

  def inner(x, w):
    return jax.lax.scan(lambda c, _: (c @ w, None), x, length=5)[0]

  def outer(x, w):
    rows = jax.jit(lambda x: jax.lax.map(lambda row: inner(row[None], w), x))(x)
    return rows.sum()

  once = 2 * 2 * 3 * 3
  assert compute.operations(lambda x, w: x @ w, x, w) == once
  assert compute.operations(inner, x, w) == pytest.approx(5 * once, rel=0.1)
  assert compute.operations(outer, x, w) == pytest.approx(5 * once, rel=0.2)
  gradient = compute.operations(jax.grad(outer, argnums=1), x, w)
  assert gradient == pytest.approx(3 * 5 * once, rel=0.4)
  assert compute.operations(jax.jit(outer), x, w) == compute.operations(outer, x, w)


def test_longer_training_costs_what_learning_does(setup, monkeypatch):
  """By a stub: (5 x (3 + 1) + 3 x 2) operations more than 10 x 4, in updates of 4."""
  names = iter(('pretraining', 'warm_up', 'probe', 'policy'))
  costs, asked = {'pretraining': 4.0, 'warm_up': 2.0, 'probe': 3.0, 'policy': 1.0}, []

  def stub(function, *arguments):
    asked.append(jax.tree.map(lambda x: x.shape, arguments))
    return costs[next(names)]

  monkeypatch.setattr(compute, 'operations', stub)
  given = small_config(), setup, PASSAGES, TASKS
  assert compute.with_learning(*given, 'spans') == round(10 + (5 * 4 + 3 * 2) / 4)
  assert given[0].saving.chunk == 4  # of the study, as it was
  questions = asked[1][2][1]  # of the warm-up
  longest = max(len('what'), len('is')) + 2, len('so long') + 2
  assert (questions.source[1], questions.target[1]) == longest


def test_the_cost_of_learning_grows_with_episodes(setup):
  """Twice as many are twice as dear, though they are one loop."""
  found = []
  for episodes in (2, 4):
    given = small_config(episodes=episodes), setup.model, IDS, mesh.one_device()
    probe = Programs(*given, PASSAGES, (6, 5)).probe()
    found.append(compute.operations(probe.function, *probe.arguments))
  less, more = found
  assert 1.9 * less < more < 2.1 * less


@pytest.mark.slow
@pytest.mark.parametrize('target', ['spans', 'full'])
def test_the_count_is_the_same_each_time(setup, target):
  """And more than what the others have."""
  given = small_config(), setup, PASSAGES, TASKS, target
  first, again = (compute.with_learning(*given) for _ in range(2))
  assert first == again > 10
