"""Text in, tokens out, with the characters that every token came from.

Offsets are characters of the text.
"""

import functools
import itertools
import os
from collections.abc import Iterable
from typing import NamedTuple

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from masklearn.io import files
from masklearn.io.lookup import lookup
from masklearn.types import InputError, Specials

# Of a new tokenizer, by the family of models that it is for, in their order.
SPECIAL_TOKENS = {
  'bart': ('<s>', '<pad>', '</s>', '<unk>', '<mask>'),
  't5': ('<pad>', '</s>', '<unk>', *(f'<extra_id_{k}>' for k in range(100))),
}
# What begins a sequence, pads it, ends it and hides a span, in BART and in BERT.
MARKS = ('<s>', '<pad>', '</s>', '<mask>'), ('[CLS]', '[PAD]', '[SEP]', '[MASK]')


class Encoding(NamedTuple):
  """Tokens of a text, without <s> and </s>, and the characters of each."""

  ids: list[int]
  offsets: list[tuple[int, int]]


class Tokenizer:
  """A fast tokenizer, ours or Hugging Face's, for BART, BERT or T5."""

  def __init__(self, backend: tokenizers.Tokenizer):
    # Files of sentence encoders cut and fill every text to one length.
    backend.no_truncation()
    backend.no_padding()
    self._backend = backend
    self.specials = _specials(backend)

  @functools.cached_property
  def size(self) -> int:
    """Rows of an embedding of all tokens: the largest id and one; ids may have gaps."""
    return max(self._backend.get_vocab().values()) + 1

  def tokens_from(self, first: int) -> list[str]:
    """The tokens whose ids are `first` or above, by their ids."""
    ids = self._backend.get_vocab()
    return sorted((name for name in ids if ids[name] >= first), key=ids.__getitem__)

  def encode(self, text: str) -> Encoding:
    """The tokens of `text`."""
    encoding = self._backend.encode(text, add_special_tokens=False)
    return Encoding(encoding.ids, encoding.offsets)

  def decode(self, ids: Iterable[int]) -> str:
    """The text of `ids`, special tokens left out."""
    return self._backend.decode(list(ids), skip_special_tokens=True).strip()

  def to_json(self) -> str:
    """The content of `tokenizer.json`, on one line."""
    return self._backend.to_str()

  def save(self, path: str | os.PathLike) -> None:
    """Writes one `tokenizer.json`, which Hugging Face's libraries read as well."""
    files.write_text(path, self._backend.to_str(pretty=True))


def _specials(backend):
  sentinels = map(backend.token_to_id, map('<extra_id_{}>'.format, itertools.count()))
  sentinels = tuple(itertools.takewhile(lambda token: token is not None, sentinels))
  marks = [('<pad>', '</s>')] if sentinels else MARKS
  found = [{name: backend.token_to_id(name) for name in names} for names in marks]
  # Of the family that it is nearest to.
  ids = min(found, key=lambda ids: [*ids.values()].count(None))
  missing = [name for name in ids if ids[name] is None]
  if missing:
    raise InputError(
      'A tokenizer needs the special tokens of BART (<s>, <pad>, </s>, <mask>), of '
      'BERT ([CLS], [PAD], [SEP], [MASK]) or of T5 (<pad>, </s>, <extra_id_0> and on); '
      f'{", ".join(missing)} not in it.'
    )
  if sentinels:
    return Specials(None, *ids.values(), sentinels[0], sentinels)
  return Specials(*ids.values())


def train_tokenizer(texts: Iterable[str], size: int, family: str = 'bart') -> Tokenizer:
  """A byte-level BPE of at most `size` tokens, as GPT-2 and BART have it.

  Args:
    texts: to learn from.
    size: of the vocabulary, special tokens included.
    family: whose special tokens it has, a key of `SPECIAL_TOKENS`.
  """
  specials = lookup(SPECIAL_TOKENS, family, 'family of tokenizers')
  if size < 256 + len(specials):
    raise InputError(
      'A byte-level vocabulary needs the 256 bytes and '
      f'{len(specials)} special tokens, got size={size}.'
    )
  backend = tokenizers.Tokenizer(models.BPE())
  # With a prefix space a word is the same token at the start of a text, where an
  # answer has it, and within a sentence, where a passage has it.
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
  backend.post_processor = processors.ByteLevel(trim_offsets=True)
  backend.decoder = decoders.ByteLevel()
  trainer = trainers.BpeTrainer(
    vocab_size=size,
    special_tokens=list(specials),
    initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    show_progress=False,
  )
  backend.train_from_iterator(texts, trainer)
  return Tokenizer(backend)
