"""Policies that nobody trains: at random, by annotation, or beside another policy."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from masklearn.policies import sampling
from masklearn.types import Batch, InputError, Policy

ONE_SPAN = 5  # words at most that `one_span` hides


def from_scores(
  scores: Callable, rate: float, init: Callable = lambda key: {}, top_k: int = 0
) -> Policy:
  """The policy that draws spans by `scores(theta, batch)` [B, W, N].

  Args:
    scores: log-weights of spans; see `sampling`.
    rate: share of a passage's words to hide, in (0, 1).
    init: `init(key)` makes the parameters theta.
    top_k: draws each span from the k best that are still possible; 0 from all.

  Raises:
    InputError: the rate or `top_k` is out of range.
  """
  if top_k < 0:
    raise InputError(f'top_k must be at least 1, or 0 for all spans, got {top_k}.')
  if not 0 < rate < 1:
    raise InputError(f'The share of words to hide must lie in (0, 1), got rate={rate}.')

  def draw(theta, key, batch):
    spans = sampling.draw_spans(key, scores(theta, batch), batch, rate, top_k)
    return sampling.to_draw(spans, batch)

  return Policy(init, scores, draw)


def whole_word(rate: float) -> Policy:
  """Hides single words with all their tokens, all equally likely; also `random`.

  References:
    Whole Word Masking, in the README of google-research/bert (2019).
  """
  return from_scores(lambda theta, batch: jnp.zeros((*batch.tokens.shape, 1)), rate)


def salient(rate: float, longest: int = 8) -> Policy:
  """Hides salient spans: named entities, numbers and dates, as annotated.

  References:
    Guu et al., REALM (2020), section 3.4, salient span masking. Roberts et al., How
    Much Knowledge Can You Pack Into the Parameters of a Language Model? (2020).
  """
  return _annotated(rate, longest, 'salient')


def pmi_span(rate: float, longest: int = 5) -> Policy:
  """Hides collocations, whole, and the words between them, all equally likely.

  A batch needs its `collocation`, see `data.encode_passages` and `Collocations.units`.

  References:
    Levine et al., PMI-Masking (2021), section 3.
  """
  return _annotated(rate, longest, 'collocation')


def annotated(rate: float, longest: int = 8) -> Policy:
  """Hides the spans that answer the task's questions: a reference, and no policy."""
  return _annotated(rate, longest, 'asked')


def random_span(
  rate: float, reference: Policy | None = None, longest: int = 4, top_k: int = 0
) -> Policy:
  """Hides spans at random places, as long as those that `reference` draws.

  Without a reference, all spans of up to `longest` words are equally likely. `top_k`
  is the reference's, see `from_scores`.
  """
  if reference is None:
    return from_scores(
      lambda theta, batch: jnp.zeros((*batch.tokens.shape, longest)), rate
    )
  return _moved(rate, reference, top_k, within_sentence=False)


def some_random_spans(rate: float, longest: int = 4) -> Policy:
  """Hides some of the spans of `random_span`: from one to all, equally often.

  A model that has always seen ten spans hidden does not know what to do with one.
  """
  whole = random_span(rate, longest=longest)

  def draw(theta, key, batch):
    key_spans, key_count = jax.random.split(key)
    scores = whole.scores(theta, batch)
    spans = sampling.draw_spans(key_spans, scores, batch, rate)
    used = (spans.length > 0).sum(-1, keepdims=True, dtype=jnp.int32)  # [B, 1]
    kept = jax.random.randint(key_count, used.shape, 1, used + 1, jnp.int32)
    place = jnp.arange(spans.length.shape[1], dtype=jnp.int32)[None]
    # They are in the order of drawing: the first ones are any.
    length = jnp.where(place < kept, spans.length, 0)
    return sampling.to_draw(spans._replace(length=length), batch)

  return whole._replace(draw=draw)


