"""Stages on their own, for the family of models that the small study does not have."""

import math

import jax
import numpy as np
import pytest

from masklearn import data, models, policies, tasks
from masklearn.evaluation import answering
from masklearn.io import files
from masklearn.io.progress import Progress
from masklearn.policies import capacity
from masklearn.policies.capacity import original_capacity, word_capacity
from masklearn.study import stage
from masklearn.study.finetune import Finetuning, finetune
from masklearn.study.pretrain import Denoising, Objective, denoise
from masklearn.study.setup import prepare
from masklearn.training import mesh, steps
from masklearn.training.context import StageContext
from masklearn.types import InputError, Specials
from tests.small import IDS, make_batch


@pytest.mark.slow
def test_stages_serve_t5_with_its_sentinels(tmp_path):
  """Corpus, denoising and fine-tuning with T5's tokenizer, layout and decoder start."""
  model = {'name': 't5', 'size': 'tiny', 'encoder_layers': 1, 'decoder_layers': 1}
  setup = prepare(
    tmp_path / 'corpus', seed=0, name='people', size=9, copies=1, longest=120,
    tokenizer='', vocabulary=400, model=model,
  )  # fmt: skip
  ids = setup.tokenizer.specials
  assert len(ids.sentinels) == 100
  passages = data.encode_passages(setup.passages, setup.tokenizer)
  first = models.init_params(setup.model, jax.random.key(0))
  policy = policies.POLICIES['original'](ids=ids)
  objective = Objective(policy, {}, 'spans', original_capacity(passages, 0.2, ids))

  def context(name):
    return StageContext(tmp_path / name, name, Progress(), save_every=2, seed=0)

  training = Denoising(updates=2, batch_size=4, learning_rate=1e-3, weight_decay=0.01)
  saving = stage.Saving(packing=140, chunk=5, gradient_accumulation=2)
  start = steps.held(first)
  denoise(setup, passages, objective, start, training, context('base'), saving)
  base = stage.saved(tmp_path / 'base' / 'params', first, mesh.one_device())
  changed = jax.tree.map(lambda a, b: bool((a != b).any()), base.read(), first)
  assert all(jax.tree.leaves(changed))
  task = tasks.load('habits', 0, size=9, train_share=0.5, validation_share=0.2)
  tuning = Finetuning(
    updates=2, batch_size=3, learning_rates=(1e-3,), weight_decay=0.01,
    validate_every=2, answer_length=5,
  )  # fmt: skip
  done = finetune(setup, task, base, tuning, context('finetune'))
  assert 0 <= done['test']['f1'] <= 1
  predictions = files.read_jsonl(tmp_path / 'finetune' / 'predictions.jsonl')
  assert [p['id'] for p in predictions] == [e.id for e in task.test]
  losses = files.read_jsonl(tmp_path / 'base' / 'history.jsonl')
  assert all(math.isfinite(row['loss']) and row['lost_tokens'] == 0 for row in losses)


def test_a_model_can_be_asked_without_fine_tuning(tmp_path):
  """It answers as it was handed over, to what is like a hidden span."""
  model = {'name': 't5', 'size': 'tiny', 'encoder_layers': 1, 'decoder_layers': 1}
  setup = prepare(
    tmp_path / 'corpus', seed=0, name='facts', size=4, copies=1, longest=120,
    tokenizer='', vocabulary=400, model=model,
  )  # fmt: skip
  params = models.init_params(setup.model, jax.random.key(0))
  task = tasks.load('facts', 0, size=4, train_share=0.5, validation_share=0.25)
  tuning = Finetuning(
    updates=0, batch_size=3, learning_rates=(1e-3, 1e-4), weight_decay=0.01,
    validate_every=2, answer_length=5,
  )  # fmt: skip
  context = StageContext(tmp_path / 'f', 'f', Progress(), save_every=2, seed=0)
  done = finetune(setup, task, steps.held(params), tuning, context)
  hidden = data.encode_examples(
    task.validation, setup.tokenizer, 256, task.examples, hidden=True
  )
  loss = answering.Asking(setup.model).loss(params, hidden)
  assert done['trials'] == {'0.001': pytest.approx(-loss, rel=1e-5)}
  assert set(done['test']) == {'em', 'f1', 'match', 'n'}


@pytest.mark.parametrize('at_once', [2, 4096])
def test_no_target_is_longer_than_its_capacity(at_once, monkeypatch):
  """The words with most tokens of each passage, and the run of words with most."""
  monkeypatch.setattr(capacity, 'AT_ONCE', at_once)
  sizes = [[1, 3, 1, 1, 2, 1, 1, 1], [2], [1, 1, 5], [4, 1, 1, 3, 3]]
  batch = make_batch(sizes)
  # Budgets of 4, 1, 2 and 2 words, each behind a marker, and </s>.
  found = capacity.word_capacity(batch, 0.5, IDS)
  assert found.tolist() == [7 + 4 + 1, 2 + 1 + 1, 6 + 2 + 1, 7 + 2 + 1]
  assert found.dtype == np.int32
  longest = max(sum(words[i : i + 2]) for words in sizes for i in range(len(words)))
  assert capacity.span_capacity(batch, 2) == longest + 2


def test_more_spans_than_sentinels_are_refused():
  """Where a draw could have more, the stage does not begin."""
  batch = make_batch([[1] * 40])
  ids = Specials(None, 0, 1, 9, (9, 8, 6))
  assert word_capacity(batch, 0.08, ids).tolist() == [7]
  with pytest.raises(InputError, match=r'up to 4 spans .* has 3 sentinels'):
    word_capacity(batch, 0.1, ids)
