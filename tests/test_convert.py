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
from tests.hf import golden, ids_of, stored, tensors_of
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
    read = convert.load(tmp_path / name, IDS)
    assert read.config == model.config
    jax.tree.map(np.testing.assert_array_equal, read.params, params)
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
  assert not convert.config_from_hf(hf, ids_of(hf), tied=False).scale_output
  # Files older than version 5 have but one key for tying and scaling.
  del hf['scale_decoder_outputs']
  for said, scaled in ((True, True), (False, False), (None, True)):
    hf['tie_word_embeddings'] = said
    assert convert.config_from_hf(hf, ids_of(hf)).scale_output == scaled


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
  tensors['model.decoder.layers.0.fc2.bias'][0] = np.inf
  with pytest.raises(InputError) as caught:
    convert.from_hf(tensors, config)
  assert str(caught.value) == (
    'The tensors do not fit the model: missing are '
    'model.decoder.layers.0.encoder_attn.q_proj.bias; unknown are '
    'model.encoder.layer_norm.weight; of another shape are '
    'model.encoder.layers.0.fc1.weight (12, 20), not (20, 12); not finite are '
    'model.decoder.layers.0.fc2.bias (of float32); '
    'lm_head.weight differs from model.shared.weight.'
  )


def test_a_long_list_is_cut():
  """Without any tensor: the first three, and how many more; one line to read."""
  for family, count in (('bart', 62), ('t5', 35)):
    with pytest.raises(
      InputError, match=rf'missing are .* and {count} more\.'
    ) as caught:
      convert.from_hf({}, golden(family)[0].config)
    assert len(str(caught.value)) < 300


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
  read = convert.load(tmp_path, ids_of(stored('t5')[0])).params
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
  with pytest.raises(InputError, match=r'embed_positions.weight \(19, 12\), not'):
    convert.from_hf(convert.to_hf(params, model.config), changed)


@pytest.mark.parametrize(
  ('family', 'prefix', 'said'),
  [
    ('bart', 'module.', 'module.'),
    slow_case('bart', '_orig_mod.', '_orig_mod.'),
    ('bart', 'model.', 'model.'),
    slow_case('t5', 'module.', 'module.'),
    ('t5', '_orig_mod.', '_orig_mod.'),
    slow_case('t5', 'model.', 'model.'),
    ('t5', 'module._orig_mod.net.', 'module.net._orig_mod.'),
  ],
)
def test_names_are_read_without_what_a_wrapper_put_before_them(
  tmp_path, family, prefix, said
):
  """Compilation, several devices, a module around the model; and it is said."""
  hf, tensors = stored(family)
  write_checkpoint(tmp_path, hf, {prefix + n: x for n, x in tensors.items()})
  read = convert.load(tmp_path, ids_of(hf))
  assert read.remarks[0] == f'The names of the tensors are read without {said!r}.'
  assert set(read.names) == set(tensors)
  jax.tree.map(np.testing.assert_array_equal, read.params, golden(family)[1])


def test_names_of_which_only_some_have_a_prefix_are_refused():
  """The prefix is named, and no list of names is long."""
  _, tensors = stored('t5')
  named = {
    name if name == HEAD else f'module.{name}': tensor
    for name, tensor in tensors.items()
  }
  message = "and 34 more; unknown are module.* begin with 'module.' and others do not"
  with pytest.raises(InputError, match=message) as caught:
    convert.from_hf(named, golden('t5')[0].config)
  assert len(str(caught.value)) < 600


def write_checkpoint(directory, hf, tensors):
  """A directory as of Hugging Face's."""
  (directory / 'config.json').write_text(json.dumps(hf))
  tensors = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
  safetensors.numpy.save_file(tensors, directory / 'model.safetensors')


SHARED = ('shared.weight', 'encoder.embed_tokens.weight', 'decoder.embed_tokens.weight')


@pytest.mark.parametrize(
  ('family', 'left_out', 'changes', 'remark'),
  [
    ('bart', (), {}, None),
    slow_case('bart', (HEAD,), {}, None),
    ('bart', (HEAD, *(f'model.{name}' for name in SHARED[:2]), BIAS), {}, None),
    slow_case('bart', (HEAD, *(f'model.{name}' for name in SHARED[1:])), {}, None),
    slow_case('t5', (), {}, None),
    ('t5', SHARED[:1], {}, None),
    slow_case('t5', SHARED[1:], {}, None),
    slow_case('t5', (HEAD,), {}, None),
    slow_case('t5', (HEAD,), {'tie_word_embeddings': False}, 'is tied'),
    ('t5', (HEAD, *SHARED[1:]), {'tie_word_embeddings': False}, 'is tied'),
  ],
)
def test_there_and_back_are_the_names_that_came_in(
  tmp_path, family, left_out, changes, remark
):
  """Whatever copies of the embedding a file has; a model that is tied says so."""
  hf, tensors = stored(family)
  hf |= changes
  tensors = {name: x for name, x in tensors.items() if name not in left_out}
  if family == 'bart' and BIAS in left_out:
    tensors = tensors_of(tensors, 'model.')  # the bare model's names
  for folder in ('in', 'out'):
    (tmp_path / folder).mkdir()
  write_checkpoint(tmp_path / 'in', hf, tensors)
  read = convert.load(tmp_path / 'in', ids_of(hf))
  assert [remark in said for said in read.remarks] == [True] * bool(remark)
  convert.save(tmp_path / 'out', read.config, read.params, hf, read.names)
  back = safetensors.numpy.load_file(tmp_path / 'out' / 'model.safetensors')
  assert back.keys() == tensors.keys()
  for name, tensor in tensors.items():
    np.testing.assert_array_equal(back[name], tensor)
  assert json.loads((tmp_path / 'out' / 'config.json').read_text()) == hf


def test_an_output_bias_that_was_learned_elsewhere_is_not_lost():
  """It is written though the file that was read had none."""
  model, params, _, _ = golden()
  names = [name for name in convert.to_hf(params, model.config) if name != BIAS]
  assert BIAS in convert.to_hf(params, model.config, names)
  none = {**params, BIAS: 0 * params[BIAS]}
  assert list(convert.to_hf(none, model.config, names)) == names


def test_what_nothing_reads_is_said(tmp_path):
  """A number of fairseq's is left out of the parameters."""
  hf, tensors = stored()
  tensors['model.encoder.version'] = np.ones(1, np.float32)
  write_checkpoint(tmp_path, hf, tensors)
  read = convert.load(tmp_path, ids_of(hf))
  assert read.remarks == ('Left out, as nothing reads it: model.encoder.version.',)
  assert 'model.encoder.version' not in read.names


def test_a_checkpoint_without_a_row_for_mask_is_refused(tmp_path):
  """As bart-large-cnn has it: one row less than its tokenizer has tokens."""
  hf, tensors = stored()
  write_checkpoint(tmp_path, hf, tensors)
  ids = ids_of(hf)._replace(mask=hf['vocab_size'])
  with pytest.raises(
    InputError, match=r'has no row for <mask>: vocab_size in .* is 41'
  ):
    convert.load(tmp_path, ids)
