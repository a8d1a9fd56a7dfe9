"""The shapes of the models: their configurations, and those that have a name."""

import dataclasses
import difflib
from typing import NamedTuple

from masklearn.types import InputError, Specials

DTYPES = ('float32', 'bfloat16', 'float16', 'float64')


@dataclasses.dataclass(frozen=True)
class BartConfig:
  """The shape of a BART, its rates of dropout and its special tokens."""

  vocab_size: int
  width: int  # D
  encoder_layers: int
  decoder_layers: int
  encoder_heads: int
  decoder_heads: int
  encoder_ffn: int  # width of the encoder's feed-forward layers
  decoder_ffn: int
  max_positions: int  # longest source and longest target
  pad: int
  bos: int
  eos: int
  mask: int
  decoder_start: int  # what the decoder reads first
  dropout: float = 0.1  # of the embeddings and of each residual branch
  attention_dropout: float = 0.0  # of attention weights
  activation_dropout: float = 0.0  # inside the feed-forward layers
  scale_embedding: bool = False  # multiply token embeddings by sqrt(D)
  init_std: float = 0.02
  dtype: str = 'float32'  # of the computation; parameters and logits are float32

  def __post_init__(self):
    for side in ('encoder', 'decoder'):
      heads = getattr(self, f'{side}_heads')
      if self.width % heads:
        raise InputError(
          f'width must be a multiple of {side}_heads, got {self.width} and {heads}.'
        )
    for name in ('pad', 'bos', 'eos', 'mask', 'decoder_start'):
      token = getattr(self, name)
      if not 0 <= token < self.vocab_size:
        raise InputError(
          f'{name} must be a token of the vocabulary (below {self.vocab_size}), '
          f'got {token}.'
        )
    for name in ('dropout', 'attention_dropout', 'activation_dropout'):
      rate = getattr(self, name)
      if not 0 <= rate < 1:
        raise InputError(f'{name} must lie in [0, 1), got {rate}.')
    if self.dtype not in DTYPES:
      near = difflib.get_close_matches(self.dtype, DTYPES, n=1, cutoff=0)[0]
      raise InputError(
        f'dtype must be one of {", ".join(DTYPES)}, got {self.dtype!r}; '
        f'did you mean {near!r}?'
      )


class Size(NamedTuple):
  """A BART whose encoder and decoder are alike, with one rate for every dropout."""

  width: int
  layers: int
  heads: int
  ffn: int
  max_positions: int
  dropout: float


SIZES = {
  'tiny': Size(64, 2, 4, 256, 256, 0.0),  # for two cores
  'small': Size(256, 3, 4, 1024, 1024, 0.1),  # 8.1 M parameters for 8,192 tokens
  'base': Size(768, 6, 12, 3072, 1024, 0.1),  # facebook/bart-base
  'large': Size(1024, 12, 16, 4096, 1024, 0.1),  # facebook/bart-large
}


def bart_config(size: str, vocab_size: int, ids: Specials, **overrides) -> BartConfig:
  """The configuration of a size by name, for a tokenizer's special tokens.

  Args:
    size: a key of `SIZES`.
    vocab_size: V.
    ids: the special tokens; the decoder starts from `ids.eos`.
    **overrides: fields of BartConfig, instead of the size's.
  """
  if size not in SIZES:
    near = difflib.get_close_matches(size, SIZES, n=1, cutoff=0)[0]
    raise InputError(
      f'A BART has size {", ".join(SIZES)}, got {size!r}; did you mean {near!r}?'
    )
  shape = SIZES[size]
  fields = {
    'vocab_size': vocab_size,
    'width': shape.width,
    'encoder_layers': shape.layers,
    'decoder_layers': shape.layers,
    'encoder_heads': shape.heads,
    'decoder_heads': shape.heads,
    'encoder_ffn': shape.ffn,
    'decoder_ffn': shape.ffn,
    'max_positions': shape.max_positions,
    'dropout': shape.dropout,
    'attention_dropout': shape.dropout,
    'activation_dropout': shape.dropout,
    'decoder_start': ids.eos,
    **ids._asdict(),
  }
  return BartConfig(**(fields | overrides))
