"""What a model has forgotten: its loss on passages that only the base has seen."""

import types

import jax
import pytest

from masklearn import data, models
from masklearn.io import files
from masklearn.io.progress import Progress
from masklearn.policies.capacity import word_capacity
from masklearn.study import forgetting, stage
from masklearn.study.pretrain import Objective
from masklearn.training import losses, mesh, steps
from masklearn.training.context import StageContext
from tests.small import IDS, make_batch, noise_like

SIZES = {
  'width': 8, 'encoder_layers': 1, 'decoder_layers': 1, 'encoder_heads': 2,
  'decoder_heads': 2, 'encoder_ffn': 12, 'decoder_ffn': 12, 'max_positions': 32,
}  # fmt: skip
MODEL = models.make_model('bart', 'tiny', 60, IDS, **SIZES)
PASSAGES = make_batch([[1, 2, 1, 1], [1] * 7, [2, 1, 1], [1] * 5])
OBJECTIVE = Objective(
  stage.uniform(0.4, 2), {}, 'spans', word_capacity(PASSAGES, 0.4, IDS)
)


def measured(directory, size=0.3, seed=0, before=None):
  """The losses of a model whose parameters have some size, on three passages."""
  params = noise_like(models.param_shapes(MODEL), size, 0)
  setup = types.SimpleNamespace(
    model=MODEL, tokenizer=types.SimpleNamespace(specials=IDS)
  )
  context = StageContext(directory, 'here', Progress(), save_every=1, seed=seed)
  given = setup, PASSAGES, steps.held(params), OBJECTIVE, context
  return forgetting.measure(*given, before), params


@pytest.fixture(autouse=True)
def _few(monkeypatch):
  """Three passages of four, in two batches."""
  monkeypatch.setattr(forgetting, 'PASSAGES', 3)
  monkeypatch.setattr(forgetting, 'BATCH', 2)


def test_the_loss_is_the_mean_over_hidden_tokens(tmp_path):
  """Each passage once, however many fill up a batch; of no other passage."""
  found, params = measured(tmp_path / 'a')
  corrupted = stage.compiled_corruption(
    OBJECTIVE.policy, IDS, 'spans', int(OBJECTIVE.capacity.max()), mesh.one_device()
  )
  key, sums = jax.random.key(forgetting.SEED), losses.make_loss_sums(MODEL)
  total = tokens = 0.0
  for n, (rows, used) in enumerate([([0, 1], 2), ([3, 0], 1)]):
    texts = data.take(PASSAGES, rows)
    examples, _ = corrupted({}, jax.random.fold_in(key, n), texts)
    loss, weight = sums(params, None, examples)
    total, tokens = total + loss[:used].sum(), tokens + weight[:used].sum()
  assert found['kept_loss'] == pytest.approx(float(total / tokens), rel=1e-5)
  assert found['forgotten'] == 0


def test_draws_are_the_same_for_all_models(tmp_path):
  """Whatever the seed of the study: only parameters make a difference."""
  base, _ = measured(tmp_path / 'base')
  same, _ = measured(tmp_path / 'same', seed=3, before=base['kept_loss'])
  assert same == {'kept_loss': base['kept_loss'], 'forgotten': 0.0}
  other, _ = measured(tmp_path / 'other', size=0.9, before=base['kept_loss'])
  assert other['forgotten'] == other['kept_loss'] - base['kept_loss'] != 0


def test_it_is_measured_once(tmp_path):
  """A study that goes on reads what was noted down."""
  found, _ = measured(tmp_path / 'a')
  assert files.read_object(tmp_path / 'a' / 'done.json').items() >= found.items()
  assert measured(tmp_path / 'a', size=0.9)[0] == found
