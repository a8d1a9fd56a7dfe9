"""The same model on both sides: ours, and that of Hugging Face in PyTorch."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from masklearn import models
from masklearn.models import convert
from masklearn.types import Specials

PUBLISHED = {'bart': 50265, 't5': 32128}
VOCABULARY = {'tiny': 2048, 'small': 8192}
VOCABULARY |= dict.fromkeys(('base', 'large', 'xl'), PUBLISHED)
IDS = {
  'bart': Specials(bos=0, pad=1, eos=2, mask=3),
  't5': Specials(bos=None, pad=0, eos=1, mask=3, sentinels=tuple(range(3, 103))),
}
SIZES = ('tiny', 'small', 'base')  # of what is run, and not only compiled


class Pair(NamedTuple):
  """A model, its parameters, and the configuration and tensors of the peer's."""

  model: Any
  params: Any
  config: dict[str, Any]
  tensors: dict[str, np.ndarray]


def make_model(family: str, size: str, **settings):
  """A model with the vocabulary of its size."""
  vocabulary = VOCABULARY[size]
  vocabulary = vocabulary if isinstance(vocabulary, int) else vocabulary[family]
  return models.make_model(family, size, vocabulary, IDS[family], **settings)


@functools.cache
def pair(
  family: str, size: str, scale: float = 1.0, dropout: float = 0.0, **settings
) -> Pair:
  """A randomly initialised model; `scale` widens what it draws from."""
  rates = {'dropout': dropout}
  if family == 'bart':
    rates |= {'attention_dropout': dropout, 'activation_dropout': dropout}
  model = make_model(family, size, **rates, **settings)
  params = models.init_params(model, jax.random.key(0))
  params = jax.tree.map(lambda x: x * scale if x.ndim > 1 else x, params)
  config = convert.config_to_hf(model.config)
  return Pair(model, params, config, convert.to_hf(params, model.config))


def peer(both: Pair, attention: str = 'sdpa'):
  """Hugging Face's model with the same parameters, in PyTorch."""
  import torch
  import transformers

  settings = {k: v for k, v in both.config.items() if k != 'architectures'}
  config = transformers.AutoConfig.for_model(settings.pop('model_type'), **settings)
  theirs = transformers.AutoModelForSeq2SeqLM.from_config(
    config, attn_implementation=attention
  )
  tensors = {name: torch.tensor(tensor) for name, tensor in both.tensors.items()}
  if 'lm_head.weight' in tensors:
    theirs.lm_head.weight = torch.nn.Parameter(tensors['lm_head.weight'])
  theirs.load_state_dict(tensors, strict=False)
  return theirs
