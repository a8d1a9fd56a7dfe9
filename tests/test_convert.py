"""Checkpoints of Hugging Face to ours and back, and those that cannot be used."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from masklearn.models import convert
from masklearn.types import InputError
from tests.test_bart import MASK, golden


def stored():
  """Returns the stored config.json, tensors by name, configuration and parameters."""
  model, params, _, file = golden()
  tensors = {
    name.removeprefix('tensor '): file[name] for name in file if 'tensor ' in name
  }
  return json.loads(str(file['config'])), tensors, model.config, params


def test_there_and_back_is_the_same_to_the_bit():
  """Every tensor comes back but for the copies of the embedding."""
  _, tensors, config, params = stored()
  back = convert.to_hf(params, config)
  assert tensors.keys() - back.keys() == set(convert.COPIES)
  for name, tensor in back.items():
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor, tensors[name])
  again = convert.from_hf(back, config)
  assert jax.tree.structure(again) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, again, params)


def test_bare_checkpoints_are_read():
  """Those of `BartModel`: names without `model.`, and no output bias."""
  _, tensors, config, params = stored()
  bare = {
    name.removeprefix('model.'): tensor
    for name, tensor in tensors.items()
    if name.startswith('model.') and name != convert.SHARED  # a copy does as well
  }
  read = convert.from_hf({**bare, 'encoder.version': np.ones(1)}, config)
  assert not read.pop('final_logits_bias').any()
  jax.tree.map(np.testing.assert_array_equal, read, {k: params[k] for k in read})


def test_everything_wrong_with_the_tensors_is_said_at_once():
  """Missing, unknown and wrongly shaped tensors, and a copy that is none."""
  _, tensors, config, _ = stored()
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
  _, _, config, _ = stored()
  with pytest.raises(InputError, match=r'model\.shared\.weight is missing'):
    convert.from_hf({}, config)


def test_configurations_that_ours_cannot_follow_are_refused():
  """Another model, an option that BART does not have here, a key that is missing."""
  hf, _, _, _ = stored()
  del hf['d_model']
  hf |= {'model_type': 'mbart', 'normalize_before': True, 'eos_token_id': [2, 3]}
  with pytest.raises(InputError) as caught:
    convert.config_from_hf(hf, MASK)
  assert str(caught.value) == (
    "config.json does not describe a BART: model_type must be 'bart', got 'mbart'; "
    'normalize_before must be False, got True; '
    'd_model must be a whole number, got None; '
    'eos_token_id must be a whole number, got [2, 3].'
  )


def test_a_directory_is_read(tmp_path):
  """The config.json and model.safetensors of `save_pretrained`."""
  hf, _, config, params = stored()
  (tmp_path / 'config.json').write_text(json.dumps(hf))
  tensors = convert.to_hf(params, config)
  safetensors.numpy.save_file(tensors, tmp_path / 'model.safetensors')
  read_config, read = convert.load(tmp_path, MASK)
  assert read_config == config
  jax.tree.map(np.testing.assert_array_equal, read, params)


def test_directories_that_hold_no_checkpoint_are_refused(tmp_path):
  """A missing file, a pickle, a cut file and broken JSON, each by name."""
  with pytest.raises(InputError, match=r'is not a checkpoint.*config\.json'):
    convert.load(tmp_path, MASK)
  (tmp_path / 'pytorch_model.bin').touch()
  with pytest.raises(InputError, match=r'a pickle.*python -c .*save_pretrained'):
    convert.load(tmp_path, MASK)
  (tmp_path / 'config.json').write_text('{}')
  (tmp_path / 'model.safetensors').write_bytes(b'\x08\x00\x00\x00')
  with pytest.raises(InputError, match=r'model\.safetensors is damaged'):
    convert.load(tmp_path, MASK)
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(InputError, match=r'config\.json is not JSON'):
    convert.load(tmp_path, MASK)
