"""The compiled programs of a study's stages, with the shapes of their arguments.

Those of the base are those of pre-training. Nothing is read and nothing is run: a
program can be compiled for devices that are not there, to see what it takes before a
job waits for them, and exported for other kinds. Where lengths depend on a corpus,
every token counts as a word: the longest that can be.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn import data, models
from masklearn.evaluation import answering
from masklearn.meta.outer import Episode
from masklearn.policies import POLICIES
from masklearn.policies.capacity import word_capacity
from masklearn.study import build, plan, settings, stage, supervise
from masklearn.study.learn import policy_update
from masklearn.study.pretrain import Denoising, Objective, make_work
from masklearn.study.warmup import joint_training
from masklearn.training import steps
from masklearn.training.mesh import Layout
from masklearn.types import Answers, Batch, Corrupted, Specials

CORPUS = 64  # passages, of which batches repeat some


class Program(NamedTuple):
  """A compiled function and its arguments: shapes, with where each array lies."""

  function: Callable
  arguments: tuple

  def lower(self):
    """The program before it is compiled, as `jax.jit` has it."""
    return self.function.lower(*self.arguments)


class Programs:
  """The programs of a study on a mesh, by name; see `names`."""

  def __init__(
    self,
    config,
    model,
    ids: Specials,
    layout: Layout,
    passages: Batch | None = None,
    asked: tuple[int, int] | None = None,
  ):
    """Takes a study's config and its model, with the special tokens of both.

    Args:
      config: of the study.
      model: a Linen module.
      ids: its special tokens.
      layout: of devices.
      passages: the encoded corpus; None for passages as long as they can be.
      asked: tokens of the questions of episodes and of their answers; None likewise.
    """
    self._config, self._model, self._ids, self._layout = config, model, ids, layout
    self._passages = passages or _passages(config.corpus.longest)
    c = config.finetune
    self._asked = asked or (min(c.source_length, 256), c.answer_length)
    self._shapes = models.param_shapes(model)
    self._saving = stage.Saving(**config.saving)
    names = settings.names(config.policy.names)
    self._by = {
      kind: [name for name in names if POLICIES[name].trained_by == kind]
      for kind in ('learn', 'supervise')
    }

  def names(self) -> dict[str, Callable[[], Program]]:
    """What makes each program."""
    found = {
      'corruption': self.corruption,
      'pre-training': self.pretraining,
      'fine-tuning': self.finetuning,
      'loss of questions': self.question_loss,
      'answers': self.answers,
    }
    if self._by['learn']:
      found |= {'warm-up': self.warm_up, 'probe': self.probe, 'policy': self.policy}
    if self._by['supervise']:
      found |= {'supervision': self.supervision}
    return found

  def corruption(self) -> Program:
    """A batch of passages, corrupted by random spans."""
    work, _ = self._denoising(Denoising(**self._config.pretrain))
    return Program(work.corrupted, ({}, _key(), self._texts(len(work.order[0]))))

  def pretraining(self, target: str = 'spans') -> Program:
    """A step of intermediate pre-training."""
    training = Denoising(**self._config.pretrain)
    work, objective = self._denoising(training, target=target)
    index = work.order[0]
    texts = self._texts(len(index))
    examples = jax.eval_shape(work.corrupted, objective.theta, _key(), texts)
    batch = jax.eval_shape(work.together, index >= 0, *self._rows(examples))
    state = self._state(work.tx)
    return Program(work.step, (state, _key(), self._rows(batch)))

  def finetuning(self) -> Program:
    """A step of fine-tuning; with packing, of rows that are full."""
    c = self._config.finetune
    given = self._model, c.learning_rates[0], c.updates, c.weight_decay
    tx, step = stage.compiled_step(*given, self._saving, self._layout)
    asked = _questions(CORPUS, c.source_length, c.answer_length)
    lengths = np.tile(
      np.array([[c.source_length, c.answer_length]], np.int32), (CORPUS, 1)
    )
    size = c.batch_size
    order, together = self._saving.batches(lengths, 0, size, 0, self._layout)
    index = order[0]
    rows = self._rows(jax.tree.map(lambda x: x[index], asked))
    batch = jax.eval_shape(together, index >= 0, rows, {})
    return Program(step, (self._state(tx), _key(), self._rows(batch)))

  def question_loss(self) -> Program:
    """The losses of a batch of questions, by which a stage is validated."""
    c = self._config.finetune
    count = self._layout.multiple(answering.Asking(None).batch_size)
    asked = _questions(count, c.source_length, c.answer_length)
    function = answering.row_losses(self._model, self._layout)
    return Program(function, (self._params(), self._rows(asked)))

  def answers(self) -> Program:
    """Greedy answers to a batch of questions."""
    c = self._config.finetune
    count = self._layout.multiple(answering.Asking(None).batch_size)
    asked = _questions(count, c.source_length, c.answer_length)
    function = answering.greedy(self._model, c.answer_length, self._layout)
    rows = self._rows((asked.source, asked.source_valid))
    return Program(function, (self._params(), rows))

  def warm_up(self) -> Program:
    """A step of the warm-up before a policy is learned."""
    c = self._config.learn.warmup
    tx, step = joint_training(self._model, c.learning_rate, c.updates, self._layout)
    options = {**self._config.pretrain, 'batch_size': c.batch_size}
    work, objective = self._denoising(Denoising(**options), stage.Saving())
    texts = self._texts(c.batch_size)
    examples, _ = jax.eval_shape(work.corrupted, objective.theta, _key(), texts)
    asked = _questions(c.batch_size, *self._asked)
    batch = self._rows((examples, asked))
    return Program(step, (self._state(tx), _key(), batch))

  def probe(self) -> Program:
    """The influences of the spans of some episodes, a meta-gradient of each."""
    return self._learning()[0]

  def policy(self) -> Program:
    """The step of the policy on what a probe has found."""
    probe, update, theta = self._learning()
    probed = jax.eval_shape(probe.function, *probe.arguments)
    state = jax.eval_shape(lambda p: steps.init_state(p, update.tx), theta)
    given = self._split(probed), probe.arguments[2].scale
    return Program(update.update, (self._layout.shapes(state), *given))

  def supervision(self) -> Program:
    """A step of a policy that is shown where answers stand."""
    c = self._config.supervised
    policy = self._policy(self._by['supervise'][0])
    given = policy, c.learning_rates[0], c.updates, c.weight_decay
    tx, step, _ = supervise.compiled(*given, self._layout)
    theta = jax.eval_shape(policy.init, _key())
    state = jax.eval_shape(lambda p: steps.init_state(p, tx), theta)
    index = np.arange(c.batch_size) % len(self._passages.tokens)
    place = np.zeros((len(index), 1), np.int32)
    passages = data.take(self._passages, index)
    answers = Answers(passages, place, place, np.ones(place.shape, np.float32))
    return Program(step, (self._layout.shapes(state), _key(), self._rows(answers)))

  def _policy(self, name):
    shape = self._model.config
    given = shape.vocab_size, self._ids, shape.width
    return build.trained(self._config, name, *given)[0]

  def _learning(self):
    c, layout = self._config, self._layout
    name = next(iter(self._by['learn']), plan.first_learned())
    learning, _ = build.learning_of(c, name)
    policy = self._policy(name)
    update = policy_update(
      self._model, self._ids, policy, [self._passages], learning, layout
    )
    theta = layout.shapes(jax.eval_shape(policy.init, _key()))
    start = self._state(update.inner_tx)
    count, asked = learning.episodes, learning.questions
    rows = np.zeros((count, learning.inner_steps, 1), np.int64)
    texts = data.take(self._passages, rows)
    one = _questions(1, *self._asked)
    ask = jax.tree.map(lambda x: x[np.zeros((count, asked, 1), np.int64)], one)
    episodes = Episode(texts, ask, ask, np.ones((count, asked), np.float32))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    given = *self._split((episodes, keys)), np.float32(1)
    return Program(update.probe, (theta, start, *given)), update, theta

  def _denoising(self, training, saving=None, target='spans'):
    """The work of `denoise` under random spans."""
    rate = self._config.policy.rate
    capacity = word_capacity(self._passages, rate, self._ids)
    policy = stage.uniform(rate, self._config.policy.longest)
    objective = Objective(policy, {}, target, capacity)
    given = self._model, self._ids, self._passages, objective, training
    return make_work(*given, saving or self._saving, 0, self._layout), objective

  def _params(self):
    return self._layout.shapes(self._shapes)

  def _state(self, tx):
    state = jax.eval_shape(lambda p: steps.init_state(p, tx), self._shapes)
    return self._layout.shapes(state)

  def _texts(self, count):
    index = np.arange(count) % len(self._passages.tokens)
    return self._rows(data.take(self._passages, index))

  def _rows(self, tree):
    return _placed(tree, self._layout.rows)

  def _split(self, tree):
    return _placed(tree, self._layout.episodes)


def _placed(tree: Any, place) -> Any:
  """Shapes of arrays that are split by `place`."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree
  )


def _key():
  return jax.eval_shape(lambda: jax.random.key(0))


def _passages(length: int) -> Batch:
  """Passages of `length` tokens, each of them a word."""
  tokens = np.zeros((CORPUS, length), np.int32)
  word = tokens + np.arange(length, dtype=np.int32)
  return Batch(tokens, tokens == 0, word, tokens, tokens, tokens)


def _questions(count: int, source: int, target: int) -> Corrupted:
  asked, answer = (
    np.zeros((count, source), np.int32),
    np.zeros((count, target), np.int32),
  )
  weight = np.ones(answer.shape, np.float32)
  return Corrupted(asked, asked == 0, answer, answer, weight)
