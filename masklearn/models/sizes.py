"""The shapes of the models: their configurations, and those that have a name."""

import dataclasses
from typing import NamedTuple

from masklearn.io.lookup import check_name, lookup
from masklearn.types import InputError, Specials

DTYPES = ('float32', 'bfloat16', 'float16', 'float64')


@dataclasses.dataclass(frozen=True)
class EncoderDecoderConfig:
  """The shape that BART and T5 have in common."""

  vocab_size: int
  width: int  # D
  encoder_layers: int
  decoder_layers: int
  encoder_heads: int  # H
  decoder_heads: int
  encoder_ffn: int  # width of the encoder's feed-forward layers
  decoder_ffn: int


@dataclasses.dataclass(frozen=True)
class BartConfig(EncoderDecoderConfig):
  """The shape of a BART, its rates of dropout and its special tokens."""

  max_positions: int  # longest source and longest target
  pad: int
  bos: int
  eos: int
  mask: int | None  # None where there is no tokenizer to say it
  decoder_start: int  # what the decoder reads first
  dropout: float = 0.1  # of the embeddings and of each residual branch
  attention_dropout: float = 0.0  # of attention weights
  activation_dropout: float = 0.0  # inside the feed-forward layers
  scale_embedding: bool = False  # multiply token embeddings by sqrt(D)
  tied: bool = True  # the output matrix is the embedding
  init_std: float = 0.02
  dtype: str = 'float32'  # of the computation; parameters and logits are float32
  remat: bool = False  # recompute the layers for the gradient: only their inputs stay
  scan: bool = False  # compile one layer, and run it in a loop over their parameters

  def __post_init__(self):
    for side in ('encoder', 'decoder'):
      heads = getattr(self, f'{side}_heads')
      if self.width % heads:
        raise InputError(
          f'width must be a multiple of {side}_heads, got {self.width} and {heads}.'
        )
    _check(self, 'pad', 'bos', 'eos', 'mask', 'decoder_start')


@dataclasses.dataclass(frozen=True)
class T5Config(EncoderDecoderConfig):
  """The shape of a T5 of version 1.0 or 1.1, and its special tokens."""

  head_width: int  # of queries, keys and values; H times it need not be D
  pad: int
  eos: int
  # The first sentinel: what a token that is softly hidden turns into. None where there
  # is no tokenizer to say it.
  mask: int | None
  decoder_start: int  # what the decoder reads first
  gated: bool = True  # GELU times a linear map (1.1), and not ReLU (1.0)
  tied: bool = False  # the output matrix is the embedding (1.0)
  scale_output: bool = False  # divides the decoder's states by sqrt(D) (1.0)
  buckets: int = 32  # of distances
  max_distance: int = 128  # from where on distances are alike
  epsilon: float = 1e-6  # of the norms
  dropout: float = 0.1  # of embeddings, branches, attention weights, inner layers
  init_std: float | None = None  # of a matrix of D inputs; T5's own is D ** -0.5
  dtype: str = 'float32'  # of the computation; parameters and logits are float32
  remat: bool = False  # recompute the layers for the gradient: only their inputs stay
  scan: bool = False  # compile one layer, and run it in a loop over their parameters

  def __post_init__(self):
    # Half of the buckets are one direction's, half of those hold one distance each.
    if self.buckets % 4 or not 0 < self.buckets // 2 < self.max_distance:
      raise InputError(
        'buckets must be a multiple of 4 and less than twice max_distance, '
        f'got {self.buckets} and {self.max_distance}.'
      )
    _check(self, 'pad', 'eos', 'mask', 'decoder_start')

  @property
  def init_factor(self) -> float:
    """The factor on all deviations that T5 draws its matrices with."""
    return 1.0 if self.init_std is None else self.init_std * self.width**0.5


@dataclasses.dataclass(frozen=True)
class BertConfig:
  """The shape of a BERT's encoder, and the tokens that it has around a text."""

  vocab_size: int
  width: int  # D
  layers: int
  heads: int  # H
  ffn: int  # width of the feed-forward layers
  max_positions: int  # longest text, with the two tokens around it
  bos: int  # [CLS]
  eos: int  # [SEP]
  kinds: int = 2  # of sentences; a policy's passages are all of the first
  epsilon: float = 1e-12  # of the norms
  init_std: float = 0.02
  dtype: str = 'float32'  # of the computation; parameters are float32
  dropout = attention_dropout = activation_dropout = 0.0  # no fields: it has none

  def __post_init__(self):
    if self.width % self.heads:
      raise InputError(
        f'width must be a multiple of heads, got {self.width} and {self.heads}.'
      )
    _check(self, 'bos', 'eos')


def _check(config, *tokens):
  """Refuses what no family can have: these tokens, rates of dropout, the dtype."""
  for name in tokens:
    token = getattr(config, name)
    if name == 'mask' and token is None:
      continue
    if not 0 <= token < config.vocab_size:
      raise InputError(
        f'{name} must be a token of the vocabulary (below {config.vocab_size}), '
        f'got {token}.'
      )
  for name, rate in vars(config).items():
    if name.endswith('dropout') and not 0 <= rate < 1:
      raise InputError(f'{name} must lie in [0, 1), got {rate}.')
  check_name(DTYPES, config.dtype, 'dtype')


