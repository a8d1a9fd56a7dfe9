"""Policies by excess losses: what is scored, and what other text gets."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masklearn import data, models, policies
from masklearn.io import files
from masklearn.io.progress import Progress
from masklearn.policies import heuristic, ngrams, occurrences
from masklearn.policies.capacity import part_capacity
from masklearn.study import excess, stage
from masklearn.training import losses, mesh, steps
from masklearn.training.context import StageContext
from masklearn.types import Batch, InputError
from tests import small
from tests.small import IDS, T5_IDS, Unigrams, make_batch, slow_case

BATCH = make_batch([[1, 2, 1, 1, 3, 1], [2, 1, 1]], length=10)
VOCABULARY = 40
ONE = mesh.one_device()


UNIGRAMS = Unigrams(VOCABULARY)  # compiled functions are kept by model


def log_frequencies(seed):
  """Log-probabilities of all tokens."""
  logits = np.random.default_rng(seed).normal(size=VOCABULARY).astype(np.float32)
  return jax.nn.log_softmax(jnp.array(logits))


@pytest.mark.parametrize(
  ('target', 'ids', 'rounds', 'devices'),
  [
    ('spans', IDS, 1, 1), ('full', IDS, 2, 1),
    slow_case('spans', T5_IDS, 2, 1), slow_case('spans', IDS, 1, 2),
  ],
)  # fmt: skip
def test_the_excess_of_a_word_is_summed_over_its_tokens(target, ids, rounds, devices):
  """Exactly, for a model to which context says nothing: each word is hidden once."""
  both = log_frequencies(0), log_frequencies(1)
  length = int(part_capacity(BATCH, 3, ids).max())
  layout = mesh.make_layout(devices)
  compute = excess.compiled(UNIGRAMS, ids, target, length, rounds, 3, layout)
  texts = layout.batch(lambda own: data.take(BATCH, own), 2)
  made = compute(layout.place(both), jax.random.key(0), texts)
  found, exists, *hashes = jax.device_get(made)
  each = np.asarray(both[1] - both[0])[BATCH.tokens]
  expected = np.zeros(BATCH.tokens.shape)
  for row, (word, valid) in enumerate(zip(BATCH.word, BATCH.valid, strict=True)):
    np.add.at(expected[row], word[valid], each[row][valid])
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert exists.sum(1).tolist() == [6, 3]
  np.testing.assert_array_equal(hashes, ngrams.passage_hashes(BATCH))


def test_a_part_has_room_for_its_largest_words():
  """Of six words two are a third; more words than sentinels are refused."""
  assert part_capacity(BATCH, 3, IDS).tolist() == [3 + 2 + 2 + 1, 2 + 1 + 1]
  with pytest.raises(
    InputError, match=r'6 words of a passage.*5 sentinels.*more parts'
  ):
    part_capacity(BATCH, 1, T5_IDS)


def scores_of(theta, batch, passages=4, words=8):
  """The log-weights of single words, [B, W]."""
  policy = policies.POLICIES['excess_loss'](0.3, passages=passages, words=words)
  return np.asarray(policy.scores(theta, batch))[..., 0]


def test_a_passage_is_found_by_its_tokens():
  """However it is padded; equal ones have the mean, and others are uniform."""
  hashes = np.stack(ngrams.passage_hashes(BATCH))
  weight = np.arange(16, dtype=float).reshape(2, 8)
  theta = occurrences.table(hashes, weight, 4)
  wider = make_batch([[1, 2, 1, 1, 3, 1], [2, 1, 1]], length=13)
  for batch in (BATCH, wider):
    np.testing.assert_array_equal(scores_of(theta, batch)[:, :8], weight)
  twice = occurrences.table(hashes[:, [0, 1, 0]], weight[[0, 1, 1]], 4)
  np.testing.assert_array_equal(
    scores_of(twice, BATCH)[:, :8], [weight.mean(0), weight[1]]
  )
  swapped = BATCH.tokens.copy()
  swapped[:, :2] = swapped[:, 1::-1]
  assert not scores_of(theta, BATCH._replace(tokens=swapped)).any()


def facts(rng, row, known):
  """Passages of a name and three facts; those that are not known are noise."""
  names, right = 10 + row, 18 + (row[:, None] + 3 * np.arange(3)) % 8
  noise = rng.integers(18, 26, right.shape)
  said = np.where(np.arange(3) < known, right, noise)
  marks = np.broadcast_to([26, 27, 28], said.shape)
  tokens = np.stack([marks, said], -1).reshape(len(row), -1)
  tokens = np.concatenate([names[:, None], tokens], 1).astype(np.int32)
  word = np.broadcast_to(np.arange(7, dtype=np.int32), tokens.shape)
  zeros = np.zeros_like(tokens)
  return Batch(tokens, tokens > 0, word, zeros, zeros, zeros)


@functools.cache
def tiny():
  """A model, and its parameters when it knows one fact of each name, and then two."""
  sizes = {'encoder_layers': 1, 'decoder_layers': 1, 'width': 32, 'max_positions': 16}
  heads = dict.fromkeys(('encoder_heads', 'decoder_heads'), 2)
  more = {'init_std': 0.18, 'dropout': 0.0}
  net = models.make_model('bart', 'tiny', VOCABULARY, IDS, **sizes, **heads, **more)
  tx, policy = optax.adam(3e-3), heuristic.whole_word(0.3)
  step = jax.jit(steps.make_step(losses.make_token_loss(net), tx))
  corrupted = jax.jit(
    lambda key, batch: small.corrupt(
      batch, policy.draw({}, key, batch), IDS, 'spans', 8
    )
  )
  state = steps.init_state(models.init_params(net, jax.random.key(0)), tx)
  rng, found = np.random.default_rng(0), []
  for known in (1, 2):
    for i in range(200):
      batch = corrupted(jax.random.key(i), facts(rng, rng.integers(0, 8, 32), known))
      state, _ = step(state, jax.random.key(0), batch)
    found.append(state.params)
  return net, found


def test_what_pretraining_has_taught_is_hidden_first(tmp_path):
  """Before what the base model knew as well, and before what neither can know."""
  net, params = tiny()
  passages = facts(np.random.default_rng(1), np.arange(8), 3)
  tokenizer = types.SimpleNamespace(specials=IDS)
  setup = types.SimpleNamespace(model=net, tokenizer=tokenizer)
  given = tuple(steps.held(p) for p in params)
  scoring = excess.Scoring(rounds=3, parts=4, batch_size=3, sharpness=2.0)
  context = StageContext(tmp_path, 'scores', Progress(), save_every=2, seed=0)
  sizes = 9, 7
  done = excess.score_passages(setup, passages, given, 'spans', sizes, scoring, context)
  shapes = jax.eval_shape(occurrences.weighted(0.3, *sizes).init, jax.random.key(0))
  theta = stage.saved(tmp_path / 'theta', shapes, ONE).read()
  weight = scores_of(theta, passages, *sizes)
  known, learned, unknown = (weight[:, n] for n in (2, 4, 6))
  assert (learned > np.maximum(known, unknown) + 1).all()
  assert weight.std() == pytest.approx(2, rel=1e-3)
  again = excess.score_passages(setup, None, (), '', (), scoring, context)
  assert again == files.read_object(tmp_path / 'done.json')
  assert again['deviation'] == done['deviation'] > 0
