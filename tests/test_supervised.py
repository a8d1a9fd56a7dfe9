"""The supervised policy: its loss, its training, and draws from the best spans."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import policies
from masklearn.io.progress import Progress
from masklearn.policies import sampling
from masklearn.policies.learned import make_answer_loss
from masklearn.study import stage, supervise
from masklearn.training.context import StageContext
from masklearn.types import Answers, InputError, Policy
from tests.small import make_batch

BATCH = make_batch([[1, 2, 1, 1, 2], [2, 1, 1]], length=9)
ANSWERS = Answers(
  BATCH,
  np.array([[0, 3, 1], [2, 0, 0]], np.int32),
  np.array([[1, 2, 4], [1, 1, 1]], np.int32),  # four words are beyond the longest
  np.array([[0.5, 0.5, 1], [1, 0, 0]], np.float32),
)


@functools.cache
def make():
  """A small policy whose words are learned."""
  policy = policies.POLICIES['supervised'](
    0.4, 40, longest=3, top_k=1, width=8, kernel_size=3, embedding=6, learn_words=True
  )
  return policy, policy.init(jax.random.key(0))


def test_the_loss_is_that_of_the_answers_share():
  """By hand from a table of scores; too long answers and empty places do not count."""
  table = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 3)), jnp.float32)
  inside = sampling.fits(BATCH, 3)

  def scores(theta, batch):
    return jnp.where(inside, theta * table, -jnp.inf)

  loss = make_answer_loss(Policy(None, scores, None))
  gradient = jax.value_and_grad(loss, has_aux=True)
  (value, aux), slope = gradient(jnp.float32(1.5), None, ANSWERS)
  log_p = jax.nn.log_softmax(scores(1.5, BATCH).reshape(2, -1)).reshape(2, 9, 3)
  each = -(0.5 * log_p[0, 0, 0] + 0.5 * log_p[0, 3, 1] + log_p[1, 2, 0])
  np.testing.assert_allclose(value, each / 2, rtol=1e-6)
  assert aux['answers'] == 2
  assert jnp.isfinite(slope)
  nothing = ANSWERS._replace(weight=np.zeros_like(ANSWERS.weight))
  assert loss(jnp.float32(1.0), None, nothing)[0] == 0


def test_every_parameter_learns_from_answers():
  """The words, too, which a meta-learned policy leaves as they are."""
  policy, theta = make()
  gradient = jax.jit(jax.grad(make_answer_loss(policy), has_aux=True))
  slopes, _ = gradient(jax.tree.map(lambda x: x + 0.1, theta), None, ANSWERS)
  for path, slope in jax.tree.leaves_with_path(slopes):
    assert jnp.any(slope), jax.tree_util.keystr(path)


def test_training_finds_the_answers_and_goes_on_where_it_was(tmp_path):
  """With the better of two learning rates; a finished run is read and not repeated."""
  policy, theta = make()
  training = supervise.Supervision(
    updates=40, batch_size=2, learning_rates=(1e-6, 3e-2), weight_decay=0.0,
    validate_every=20,
  )  # fmt: skip
  with Progress() as progress:
    context = StageContext(tmp_path, 'test', progress, save_every=20, seed=0)
    done, again = (
      supervise.train_policy(policy, theta, (ANSWERS, ANSWERS), training, context, 900)
      for _ in range(2)
    )
  assert 900 < done['seconds'] < 1_800  # with those that finding the pairs has taken
  assert done['learning_rate'] == 3e-2
  assert set(done['trials']) == {'1e-06', '0.03'}
  assert done['score'] == max(done['trials'].values())
  assert done['score'] > -0.6
  assert again == done
  theta = stage.saved(tmp_path / 'theta', theta, context.layout).read()
  # Both answers of a question are as good; that of the other passage is the best.
  scores = policy.scores(theta, BATCH)
  assert scores[1].argmax() == 2 * 3
  assert sorted(np.asarray(scores[0]).ravel().argsort()[-2:]) == [0, 3 * 3 + 1]


def test_draws_of_the_best_spans():
  """Top 1 is certain; top 2 takes each of two by their scores, and no other."""
  table = np.full((2, 9, 2), -3.0, np.float32)
  table[0, 1, 1], table[0, 3, 1], table[1, 2, 0] = 2.0, 1.0, 2.0
  table = jnp.asarray(table)

  @functools.partial(jax.jit, static_argnums=1)
  def draw(keys, top):
    return jax.vmap(lambda key: sampling.draw_spans(key, table, BATCH, 0.4, top))(keys)

  keys = jax.random.split(jax.random.key(3), 400)
  one = draw(keys, 1)
  assert (np.asarray(one.start)[:, :, 0] == [1, 2]).all()
  assert (one.length[:, 0, 0] == 2).all()
  np.testing.assert_allclose(one.log_prob, 0, atol=1e-6)
  two = draw(keys, 2)
  first = two.start[:, 0, 0]
  assert set(np.asarray(first).tolist()) == {1, 3}
  share = np.exp(2) / (np.exp(2) + np.exp(1))
  assert abs(float((first == 1).mean()) - share) < 0.08
  chosen = np.where(first == 1, share, 1 - share)
  np.testing.assert_allclose(two.log_prob[:, 0], np.log(chosen), rtol=1e-4)
  with pytest.raises(InputError, match='top_k'):
    policies.POLICIES['supervised'](0.4, 40, top_k=-1)
