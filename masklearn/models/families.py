"""The module of a family of models, and its random parameters."""

import functools

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
  return jax.jit(functools.partial(_init, model))(key)


def param_shapes(model: nn.Module):
  """The shapes of the parameters; nothing is computed."""
  return jax.eval_shape(functools.partial(_init, model), jax.random.key(0))


def _init(model, key):
  tokens = jnp.zeros((1, 1), jnp.int32)
  return model.init(key, tokens, tokens == 0, tokens)['params']
