"""Models of Hugging Face to compare ours with: stored ones, and the comparison."""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masklearn.models import convert
from masklearn.models.formats import FORMATS

TESTDATA = pathlib.Path(__file__).parent / 'testdata'
MASK = 40
# Models this small take far longer to compile than to run.
jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


@functools.cache
def golden(family='bart'):
  """Returns the stored file's model, parameters and batch, and the file."""
  file = np.load(TESTDATA / f'{family}_golden.npz')
  hf, tensors = stored(family)
  config = convert.config_from_hf(hf, MASK, convert.is_tied(tensors))
  batch = tuple(
    jnp.asarray(file[name]) for name in ('source', 'valid', 'decoder_input', 'target')
  )
  model = FORMATS[family].module(config)
  return model, convert.from_hf(tensors, config), batch, file


def stored(family='bart'):
  """Returns the stored config.json and the tensors by name."""
  file = np.load(TESTDATA / f'{family}_golden.npz')
  return json.loads(str(file['config'])), {
    name.removeprefix('tensor '): file[name] for name in file if 'tensor ' in name
  }


def shallow(family='bart', **changes):
  """Returns the same with one encoder layer, for speed, and a changed configuration."""
  model, params, batch, _ = golden(family)
  config = dataclasses.replace(model.config, encoder_layers=1, **changes)
  return type(model)(config), params, batch


def ours(theirs):
  """Our model and parameters of a model of Hugging Face's that is in memory."""
  from tests.testdata import make_golden

  hf, tensors = theirs.config.to_dict(), make_golden.tensors_of(theirs)
  config = convert.config_from_hf(hf, MASK, convert.is_tied(tensors))
  return FORMATS[hf['model_type']].module(config), convert.from_hf(tensors, config)


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
  for (path, one), two in zip(
    jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
  ):
    np.testing.assert_allclose(
      one, two, rtol=1e-3, atol=1e-5, err_msg=jax.tree_util.keystr(path)
    )
