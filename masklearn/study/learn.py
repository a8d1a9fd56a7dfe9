"""Learning a masking policy for a task from the task's own loss.

First a warm-up: the base model is trained on denoising and on the questions of one
half of the training groups, until the loss of validation questions is lowest. It
then answers as well as it can without knowing the facts, so that what lowers the
outer loss is to learn them. The policy's episodes come from the other half.

Neither the warm-up nor the policy is ever told where an answer stands in a passage;
an episode joins passages and questions by the context of a question, where it has one,
and else by what both are about, their group.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from masklearn import data, policies
from masklearn.meta import Probed, inner, reinforce
from masklearn.meta.episodes import Episodes, fitting, join
from masklearn.meta.estimators import Estimator
from masklearn.meta.policy_update import PolicyUpdate, Setting, make_policy_update, warn
from masklearn.policies import statistics
from masklearn.policies.capacity import span_capacity, word_capacity
from masklearn.study import guards, precision, scales, stage
from masklearn.study.pretrain import Objective
from masklearn.study.probing import Probing
from masklearn.study.setup import Setup
from masklearn.study.warmup import Warmup, warm_up
from masklearn.training import loop, steps
from masklearn.training.context import StageContext
from masklearn.training.mesh import Layout
from masklearn.training.steps import Start
from masklearn.types import Batch, Policy, Specials, Task

WATCHED = 32  # passages on which a policy is looked at while it learns, at most
VALIDATION = 96  # episodes that decide when to stop


@dataclasses.dataclass(frozen=True)
class Learning:
  """How a policy is learned; numbers of the meta-gradient are in `estimator`."""

  rate: float  # share of the words that the policy hides
  target: str  # the objective's output format
  longest: int  # words of the longest candidate span
  updates: int  # of the policy
  episodes: int  # averaged in an update
  questions: int  # Q, of an episode, all about the group of its passage
  estimator: Estimator  # of the policy's gradient
  learning_rate: float  # of the policy's Adam at the start; a cosine ends it
  inner_optimizer: str  # of denoising steps, of `inner.OPTIMIZERS`
  # Its learning rate: with SGD so small that a step's effect is nearly linear in it.
  inner_learning_rate: float
  # Of fine-tuning steps, with a state of its own; '' for the same, which goes on.
  fine_tune_optimizer: str
  fine_tune_learning_rate: float  # of fine-tuning steps; 0 for the same
  inner_steps: int  # K
  # A regular expression for the names of the parameters that inner steps change; '' for
  # all.
  trainable: str
  temperature: tuple[float, float]  # of soft draws, first and last; falls geometrically
  # Of the policy's entropy relative to its largest, first and last, see
  # `meta.make_policy_step`.
  entropy_weight: tuple[float, float]
  # Whether fine-tuning steps use other groups' questions; False is the paper's way, the
  # same questions as the outer loss.
  held_out: bool
  # Whether validation also logs the cosine of the estimated gradient and the one of
  # mode 'mixed', which costs both.
  cosine: bool
  validate_every: int  # updates between validations
  warmup: Warmup


def learn_policy(
  setup: Setup,
  task: Task,
  passages: Batch,
  policy: Policy,
  params: Start,
  learning: Learning,
  context: StageContext,
) -> dict[str, Any]:
  """Learns the parameters of a policy on the task's training groups.

  Args:
    setup: corpus, tokenizer and model.
    task: its training questions teach, its validation questions say when to stop.
    passages: the encoded corpus, in the order of `setup.passages`.
    policy: what to learn.
    params: of the base model, to start from.
    learning: how.
    context: where, and from which seed.

  Returns:
    `seconds`, `updates` used, and precisions of what is hidden on groups that were not
    learned from: `answer_precision`, `span_precision`, `answer_precision_before`; and
    what `guards` and `precision` have found, and `_Checks.tuning`. Where no theta gains
    more than the first beyond noise, 0 updates. `theta` in the stage's directory gets
    the parameters.
  """
  seed, layout = context.seed, context.layout
  if done := stage.finished(context.directory, 'theta'):
    return done
  like = layout.place(first_theta(policy, params, seed))
  questions = data.encode_examples(task.examples, setup.tokenizer)
  given = setup, task, passages, questions
  training, validation = _joined(*given, learning, context)
  texts = [*training.batches, *validation.batches[1:]]
  ids = setup.tokenizer.specials
  update = policy_update(setup.model, ids, policy, texts, learning, layout)
  warm = _warmed(*given, params, learning, context)
  theta = reinforce.with_baseline(like) if learning.estimator.learns_baseline else like
  start = _started(update.inner_tx, warm.state, layout)
  key_watch, key_check, key_scale, key_step = jax.random.split(jax.random.key(seed), 4)
  first = Probing(update, theta, start, learning.temperature[0], layout)

  def scaled(episodes, batches, count, part):
    inside = scales.of_part(context, part)
    made = scales.Scales(episodes, batches, first.influences, key_scale, inside)
    return made.measure_all(count)

  size = learning.episodes
  index = data.batches(np.arange(len(training)), size, seed)
  checks = _Checks(update, theta, start, validation, learning, key_check, context)
  found = guards.step_size(checks.first, learning.inner_learning_rate, context)
  found |= _check_precision(setup, policy, texts, learning, checks, context)
  found |= guards.kept(context, 'tuning', checks.tuning)
  scaled(validation, checks.index, len(checks.index), 'validation')
  taught = scaled(training, index, guards.BATCHES, 'training')
  found |= guards.gradient_noise(first.moments, taught.stack, key_check, size, context)
  unseen = _Unseen(policy, setup, validation, task, key_watch, context.progress.check)
  result = loop.run(
    update.step,
    steps.begin(steps.held(theta), update.tx),
    lambda i: (start, layout.split(taught.stack(i), layout.episodes)),
    key_step,
    context,
    steps=learning.updates,
    validate=lambda s: checks.metrics(s.params) | unseen.metrics(s.params),
    validate_every=learning.validate_every,
    warn=warn,
  )
  best, used = layout.place(result.state.params), int(result.state.step)
  chosen = reinforce.without_baseline(best)
  if not surpasses(checks.gains(best), checks.gains(theta)):
    # The highest of several gains is one even where there is nothing but noise.
    chosen, used = like, 0
  found |= {'updates': used, 'score': result.score} | unseen.precisions(like, chosen)
  found['seconds'] = warm.seconds + result.seconds
  return stage.finish(context.directory, found, 'theta', chosen)


def _check_precision(setup, policy, texts, learning, checks, context):
  """Compares influences with those of a float32 model, where it computes in less."""
  model, ids = setup.model, setup.tokenizer.specials
  if model.config.dtype in precision.EXACT:
    return {}
  exact = type(model)(dataclasses.replace(model.config, dtype='float32'))
  update = policy_update(exact, ids, policy, texts, learning, context.layout)

  def measure():
    wanted, found = (checks.first(update=u).influence for u in (update, None))
    say = context.progress.say
    return {'float32_cosine': precision.check(found, wanted, model.config.dtype, say)}

  return guards.kept(context, 'precision', measure)


def _started(inner_tx, warm, layout):
  """The state that episodes start from, of the warmed-up one on the host."""
  warm = layout.place(warm)
  return layout.place(inner.start(inner_tx, warm.params, warm.opt))


def first_theta(policy: Policy, params: Start, seed: int) -> Any:
  """A policy's first parameters, with a model's embedding where it has one's."""
  words = params.read()['shared']['embedding']
  return policies.with_words(policy.init(jax.random.key(seed)), words)