def one_span(rate: float | None = None, longest: int = ONE_SPAN) -> Policy:
  """Hides one span of 1 to `longest` words, whatever the rate; all equally likely.

  That is a budget of its own, beside that of other policies: of 20 words 2.9 are hidden
  on average. In the published code words are what white space separates, and of the
  examples of a fact none comes again before all spans have come; here a mark is a word,
  and each draw is independent.

  References:
    Zhang et al., WikiDYK (2026); `sample_masked_versions` of its code.
  """
  del rate

  def scores(theta, batch):
    return jnp.zeros((*batch.tokens.shape, longest))

  def draw(theta, key, batch):
    rows = batch.tokens.shape[0]
    possible = sampling.fits(batch, longest).reshape(rows, -1)
    noise = jnp.where(possible, jax.random.uniform(key, possible.shape), -1.0)
    choice = noise.argmax(-1, keepdims=True).astype(jnp.int32)  # [B, 1]
    count = possible.sum(-1)
    length = jnp.where(count[:, None] > 0, choice % longest + 1, 0)
    log_prob = -jnp.log(jnp.maximum(count, 1).astype(jnp.float32))
    spans = sampling.Spans(choice // longest, length, log_prob)
    return sampling.to_draw(spans, batch)

  return Policy(lambda key: {}, scores, draw)


def same_sentences_random(rate: float, reference: Policy, top_k: int = 0) -> Policy:
  """Hides random spans in the sentences that `reference` chose: the control.

  `top_k` is the reference's, see `from_scores`.

  What a policy gains over this one, it gains by choosing words; what this one
  gains over `random_span`, by choosing sentences.
  """
  return _moved(rate, reference, top_k, within_sentence=True)


def annotation_scores(annotation: jax.Array, batch: Batch, longest: int) -> jax.Array:
  """0 for annotated spans of up to `longest` words, -inf for others: [B, W, N].

  Args:
    annotation: [B, L] int32; 0 outside, 1 on a span's first token, 2 inside.
    batch: the passages.
    longest: N; of a longer span, the first N words.
  """
  width = batch.tokens.shape[1]
  words = jnp.arange(width, dtype=jnp.int32)[None]
  at = sampling.token_of_word(batch)
  inside = words < sampling.word_count(batch)[:, None]
  kind = jnp.where(inside, jnp.take_along_axis(annotation, at, axis=1), 0)  # [B, W]
  stop = jnp.where(kind == 2, width, words)
  # Words from w + 1 on that continue a span which begins at w.
  following = jnp.pad(stop, ((0, 0), (0, 1)), constant_values=width)[:, 1:]
  until = jax.lax.cummin(following, axis=1, reverse=True)
  until = jnp.minimum(until, sampling.word_count(batch)[:, None])
  length = jnp.minimum(until - words, longest)[..., None]  # [B, W, 1]
  lengths = jnp.arange(1, longest + 1, dtype=jnp.int32)[None, None]
  return jnp.where((kind == 1)[..., None] & (lengths == length), 0.0, -jnp.inf)


def _annotated(rate, longest, name):
  def scores(theta, batch):
    annotation = getattr(batch, name)
    if annotation is None:  # Any batch has the others.
      raise InputError(
        "The policy 'pmi_span' needs the collocations of the corpus, and these "
        'passages were encoded without any; give `encode_passages` its `units`.'
      )
    return annotation_scores(annotation, batch, longest)

  return from_scores(scores, rate)


def _moved(rate, reference, top_k, within_sentence):
  def scores(theta, batch):
    return sampling.moved_scores(reference.scores(theta, batch), batch, within_sentence)

  def draw(theta, key, batch):
    key_spans, key_places = jax.random.split(key)
    scores = reference.scores(theta, batch)
    spans = sampling.draw_spans(key_spans, scores, batch, rate, top_k)
    return sampling.move_spans(key_places, spans, batch, within_sentence)

  return Policy(reference.init, scores, draw)
