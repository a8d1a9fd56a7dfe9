"""Encoders of a policy: networks from tokens to a state of each token.

`ENCODERS` is the one list of them, by name. Each is a function `(tokens [B, L],
valid [B, L], config) -> [B, L, D]`, called in the compact method of the module that
owns its parameters; states of padding have no meaning.

  conv     two convolutions: fast, and sees a few words around each
  bilstm   an LSTM in each direction: sees all, one token after the other
  bert     a BERT, from a checkpoint or random: sees all at once, and is fine-tuned

The first two read word embeddings that stay as they are unless told otherwise.

References:
  Ye et al., Studying Strategically: Learning to Mask for Closed-book QA (2020), whose
  extractor is a BiLSTM. Devlin et al., BERT (2019).
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from masklearn.io.lookup import check_name
from masklearn.models.bert import Bert
from masklearn.models.sizes import BertConfig
from masklearn.types import InputError


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
  """The name of an encoder, and its sizes."""

  vocab_size: int  # V
  embedding: int  # width of the table of words
  name: str = 'conv'
  width: int = 64  # of a convolution, and of an LSTM
  kernel_size: int = 7  # tokens seen by each of the two convolutions
  bert: BertConfig | None = None  # of 'bert' alone
  learn_words: bool = False  # whether the table of words is learned, too

  def __post_init__(self):
    check_name(ENCODERS, self.name, 'encoder of a policy')
    if (self.name == 'bert') != (self.bert is not None):
      raise InputError(
        "The encoder 'bert', and no other, needs the configuration of a BERT, got "
        f'encoder {self.name!r} and {self.bert}.'
      )
    if self.bert and self.vocab_size > self.bert.vocab_size:
      raise InputError(
        f'The tokenizer has {self.vocab_size} tokens, but BERT embeddings of only '
        f'{self.bert.vocab_size}; the corpus needs the tokenizer of the checkpoint.'
      )


def conv(tokens, valid, c: EncoderConfig):
  """Two convolutions over the words: [B, L, width]."""
  x = _words(tokens, c)  # [B, L, D]
  # No recurrence: a scan over L would cost more than the model that the policy masks
  # for.
  for layer in range(2):
    x = jnp.where(valid[..., None], x, 0)
    x = nn.gelu(nn.Conv(c.width, (c.kernel_size,), name=f'conv_{layer}')(x))
  return x


def bilstm(tokens, valid, c: EncoderConfig):
  """An LSTM from each end of the passage, side by side: [B, L, 2 * width]."""
  x = _words(tokens, c)  # [B, L, D]
  forward, backward = (
    nn.RNN(nn.OptimizedLSTMCell(c.width, name=name)) for name in ('forward', 'backward')
  )
  # Backward, it begins at the last token, and not in the padding behind it.
  length = valid.sum(-1, dtype=jnp.int32)  # [B]
  return nn.Bidirectional(forward, backward)(x, seq_lengths=length)


def bert(tokens, valid, c: EncoderConfig):
  """The states of a BERT that reads `[CLS] passage [SEP]`: [B, L, width of BERT]."""
  place = jnp.arange(tokens.shape[1] + 2, dtype=jnp.int32)[None]  # [1, L + 2]
  last = valid.sum(-1, keepdims=True, dtype=jnp.int32) + 1  # [B, 1]
  text = jnp.pad(tokens, ((0, 0), (1, 1)))  # [B, L + 2]
  text = jnp.where(place == 0, c.bert.bos, text)
  # Right behind the passage: what follows it in the row is padding.
  text = jnp.where(place == last, c.bert.eos, text)
  return Bert(c.bert, name='bert')(text, place <= last)[:, 1:-1]


ENCODERS = {'conv': conv, 'bilstm': bilstm, 'bert': bert}


def _words(tokens, c):
  x = nn.Embed(c.vocab_size, c.embedding, name='embed')(tokens)
  # The table is a model's, which has seen every word: learned here, the words of a
  # few training passages would be told apart by name and not by what they are.
  return x if c.learn_words else jax.lax.stop_gradient(x)
