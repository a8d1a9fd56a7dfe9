"""Encoder-decoder models: the families by name, and their parameters."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.io.lookup import check_name, lookup
from masklearn.models.bart import Bart
from masklearn.models.sizes import BartConfig, T5Config, bart_config, t5_config
from masklearn.models.t5 import T5
from masklearn.types import Specials

# Family -> its module, its configuration, and that of a size by name.
MODELS = {'bart': (Bart, BartConfig, bart_config), 't5': (T5, T5Config, t5_config)}


def make_model(
  name: str, size: str, vocab_size: int, ids: Specials, **overrides
) -> nn.Module:
  """The model of a family and size; the arguments are `model_config`'s."""
  config = model_config(name, size, vocab_size, ids, **overrides)
  return MODELS[name][0](config)


def model_config(
  name: str, size: str, vocab_size: int, ids: Specials, **overrides
) -> BartConfig | T5Config:
  """The configuration of a family and size, for a tokenizer's special tokens.

  Args:
    name: a key of `MODELS`.
    size: of the family, a key of `sizes.BART_SIZES` or `sizes.T5_SIZES`.
    vocab_size: V.
    ids: the special tokens.
    **overrides: fields of the family's configuration, instead of the size's.

  Raises:
    InputError: a name or a field that does not exist, or a value that cannot be.

  >>> ids = Specials(bos=None, pad=0, eos=1, mask=9, sentinels=(9, 8))
  >>> model_config('t5', 'tiny', 10, ids, encoder_ffn=32).decoder_ffn
  128
  """
  _, config, by_size = lookup(MODELS, name, 'model')
  fields = [field.name for field in dataclasses.fields(config)]
  for field in overrides:
    check_name(fields, field, f'field of a {name}')
  return by_size(size, vocab_size, ids, **overrides)


def init_params(model: nn.Module, key: jax.Array):
  """Returns random parameters, float32; compiled, as drawing each alone is slow."""
  tokens = jnp.zeros((1, 1), jnp.int32)
  return jax.jit(model.init)(key, tokens, tokens == 0, tokens)['params']