class _Unseen:
  """The passages of groups that a policy does not learn from.

  Where no passage has such a group, those of the validation episodes instead.

  The spans that tasks ask about are looked at here, and only reported: as the policy
  learns those of validation groups, and at the end those of test groups.
  """

  def __init__(self, policy, setup, episodes, task, key, check):
    watched, tested = (
      np.array([i for i, group in enumerate(setup.groups) if group in groups], int)
      for part in (task.validation, task.test)
      for groups in [{e.group for e in part} - {''}]  # '' is about nothing
    )
    watched = watched if len(watched) else np.unique(episodes.rows)
    some = np.linspace(0, len(watched) - 1, min(WATCHED, len(watched))).astype(int)
    self._some = episodes.texts(watched[some])
    self._texts, self._tested = episodes.texts, tested if len(tested) else watched
    self._policy, self._key, self._check = policy, key, check

  def metrics(self, theta) -> dict[str, float]:
    """What validation logs of what the policy hides on some of its groups."""
    seen = statistics.hidden(
      self._policy, theta, self._key, self._some, draws=8, check=self._check
    )
    logged = 'answer_precision', 'salient_share', 'span_precision'
    return {name: getattr(seen, name) for name in logged}

  def precisions(self, first, last) -> dict[str, float]:
    """Precisions of the first and of the last parameters, on those of the test."""
    passages = self._texts(self._tested)
    before, after = (self._hidden(theta, passages) for theta in (first, last))
    return {
      'answer_precision_before': before.answer_precision,
      'answer_precision': after.answer_precision,
      'span_precision': after.span_precision,
    }

  def _hidden(self, theta, passages, **options):
    return statistics.hidden(
      self._policy, theta, self._key, passages, check=self._check, **options
    )