class BartSize(NamedTuple):
  """A BART whose encoder and decoder are alike, with one rate for every dropout."""

  width: int
  layers: int
  heads: int
  ffn: int
  max_positions: int
  dropout: float


BART_SIZES = {
  'tiny': BartSize(64, 2, 4, 256, 256, 0.0),  # for two cores
  'small': BartSize(256, 3, 4, 1024, 1024, 0.1),  # 8.1 M parameters for 8,192 tokens
  'base': BartSize(768, 6, 12, 3072, 1024, 0.1),  # facebook/bart-base
  'large': BartSize(1024, 12, 16, 4096, 1024, 0.1),  # facebook/bart-large
}


class T5Size(NamedTuple):
  """A T5 whose encoder and decoder have equally many layers."""

  width: int
  layers: int
  heads: int
  head_width: int
  ffn: int
  first: bool = False  # version 1.0: ReLU, tied, scaled


T5_SIZES = {
  'tiny': T5Size(64, 2, 4, 16, 128),  # for two cores
  'small': T5Size(512, 8, 6, 64, 1024),  # google/t5-v1_1-small
  'base': T5Size(768, 12, 12, 64, 2048),  # google/t5-v1_1-base
  'large': T5Size(1024, 24, 16, 64, 2816),  # google/t5-v1_1-large
  'xl': T5Size(2048, 24, 32, 64, 5120),  # google/t5-v1_1-xl
  'small_v1_0': T5Size(512, 6, 8, 64, 2048, first=True),  # google-t5/t5-small
  'base_v1_0': T5Size(768, 12, 12, 64, 3072, first=True),  # google-t5/t5-base
  'large_v1_0': T5Size(1024, 24, 16, 64, 4096, first=True),  # google-t5/t5-large
}


def bart_config(size: str, vocab_size: int, ids: Specials, **overrides) -> BartConfig:
  """The configuration of a size by name, for a tokenizer's special tokens.

  Args:
    size: a key of `BART_SIZES`.
    vocab_size: V.
    ids: the special tokens, BART's.
    **overrides: fields of BartConfig, instead of the size's.
  """
  shape = lookup(BART_SIZES, size, 'size of a BART')
  if ids.bos is None:
    raise InputError("A BART needs a tokenizer with BART's special tokens, got T5's.")
  rates = dict.fromkeys(('attention_dropout', 'activation_dropout'), shape.dropout)
  fields = _fields(shape, vocab_size, ids) | rates | {'bos': ids.bos}
  return BartConfig(**(fields | overrides))


def t5_config(size: str, vocab_size: int, ids: Specials, **overrides) -> T5Config:
  """The configuration of a size by name, for a tokenizer's special tokens.

  Args:
    size: a key of `T5_SIZES`.
    vocab_size: V; with a published checkpoint more than the tokenizer has.
    ids: the special tokens, T5's or BART's.
    **overrides: fields of T5Config, instead of the size's.
  """
  shape = lookup(T5_SIZES, size, 'size of a T5')
  fields = _fields(shape, vocab_size, ids)
  first = fields.pop('first')
  fields |= {'gated': not first, 'tied': first, 'scale_output': first}
  return T5Config(**(fields | overrides))


def _fields(shape, vocab_size, ids):
  """The fields that both families have, of a size whose two sides are alike."""
  fields = shape._asdict() | {'vocab_size': vocab_size}
  for name in ('layers', 'heads', 'ffn'):
    fields |= dict.fromkeys((f'encoder_{name}', f'decoder_{name}'), fields.pop(name))
  names = ('pad', 'eos', 'mask', 'decoder_start')
  return fields | {name: getattr(ids, name) for name in names}


# Family -> its configuration, and that of a size by name.
MODELS = {'bart': (BartConfig, bart_config), 't5': (T5Config, t5_config)}


def model_config(
  name: str, size: str, vocab_size: int, ids: Specials, **overrides
) -> BartConfig | T5Config:
  """The configuration of a family and size, for a tokenizer's special tokens.

  Args:
    name: a key of `MODELS`.
    size: of the family, a key of `BART_SIZES` or `T5_SIZES`.
    vocab_size: V.
    ids: the special tokens.
    **overrides: fields of the family's configuration, instead of the size's.

  Raises:
    InputError: a name or a field that does not exist, or a value that cannot be.

  >>> ids = Specials(bos=None, pad=0, eos=1, mask=9, sentinels=(9, 8))
  >>> model_config('t5', 'tiny', 10, ids, encoder_ffn=32).decoder_ffn
  128
  """
  config, by_size = lookup(MODELS, name, 'model')
  fields = [field.name for field in dataclasses.fields(config)]
  for field in overrides:
    check_name(fields, field, f'field of a {name}')
  return by_size(size, vocab_size, ids, **overrides)
