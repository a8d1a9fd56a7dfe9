"""Models of Hugging Face to compare ours with: stored ones, and the comparison."""

import dataclasses
import functools
import json
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn.models import convert
from masklearn.models.formats import FORMATS
from masklearn.types import Specials

TESTDATA = pathlib.Path(__file__).parent / 'testdata'
MASK = 40
# Models this small take far longer to compile than to run.
jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


@functools.cache
def golden(family='bart'):
  """Returns the stored file's model, parameters and batch, and the file."""
  file = np.load(TESTDATA / f'{family}_golden.npz')
  names = 'source', 'valid', 'decoder_input', 'target'
  batch = tuple(jnp.asarray(file[name]) for name in names)
  return *_read(*stored(family)), batch, file


def stored(family='bart'):
  """Returns the stored config.json and the tensors by name."""
  file = np.load(TESTDATA / f'{family}_golden.npz')
  return json.loads(str(file['config'])), tensors_of(file, 'tensor ')


def tensors_of(file, prefix):
  """What a stored file has under names with a prefix, by the rest of the names."""
  return {
    name.removeprefix(prefix): file[name] for name in file if name.startswith(prefix)
  }


def ids_of(hf):
  """The special tokens of a tokenizer that fits a config.json."""
  bos = hf['bos_token_id'] if hf['model_type'] == 'bart' else None
  return Specials(bos, hf['pad_token_id'], hf['eos_token_id'], MASK)


def _read(hf, tensors):
  config = convert.config_from_hf(hf, ids_of(hf), convert.is_tied(tensors))
  return FORMATS[hf['model_type']].module(config), convert.from_hf(tensors, config)


def shallow(family='bart', **changes):
  """Returns the same with one encoder layer, for speed, and a changed configuration."""
  model, params, batch, _ = golden(family)
  config = dataclasses.replace(model.config, encoder_layers=1, **changes)
  return type(model)(config), params, batch


def ours(theirs):
  """Our model and parameters of a model of Hugging Face's that is in memory."""
  from tests.testdata import make_golden

  return _read(theirs.config.to_dict(), make_golden.tensors_of(theirs))


def compute_logits(model, params, *args):
  """Logits [B, T, V], without dropout."""
  return model.apply({'params': params}, *args)


forward = jit(compute_logits, static_argnums=0)


def mean_loss(model, params, batch, **kwargs):
  """Returns the mean over target tokens, as Hugging Face computes it, and logits."""
  source, valid, decoder_input, target = batch
  logits = model.apply({'params': params}, source, valid, decoder_input, **kwargs)
  nll = optax.softmax_cross_entropy_with_integer_labels(logits, target)
  weight = (target != model.config.pad).astype(nll.dtype)
  return (nll * weight).sum() / weight.sum(), logits


loss_and_gradients = jit(
  jax.value_and_grad(mean_loss, argnums=1, has_aux=True), static_argnums=0
)


def assert_same_as_hf(model, params, batch, logits, loss, gradients):
  """Compares ours with theirs, whose gradients come by the names of their tensors."""
  (our_loss, our_logits), ours = loss_and_gradients(model, params, batch)
  np.testing.assert_allclose(our_logits, logits, rtol=0, atol=1e-4)
  np.testing.assert_allclose(our_loss, loss, rtol=0, atol=1e-5)
  theirs = convert.from_hf(gradients, model.config)  # and zeros for BART's output bias
  chex.assert_trees_all_close(ours, theirs, rtol=1e-3, atol=1e-5)
