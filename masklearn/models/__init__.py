"""Encoder-decoder models: the families by name, and their parameters."""

import difflib

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models.bart import Bart
from masklearn.models.sizes import bart_config, t5_config
from masklearn.models.t5 import T5
from masklearn.types import InputError, Specials

# Family -> its module, and the configuration of a size by name.
MODELS = {'bart': (Bart, bart_config), 't5': (T5, t5_config)}


def make_model(
  name: str, size: str, vocab_size: int, ids: Specials, **overrides
) -> nn.Module:
  """Returns the model of a family and size, for a tokenizer's special tokens.

  Args:
    name: a key of `MODELS`.
    size: a key of the family's `SIZES`.
    vocab_size: V.
    ids: the special tokens.
    **overrides: fields of the family's configuration, instead of the size's.
  """
  if name not in MODELS:
    near = difflib.get_close_matches(name, MODELS, n=1, cutoff=0)[0]
    raise InputError(
      f'The models are {", ".join(MODELS)}, got {name!r}; did you mean {near!r}?'
    )
  module, config = MODELS[name]
  return module(config(size, vocab_size, ids, **overrides))


def init_params(model: nn.Module, key: jax.Array):
  """Returns random parameters, float32; compiled, as drawing each alone is slow."""
  tokens = jnp.zeros((1, 1), jnp.int32)
  return jax.jit(model.init)(key, tokens, tokens == 0, tokens)['params']
