"""Text in, tokens out, with the characters that every token came from.

Offsets are characters of the text.
"""

import functools
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from masklearn.io import files
from masklearn.io.lookup import lookup
from masklearn.text import segmentation
from masklearn.types import InputError, Specials

# Of a new tokenizer, by the family of models that it is for, in their order.
SPECIAL_TOKENS = {
  'bart': ('<s>', '<pad>', '</s>', '<unk>', '<mask>'),
  't5': ('<pad>', '</s>', '<unk>', *(f'<extra_id_{k}>' for k in range(100))),
}
# What begins a sequence, pads it, ends it and hides a span, in BART and in BERT.
MARKS = ('<s>', '<pad>', '</s>', '<mask>'), ('[CLS]', '[PAD]', '[SEP]', '[MASK]')
_BYTE = re.compile('<0x[0-9A-F]{2}>')  # how a token of one byte is written
_SPACE = 'Ġ'  # how a byte-level BPE writes the one before a word
_SPACES = re.compile(r'\s*')


class Encoding(NamedTuple):
  """Tokens of a text, without <s> and </s>, and the characters of each.

  Offsets neither begin nor end with white space, whatever the tokenizer: a token of
  white space alone has no characters, and the place of the next one that is none.
  """

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
    self._reserve()

  @functools.cached_property
  def size(self) -> int:
    """Rows of an embedding of all tokens: the largest id and one; ids may have gaps."""
    return max(self._backend.get_vocab().values()) + 1

  def tokens_from(self, first: int) -> list[str]:
    """The tokens whose ids are `first` or above, by their ids."""
    ids = self._backend.get_vocab()
    return sorted((name for name in ids if ids[name] >= first), key=ids.__getitem__)

  def encode(self, text: str) -> Encoding:
    """The tokens of `text`, none of them special: `</s>` in a text is four characters.

    Raises:
      InputError: the text has half of a surrogate pair, which is no character.
    """
    try:
      encoding = self._backend.encode(text, add_special_tokens=False)
    except TypeError:
      raise InputError(
        f'No text: {text[:20]!r} has characters of no encoding.'
      ) from None
    ids, offsets = encoding.ids, encoding.offsets
    if not self._reserved.keys().isdisjoint(ids):
      ids, offsets = self._spelled(text, ids, offsets)
    return Encoding(ids, _without_spaces(text, offsets))

  def decode(self, ids: Iterable[int]) -> str:
    """The text of `ids`, special tokens left out."""
    return self._backend.decode(list(ids), skip_special_tokens=True).strip()

  def to_json(self) -> str:
    """The content of `tokenizer.json`, on one line."""
    return self._backend.to_str()

  def save(self, path: str | os.PathLike) -> None:
    """Writes one `tokenizer.json`, which Hugging Face's libraries read as well."""
    files.write_text(path, self._backend.to_str(pretty=True))

  def _reserve(self):
    """Keeps special tokens out of encoded texts.

    `encode_special_tokens`, which no file stores, makes added tokens text. The model
    behind them may know their names as well: Unigram, WordLevel and BPE that ignores
    merges do.
    """
    backend, ids = self._backend, self.specials
    added = backend.get_added_tokens_decoder()
    special = {i for i, token in added.items() if token.special}
    own = {ids.bos, ids.pad, ids.eos, ids.mask, *ids.sentinels} - {None}
    if own - special:
      backend.add_special_tokens(
        [backend.id_to_token(i) for i in sorted(own - special)]
      )
    backend.encode_special_tokens = True
    unknown = getattr(backend.model, 'unk_token', None)
    vocabulary = backend.get_vocab(with_added_tokens=False)
    # What else stands for a character that has no token; only its name is no text.
    self._stand_ins = {i for name, i in vocabulary.items() if _BYTE.fullmatch(name)}
    self._stand_ins |= {
      i for i in special if added[i].content in (unknown, '<unk>', '[UNK]')
    } - own
    self._reserved = {
      i: backend.id_to_token(i) for i in own | special | self._stand_ins
    }

  def _spelled(self, text, ids, offsets):
    """Tokens and offsets with the characters of special tokens in their place."""
    found = []
    for token, (start, end) in zip(ids, offsets, strict=True):
      name = self._reserved.get(token)
      if name is None or (token in self._stand_ins and text[start:end] != name):
        found.append((token, (start, end)))
      elif end - start == len(name):
        found += [(part, (start + a, start + b)) for part, a, b in self._parts(name)]
      else:
        found += [(part, (start, end)) for part, _, _ in self._parts(name)]
    return [token for token, _ in found], [pair for _, pair in found]

  def _parts(self, name):
    """The tokens of a special token's name, cut so that none is special.

    With the characters of each, [start, end).
    """
    tokenize = self._backend.model.tokenize
    cuts = [(name[:k], name[k:]) for k in range(1, len(name))]
    for pieces in (*cuts, name):
      parts, at = [], 0
      for piece in pieces:
        for token in tokenize(piece):
          a, b = (min(k, len(piece)) for k in token.offsets)  # some models count bytes
          parts.append((token.id, at + a, at + b))
        at += len(piece)
      if not any(i in self._reserved and i not in self._stand_ins for i, _, _ in parts):
        return parts
    return []


