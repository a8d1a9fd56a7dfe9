"""Answers that a model cannot restore, which a policy is to learn from."""

import threading
import types

import jax.numpy as jnp
import numpy as np
import pytest

from masklearn.study.unknown import keep_unknown
from masklearn.training import mesh
from masklearn.training.context import StageContext
from masklearn.training.steps import Start
from masklearn.types import Answers
from tests.small import IDS, Unigrams, make_batch

VOCABULARY = 30
MODEL = Unigrams(VOCABULARY)
# Words of 2, 1 and 1 tokens, of 1 and 3, and of 1 and 1: tokens 10 to 19.
BATCH = make_batch([[2, 1, 1], [1, 3], [1, 1]], length=5)
ANSWERS = Answers(
  BATCH,
  np.array([[0, 1], [0, 1], [1, 0]], np.int32),
  np.array([[1, 2], [1, 1], [1, 1]], np.int32),
  np.array([[1.0, 0.5], [0.5, 0.5], [1.0, 0.0]], np.float32),
)


def kept(least_loss, said, target='spans', devices=1):
  """What is kept by a model to which tokens 14 and up are unlikely."""
  logits = np.where(np.arange(VOCABULARY) < 14, 5.0, -5.0).astype(np.float32)
  progress = types.SimpleNamespace(
    check=lambda: None, say=said.append, stop=threading.Event()
  )
  given = types.SimpleNamespace(
    model=MODEL, tokenizer=types.SimpleNamespace(specials=IDS)
  )
  layout = mesh.make_layout(devices)
  context = StageContext('', 'supervised', progress, 1, 0, layout=layout)
  start = Start({}, lambda: jnp.asarray(logits))
  return keep_unknown(ANSWERS, given, start, target, least_loss, 2, context)


@pytest.mark.parametrize('devices', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_model_restores_is_left_out(devices):
  """An answer by its weight, and with all of its answers a passage."""
  said = []
  found = kept(5.0, said, devices=devices)
  assert found.passages.tokens.tolist() == BATCH.tokens[1:].tolist()
  np.testing.assert_array_equal(found.weight, [[0.5, 0.5], [1, 0]])
  assert not said
  # One unlikely token of three of the target, and three of five.
  assert kept(6.0, said).weight.tolist() == [[0, 0.5]]


def test_where_all_is_known_all_is_kept():
  """And that is said: a policy has to learn from something."""
  said = []
  np.testing.assert_array_equal(kept(99.0, said).weight, ANSWERS.weight)
  assert said == [
    'supervised: the base model restores all answers with less than 99 nats a token, '
    'so all are kept'
  ]