class _Checks:
  """The validation episodes of a policy that learns: the same at every check."""

  def __init__(self, update, theta, start, episodes, learning, key, context):
    size = learning.episodes
    count = -(-VALIDATION // size) * size
    index = data.batches(np.arange(len(episodes)), count, context.seed)[0]
    self.index = index.reshape(-1, size)
    self._keys = jax.random.split(key, count).reshape(-1, size)
    self._update, self._theta, self._start = update, theta, start
    self._layout = context.layout
    self._episodes = episodes
    self._cold = self._layout.scalar(np.float32(learning.temperature[1]))
    self._cosine, self._check = learning.cosine, context.progress.check
    self._tunes = bool(learning.estimator.fine_tune_steps)
    self._say = lambda text: context.progress.say(f'{context.title}: {text}')

  def gains(self, theta) -> np.ndarray:
    """The gain of each episode, for `surpasses`.

    By the arcsinh of each question's: those of a few are many times those of others,
    and they alone would make it seem to be noise.
    """
    return np.arcsinh(self._probe(theta)[0]).mean(1)

  def metrics(self, theta) -> dict[str, float]:
    """What validation logs: the mean gain, the outer loss, and the cosine."""
    gains, outer = self._probe(theta)
    # What is learned ascends: by an arcsinh here, many small gains would be preferred.
    found = {'score': float(gains.mean()), 'outer_loss': outer}
    if self._cosine:
      given = *self._placed(self.index[0], self._keys[0]), self._cold
      cosine = self._update.compare(theta, self._start, *given)
      found['cosine'] = float(cosine)
    return found

  def first(self, factor=1.0, update=None) -> Probed:
    """What is found by the first theta in the first episodes, on the host.

    At so many times the inner learning rate; with another update, as that has it.
    """
    given = *self._placed(self.index[0], self._keys[0]), self._cold
    start = self._layout.place(inner.at_factor(self._start, factor))
    probed = (update or self._update).probe(self._theta, start, *given)
    return self._layout.read(probed._replace(draw=None))

  def tuning(self) -> dict[str, float | None]:
    """`tuning_fall`: the share of its loss that a question loses by being tuned on.

    By the fine-tuning steps of its episode from the warmed-up model, a mean over the
    episodes; None without such steps. Said, as it is what tells whether they are a test
    of fine-tuning.
    """
    if not self._tunes:
      return {'tuning_fall': None}
    found = []
    for index, keys in zip(self.index, self._keys, strict=True):
      fall = self._update.fall(self._theta, self._start, *self._placed(index, keys))
      found.append(self._layout.read(fall))
      self._check()
    mean = float(np.mean(found))
    self._say(f'the loss of a question falls by {mean:.1%} as an episode tunes on it')
    return {'tuning_fall': mean}

  def _probe(self, theta):
    gains, outer = [], []
    for index, keys in zip(self.index, self._keys, strict=True):
      stack = self._episodes.stack(index)
      placed = self._layout.split((stack, keys), self._layout.episodes)
      probed = self._update.probe(theta, self._start, *placed, self._cold)
      before, after = self._layout.read((probed.before, probed.outer))
      gains.append((before - after) / stack.scale)  # [E, Q]
      outer.append(after)
      self._check()
    return np.concatenate(gains), float(np.mean(outer))

  def _placed(self, index, keys):
    return self._layout.split(
      (self._episodes.stack(index), keys), self._layout.episodes
    )


def surpasses(gains: np.ndarray, baseline: np.ndarray) -> bool:
  """Whether `gains` [E] exceed those of a paired baseline by three standard errors.

  Three and not two, as the gains are those of the best of several checks.

  >>> surpasses(np.array([1.0, 1.1, 0.9]), np.zeros(3))
  True
  """
  difference = gains - baseline
  error = difference.std(ddof=min(1, len(difference) - 1)) / len(difference) ** 0.5
  return bool(difference.mean() > 3 * error)


def _warmed(setup, task, passages, questions, params, learning, context) -> loop.Result:
  """The warmed-up model: random spans of the candidates' lengths are hidden."""
  groups, _ = halves(task, context.seed)
  capacity = word_capacity(passages, learning.rate, setup.tokenizer.specials)
  random_spans = stage.uniform(learning.rate, learning.longest)
  context = dataclasses.replace(
    context, directory=context.directory / 'warmup', title=f'{context.title}: warm-up'
  )
  objective = Objective(random_spans, {}, learning.target, capacity)
  given = setup, task, groups, passages, questions, objective, params
  return warm_up(*given, learning.warmup, context)


def _joined(
  setup, task, passages, questions, learning, context
) -> tuple[Episodes, Episodes]:
  """The episodes of training, of the groups that do not warm up, and of validation."""
  _, groups = halves(task, context.seed)
  own = [i for i, e in enumerate(task.train) if e.about in groups]
  pieces = fitting(setup.tokenizer, passages.tokens.shape[1])
  made, said = [], []
  for rows in (own, task.rows('validation')):
    examples = [task.examples[i] for i in rows]
    given = setup.passages, setup.groups, examples, learning.questions, context.seed
    joined = join(*given, pieces)
    asked = data.take(questions, rows)
    how = {'held_out': learning.held_out, 'inner_steps': learning.inner_steps}
    made.append(Episodes(joined, passages, asked, setup.tokenizer, **how))
    said.append(str(joined))
  context.progress.say(f'{context.title}: {"; to validate, ".join(said)}')
  return tuple(made)


def policy_update(
  model,
  ids: Specials,
  policy: Policy,
  texts: Sequence[Batch],
  learning: Learning,
  layout: Layout,
) -> PolicyUpdate:
  """The compiled steps of `learn_policy`; equal settings share them.

  Args:
    model: a Linen module.
    ids: its special tokens.
    policy: what to learn.
    texts: the encoded passages of episodes: the corpus, and contexts beside it.
    learning: how.
    layout: of the episodes.
  """
  lengths = {
    'span_length': max(span_capacity(t, learning.longest) for t in texts),
    'draw_length': max(int(word_capacity(t, learning.rate, ids).max()) for t in texts),
  }
  same = [name for name in Setting._fields if name not in lengths]
  setting = Setting(**lengths, **{name: getattr(learning, name) for name in same})
  return make_policy_update(model, policy, ids, learning.rate, setting, layout)


def halves(task: Task, seed: int) -> tuple[frozenset[str], frozenset[str]]:
  """What the training questions are about that warm a model up, and of episodes."""
  groups = sorted({e.about for e in task.train} - {''})  # '' is about nothing
  order = np.random.default_rng(seed).permutation(len(groups))
  parts = np.split(order, [len(groups) // 2])
  return tuple(frozenset(groups[i] for i in part) for part in parts)