def _without_spaces(text, offsets):
  """The offsets, none of which begins or ends with white space."""
  out, behind, following = [], -1, -1  # of a run of white space that was just passed
  for start, end in offsets:
    if start >= end or text[start].isspace() or text[end - 1].isspace():
      piece = text[start:end]
      start += len(piece) - len(piece.lstrip())
      end -= len(piece) - len(piece.rstrip())
      if start >= end:  # white space alone
        start = max(start, end)
        if not behind <= start <= following:
          behind, following = _SPACES.match(text, start).span()
        start = end = following
    out.append((start, end))
  return out


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


def train_tokenizer(
  texts: Iterable[str],
  size: int,
  family: str = 'bart',
  stopped: Callable[[], bool] = lambda: False,
) -> Tokenizer:
  """A byte-level BPE of at most `size` tokens, as GPT-2 and BART have it.

  Args:
    texts: to learn from; of a run of letters without end, see `segmentation.bounded`.
    size: of the vocabulary, special tokens included.
    family: whose special tokens it has, a key of `SPECIAL_TOKENS`.
    stopped: whether to stop now, asked before every text.

  Raises:
    InputError: the size is too small, or the family unknown.
    KeyboardInterrupt: `stopped` said so.
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
  backend.train_from_iterator(_pieces(texts, stopped), trainer)
  return Tokenizer(backend)


def with_words(tokenizer: Tokenizer, names: Iterable[str]) -> Tokenizer:
  """A BPE in which the words of some names are a token each.

  Its merges are those of `tokenizer`, then those that join the tokens of each word from
  the left: only words that begin like one of these are tokenized differently. What
  follows a mark within a word, such as Bissau in Guinea-Bissau, keeps its tokens.

  Args:
    tokenizer: of `train_tokenizer`.
    names: such as of what a corpus is about.
  """
  content = json.loads(tokenizer.to_json())
  vocabulary, merges = content['model']['vocab'], content['model']['merges']
  known = set(map(tuple, merges))
  backend = tokenizers.Tokenizer.from_str(tokenizer.to_json())
  for name in names:
    for piece, _ in backend.pre_tokenizer.pre_tokenize_str(name):
      if not piece.startswith(_SPACE):
        continue  # joined, it would be so within other words too
      word, *others = [token.value for token in backend.model.tokenize(piece)]
      for other in others:
        if (word, other) not in known:
          known.add((word, other))
          merges.append([word, other])
        word += other
        vocabulary.setdefault(word, len(vocabulary))
  return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(content)))


def _pieces(texts: Iterable[str], stopped: Callable[[], bool]) -> Iterator[str]:
  for text in texts:
    if stopped():
      raise KeyboardInterrupt
    yield from segmentation.bounded(text)
