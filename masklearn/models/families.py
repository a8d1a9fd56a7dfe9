"""The module of a family of models, and its random parameters."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.models.bart import Bart
from masklearn.models.sizes import BartConfig, T5Config, model_config
from masklearn.models.t5 import T5
from masklearn.types import Specials

_MODULES = {BartConfig: Bart, T5Config: T5}


def make_model(
  name: str, size: str, vocab_size: int, ids: Specials, **overrides
) -> nn.Module:
  """The model of a family and size; the arguments are `sizes.model_config`'s."""
  config = model_config(name, size, vocab_size, ids, **overrides)
  return _MODULES[type(config)](config)


def init_params(model: nn.Module, key: jax.Array):
  """Returns random parameters, float32; compiled, as drawing each alone is slow."""
  tokens = jnp.zeros((1, 1), jnp.int32)
  return jax.jit(model.init)(key, tokens, tokens == 0, tokens)['params']
