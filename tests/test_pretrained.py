"""A checkpoint of Hugging Face becomes a directory of ours, and one of theirs again."""

import json

import jax
import numpy as np
import pytest

from experiments import convert
from masklearn import models, text
from masklearn.models import convert as tensors
from masklearn.models import pretrained
from masklearn.types import InputError
from tests.runs import command

TEXTS = ['Euros are not paid in Yamoussoukro.', 'On 6 August 1825 it had "km".']


def write_hf(directory, family, **fields):
  """A tiny checkpoint of Hugging Face's with a tokenizer; returns its parameters."""
  tokenizer = text.train_tokenizer(TEXTS * 5, 370, family)
  fields = {'encoder_layers': 1, 'decoder_layers': 2} | fields
  # More rows than tokens, as those of T5 have.
  model = models.make_model(family, 'tiny', 384, tokenizer.specials, **fields)
  params = models.init_params(model, jax.random.key(0))
  end = tokenizer.specials.eos
  extra = {'forced_eos_token_id': end, 'torch_dtype': 'float32'}
  tensors.save(directory, model.config, params, extra)
  tokenizer.save(directory / 'tokenizer.json')
  (directory / 'generation_config.json').write_text('{"num_beams": 4}')
  (directory / 'notes.txt').write_text('not carried along')
  return params


def files_of(directory):
  """Path -> content, of every file below."""
  return {
    str(path.relative_to(directory)): path.read_bytes()
    for path in directory.rglob('*')
    if path.is_file()
  }


def convert_by_command(source, target, *more):
  """Calls the main as a shell would; returns its exit status."""
  return command(convert.main, f'--input={source}', f'--output={target}', *more)


@pytest.mark.parametrize('family', ['bart', 't5'])
def test_there_and_back_are_the_same_files(tmp_path, family, capsys):
  """Tensors, config.json and tokenizer come back to the byte."""
  theirs, own, again = (tmp_path / name for name in ('theirs', 'ours', 'again'))
  params = write_hf(theirs, family)
  assert convert_by_command(theirs, own) == 0
  assert 'vocab_size 384' in capsys.readouterr().out
  loaded = pretrained.load_model(own)
  jax.tree.map(np.testing.assert_array_equal, loaded.params, params)
  assert loaded.tokenizer.encode(TEXTS[0]).ids
  assert convert_by_command(own, again) == 0
  before, after = files_of(theirs), files_of(again)
  assert before.pop('notes.txt')
  assert json.loads(before.pop('config.json')) == json.loads(after.pop('config.json'))
  assert before == after
  assert convert_by_command(theirs, own) == 2
  assert 'ours is there already' in capsys.readouterr().err


def test_what_cannot_be_used_writes_nothing(tmp_path, capsys):
  """A cut file, another model, a foreign tokenizer, a half directory: a sentence."""
  theirs, target = tmp_path / 'theirs', tmp_path / 'ours'
  write_hf(theirs, 'bart')

  def refused(name, content, message):
    path = theirs / name
    whole = path.read_bytes()
    path.write_bytes(content(whole))
    assert convert_by_command(theirs, target) == 2
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ['theirs']
    path.write_bytes(whole)

  refused('model.safetensors', lambda b: b[: len(b) // 2], 'safetensors is damaged')
  changed = (theirs / 'config.json').read_bytes().replace(b'"bart"', b'"mbart"')
  refused('config.json', lambda b: changed, "'mbart'; did you mean 'bart'")
  big = text.train_tokenizer(TEXTS * 5 + [str(n) for n in range(900)], 400).to_json()
  refused('tokenizer.json', lambda b: big.encode(), 'do not belong together')
  refused('tokenizer.json', lambda b: b[:-9], 'not JSON, or cut off')
  sizes = b'"vocab_size": 384', b'"vocab_size": 4'
  refused('config.json', lambda b: b.replace(*sizes), 'no row for <mask>: vocab_size')
  refused(
    'generation_config.json', lambda b: b'{"eos_token_id": 4}', 'eos_token_id must'
  )
  with pytest.raises(InputError, match=r'model\.json cannot be used'):
    pretrained.load_model(theirs)
  (theirs / 'model.json').write_text('{"family": "bert", "config": {}}')
  with pytest.raises(InputError, match=r"json cannot be used: KeyError\('bert'\)"):
    pretrained.load_model(theirs)


def test_a_checkpoint_without_a_tokenizer_is_converted_where_that_is_asked_for(
  tmp_path, capsys
):
  """Or with one from elsewhere; what has none can go back, and not into a study."""
  theirs, own, again = (tmp_path / name for name in ('theirs', 'ours', 'again'))
  params = write_hf(theirs, 't5')
  tokenizer = theirs / 'tokenizer.json'
  tokenizer.rename(tmp_path / 'other.json')
  assert convert_by_command(theirs, own) == 2
  said = capsys.readouterr().err
  assert f'{theirs} has no vocabulary: expected tokenizer.json' in said
  assert '--tokenizer=none to convert without one' in said
  assert convert_by_command(theirs, own, '--tokenizer=none') == 0
  model, found, none = pretrained.load_model(own)
  assert none is None
  assert model.config.mask is None
  jax.tree.map(np.testing.assert_array_equal, found, params)
  with pytest.raises(InputError, match='Only a model with a tokenizer can hide'):
    jax.eval_shape(
      lambda x: model.apply(
        {'params': found}, x, x == 0, x, (x == 0).astype(np.float32)
      ),
      np.zeros((1, 3), np.int32),
    )
  assert convert_by_command(own, again) == 0
  names = ('model.safetensors', 'generation_config.json')
  assert all(files_of(theirs)[name] == files_of(again)[name] for name in names)
  assert convert_by_command(own, tmp_path / 'x', '--tokenizer=none') == 2
  assert 'is for a checkpoint of Hugging Face' in capsys.readouterr().err
  other = tmp_path / 'with'
  assert (
    convert_by_command(theirs, other, f'--tokenizer={tmp_path / "other.json"}') == 0
  )
  assert pretrained.load_model(other).tokenizer.specials.sentinels
  assert convert_by_command(theirs, tmp_path / 'y', '--tokenizer=nowhere/else/z') == 2
  assert 'No tokenizer at nowhere/else/z' in capsys.readouterr().err


def test_rows_that_no_tensor_has_are_refused_whatever_ids_have_gaps(tmp_path):
  """A tokenizer of fewer tokens than rows can have a larger id than the last row."""
  write_hf(tmp_path / 'theirs', 'bart')
  file = tmp_path / 'theirs' / 'tokenizer.json'
  whole = json.loads(file.read_text())
  vocab = whole['model']['vocab']
  last = max(vocab, key=vocab.get)
  vocab[last] = 400
  file.write_text(json.dumps(whole))
  with pytest.raises(InputError, match=f'has no row for {last}: .* is 384, .* 400'):
    pretrained.from_hf(tmp_path / 'theirs', tmp_path / 'ours')
  assert not (tmp_path / 'ours').exists()
