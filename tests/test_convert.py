"""Checkpoints of Hugging Face to ours and back, and those that cannot be used."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy

from masklearn import models
from masklearn.models import convert
from masklearn.models.formats import BIAS, FORMATS, HEAD
from masklearn.types import InputError
from tests.hf import MASK, golden, stored, tensors_of
from tests.small import IDS, slow_case

FAMILIES = pytest.mark.parametrize('family', ['bart', 't5'])


@FAMILIES
def test_there_and_back_is_the_same_to_the_bit(family):
  """Every tensor comes back but for those copies of the embedding that are tied."""
  _, tensors = stored(family)
  model, params, _, _ = golden(family)
  back = convert.to_hf(params, model.config)
  tied = {'bart': {*FORMATS['bart'].copies, HEAD}, 't5': set()}  # the stored T5 is 1.1
  assert tensors.keys() - back.keys() == tied[family]
  for name, tensor in back.items():
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor, tensors[name])
  again = convert.from_hf(back, model.config)
  assert jax.tree.structure(again) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize(
  ('family', 'options'),
  [
    ('bart', {'tied': True}),
    slow_case('bart', {'tied': False, 'scale_embedding': True, 'dropout': 0.2}),
    ('t5', {'gated': False, 'tied': True, 'scale_output': True}),
    slow_case(
      't5', {'gated': True, 'tied': False, 'scale_output': False, 'max_distance': 50}
    ),
    slow_case('t5', {'gated': True, 'tied': True, 'scale_output': False}),
    slow_case('t5', {'gated': False, 'tied': False, 'scale_output': True}),
  ],
)
def test_hugging_face_loads_what_was_saved(tmp_path, family, options):
  """Ours to theirs gives the same logits; theirs saved again is ours to the bit."""
  torch = pytest.importorskip('torch', reason='needs the extra `parity`')
  import transformers

  layers = {'encoder_layers': 1, 'decoder_layers': 2}
  model = models.make_model(family, 'tiny', 50, IDS, **layers, **options)
  params = models.init_params(model, jax.random.key(0))
  convert.save(tmp_path / 'ours', model.config, params)
  theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / 'ours')
  theirs.save_pretrained(tmp_path / 'theirs')
  for name in ('ours', 'theirs'):
    config, read = convert.load(tmp_path / name, IDS.mask)
    assert config == model.config
    jax.tree.map(np.testing.assert_array_equal, read, params)
  tokens = np.arange(5, 16, dtype=np.int32)[None]
  logits = model.apply({'params': params}, tokens, tokens > 0, tokens[:, :7])
  with torch.no_grad():
    expected = theirs(
      input_ids=torch.tensor(tokens), decoder_input_ids=torch.tensor(tokens[:, :7])
    ).logits.numpy()
  np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


def test_tied_or_not_is_decided_by_the_tensors():
  """Whatever config.json says, as transformers writes `true` for every T5."""
  model, params, _, _ = golden('t5')
  tensors = convert.to_hf(params, model.config)
  assert not convert.is_tied(tensors)
  del tensors[HEAD]
  assert convert.is_tied(tensors)
  hf, _ = stored('t5')
  assert hf['tie_word_embeddings'] is True
  assert not convert.config_from_hf(hf, MASK, tied=False).scale_output
  # Files older than version 5 have but one key for tying and scaling.
  del hf['scale_decoder_outputs']
  for said, scaled in ((True, True), (False, False), (None, True)):
    hf['tie_word_embeddings'] = said
    assert convert.config_from_hf(hf, MASK).scale_output == scaled


def test_bare_checkpoints_are_read():
  """Those of `BartModel`: names without `model.`, and no output bias."""
  _, tensors = stored()
  model, params, _, _ = golden()
  del tensors[FORMATS['bart'].shared]  # a copy does as well
  bare = tensors_of(tensors, 'model.')
  read = convert.from_hf({**bare, 'encoder.version': np.ones(1)}, model.config)
  assert not read.pop(BIAS).any()
  jax.tree.map(np.testing.assert_array_equal, read, {k: params[k] for k in read})


def test_everything_wrong_with_the_tensors_is_said_at_once():
  """Missing, unknown and wrongly shaped tensors, and a copy that is none."""
  _, tensors = stored()
  config = golden()[0].config
  tensors['model.encoder.layers.0.fc1.weight'] = np.zeros((12, 20))
  tensors['model.encoder.layer_norm.weight'] = np.ones(12)
  tensors['lm_head.weight'] = tensors['lm_head.weight'] + 1
  del tensors['model.decoder.layers.0.encoder_attn.q_proj.bias']
  with pytest.raises(InputError) as caught:
    convert.from_hf(tensors, config)
  assert str(caught.value) == (
    'The tensors do not fit the model: '
    'model.decoder.layers.0.encoder_attn.q_proj.bias is missing; '
    'model.encoder.layer_norm.weight is unknown; '
    'model.encoder.layers.0.fc1.weight has shape (12, 20), not (20, 12); '
    'lm_head.weight differs from model.shared.weight.'
  )


def test_no_tensors_at_all_is_an_error_too():
  """Every name is missing, the shared embedding included."""
  for family, name in (('bart', r'model\.shared'), ('t5', r'; shared')):
    with pytest.raises(InputError, match=name + r'\.weight is missing'):
      convert.from_hf({}, golden(family)[0].config)


def test_configurations_that_ours_cannot_follow_are_refused():
  """Another model, an option that BART does not have here, a key that is missing."""
  hf, _ = stored()
  del hf['d_model']
  hf |= {'normalize_before': True, 'eos_token_id': [2, 3]}
  with pytest.raises(InputError) as caught:
    convert.config_from_hf(hf, MASK)
  assert str(caught.value) == (
    'config.json does not describe a BART: normalize_before must be False, got True; '
    'd_model must be a whole number, got None; '
    'eos_token_id must be a whole number, got [2, 3].'
  )
  hf, _ = stored('t5')
  hf |= {'feed_forward_proj': 'gated-silu'}
  with pytest.raises(InputError, match="be 'relu' or 'gated-gelu', got 'gated-silu'"):
    convert.config_from_hf(hf, MASK)
  with pytest.raises(InputError, match=r"'mbart'; did you mean 'bart'.*bart, t5"):
    convert.config_from_hf({'model_type': 'mbart'}, MASK)


@FAMILIES
@pytest.mark.parametrize('several', [False, True])
def test_a_directory_is_read(tmp_path, family, several):
  """The config.json of `save_pretrained`, and tensors in one file or in several."""
  hf, _ = stored(family)
  model, params, _, _ = golden(family)
  (tmp_path / 'config.json').write_text(json.dumps(hf))
  tensors = convert.to_hf(params, model.config)
  parts = dict.fromkeys(tensors, convert.WEIGHTS)
  if several:
    parts = {name: f'part-{len(name) % 2}.safetensors' for name in tensors}
    (tmp_path / convert.INDEX).write_text(json.dumps({'weight_map': parts}))
  for part in set(parts.values()):
    safetensors.numpy.save_file(
      {name: tensors[name] for name in tensors if parts[name] == part}, tmp_path / part
    )
  config, read = convert.load(tmp_path, MASK)
  assert config == model.config
  jax.tree.map(np.testing.assert_array_equal, read, params)


def test_half_precision_files_become_float32(tmp_path):
  """Every number of bfloat16 is one of float32, and stays it."""
  jnp = jax.numpy
  model, params, _, _ = golden('t5')
  convert.save(tmp_path, model.config, params)
  tensors = {
    name: jnp.asarray(tensor, jnp.bfloat16)
    for name, tensor in convert.to_hf(params, model.config).items()
  }
  safetensors.flax.save_file(tensors, tmp_path / 'model.safetensors')
  _, read = convert.load(tmp_path, MASK)
  half = jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), params)
  assert {x.dtype for x in jax.tree.leaves(read)} == {np.dtype('float32')}
  jax.tree.map(np.testing.assert_array_equal, read, half)


def test_keys_that_are_not_ours_are_kept(tmp_path):
  """What a config.json says beyond the model's shape is carried along; ours win."""
  model, params, _, _ = golden()
  extra = {'forced_eos_token_id': 2, 'task_specific_params': {'a': 1}, 'd_model': 99}
  convert.save(tmp_path, model.config, params, extra)
  written = json.loads((tmp_path / 'config.json').read_text())
  assert written['forced_eos_token_id'] == 2
  assert written['task_specific_params'] == {'a': 1}
  assert written['d_model'] == 12
  changed = dataclasses.replace(model.config, max_positions=18)
  with pytest.raises(InputError, match=r'embed_positions.weight has shape \(19, 12\)'):
    convert.from_hf(convert.to_hf(params, model.config), changed)


@pytest.mark.parametrize(
  ('files', 'message'),
  [
    ({}, r'is not a checkpoint.*config\.json'),
    ({'pytorch_model.bin': b''}, r'a pickle.*python -c .*save_pretrained'),
    (
      {'config.json': b'{}', convert.WEIGHTS: b'\x08\x00\x00\x00'},
      r'model\.safetensors is damaged',
    ),
    ({'config.json': b'\xff'}, r'config\.json is not JSON'),
    ({'config.json': b'{'}, r'config\.json is not JSON'),
    ({convert.INDEX: b'[]'}, r'index\.json has no weight_map'),
  ],
)
def test_directories_that_hold_no_checkpoint_are_refused(tmp_path, files, message):
  """A missing file, a pickle, a cut file and broken JSON, each by name."""
  for name, content in files.items():
    (tmp_path / name).write_bytes(content)
  with pytest.raises(InputError, match=message):
    convert.load(tmp_path, MASK)
