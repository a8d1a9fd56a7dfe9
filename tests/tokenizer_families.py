"""Tokenizers of all families that people have, made of the texts that they are given.

Each is small: a few hundred pieces, of some words whole ones and of others letters.
"""

import json

import tokenizers
from tokenizers import (
  decoders,
  models,
  normalizers,
  pre_tokenizers,
  processors,
  trainers,
)

BART = ['<s>', '<pad>', '</s>', '<unk>', '<mask>']
T5 = ['<pad>', '</s>', '<unk>', *(f'<extra_id_{k}>' for k in range(10))]
BERT = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
BYTES = [f'<0x{i:02X}>' for i in range(256)]


def byte_level(texts, prefix, trim, **options):
  """A BPE of bytes, as GPT-2 and BART have it."""
  made = tokenizers.Tokenizer(models.BPE(**options))
  made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
  if trim is not None:
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
  made.decoder = decoders.ByteLevel()
  alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
  trainer = trainers.BpeTrainer(
    vocab_size=420, special_tokens=BART, initial_alphabet=alphabet, show_progress=False
  )
  made.train_from_iterator(texts, trainer)
  return made


def unigram(texts, split, normalizer=None, specials=T5):
  """SentencePiece's Unigram, as T5 has it; `split` cuts at white space first."""
  made = tokenizers.Tokenizer(models.Unigram())
  if normalizer:
    made.normalizer = normalizer
  meta = pre_tokenizers.Metaspace()
  if split:
    meta = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), meta])
  marks = pre_tokenizers.Punctuation()  # A piece has letters or marks.
  made.pre_tokenizer = pre_tokenizers.Sequence([meta, marks])
  made.decoder = decoders.Metaspace()
  trainer = trainers.UnigramTrainer(
    vocab_size=500, special_tokens=specials, unk_token='<unk>', show_progress=False
  )
  made.train_from_iterator(texts, trainer)
  made.pre_tokenizer = meta
  return made


def with_bytes(made, **fields):
  """The same, whose tokens of bytes are ordinary ones and serve unknown characters."""
  raw = json.loads(made.to_str())
  raw['model'] |= {'byte_fallback': True}
  added = [token for token in raw['added_tokens'] if token['content'] not in BYTES]
  return tokenizers.Tokenizer.from_str(
    json.dumps(raw | {'added_tokens': added} | fields)
  )


def llama(texts, within=True):
  """A BPE of characters, of bytes where it has none, whose spaces are letters.

  With `within`, no piece has parts of two words.
  """
  made = tokenizers.Tokenizer(models.BPE(unk_token='<unk>', fuse_unk=True))
  made.normalizer = normalizers.Sequence(
    [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')]
  )
  if within:
    marks = pre_tokenizers.Punctuation('isolated')
    meta = pre_tokenizers.Split('▁', 'merged_with_next')
    made.pre_tokenizer = pre_tokenizers.Sequence([meta, marks])
  trainer = trainers.BpeTrainer(
    vocab_size=500, special_tokens=[*BART, *BYTES], limit_alphabet=60,
    show_progress=False,
  )  # fmt: skip
  made.train_from_iterator(texts, trainer)
  made = with_bytes(made, pre_tokenizer=None)
  made.decoder = decoders.Sequence(
    [decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse()]
  )
  return made


def unigram_and_bytes(texts):
  """Of a part of the texts, so that the others have letters that are unknown."""
  made = with_bytes(unigram(texts[::2], True, specials=[*T5, *BYTES]))
  made.decoder = decoders.Sequence(
    [decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse()]
  )
  return made


def word_piece(texts, lower=True):
  """BERT's, which drops accents and invisible characters."""
  made = tokenizers.Tokenizer(models.WordPiece(unk_token='[UNK]'))
  made.normalizer = normalizers.BertNormalizer(lowercase=lower)
  made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  made.decoder = decoders.WordPiece()
  trainer = trainers.WordPieceTrainer(
    vocab_size=400, special_tokens=BERT, show_progress=False
  )
  made.train_from_iterator(texts, trainer)
  return made


def characters(texts, normalizer):
  """A BPE of characters after a normalizer that changes how many there are."""
  made = tokenizers.Tokenizer(models.BPE(unk_token='<unk>'))
  made.normalizer = normalizer
  made.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
  )
  trainer = trainers.BpeTrainer(
    vocab_size=500, special_tokens=BART, show_progress=False
  )
  made.train_from_iterator(texts, trainer)
  return made


def with_holes(texts):
  """Whole words, with numbers that nothing has, split at white space alone."""
  words = sorted({word for text in texts for word in text.split()} - {*BART})
  numbers = {name: i for i, name in enumerate(BART)}
  numbers |= {word: 10 + 3 * i for i, word in enumerate(words)}
  made = tokenizers.Tokenizer(models.WordLevel(numbers, unk_token='<unk>'))
  made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
  made.add_special_tokens(BART)
  return made


def plain_sentinels(texts):
  """T5's, but its sentinels were added as ordinary words."""
  made = unigram(texts, True, specials=T5[:3])
  made.add_tokens(T5[3:])
  return made


# Whether every piece has characters of one word alone, and every character has a piece.
WHOLE = {
  'byte-level': lambda texts: byte_level(texts, True, True),
  'byte-level, no prefix': lambda texts: byte_level(texts, False, True),
  'byte-level, untrimmed': lambda texts: byte_level(texts, False, False),
  'byte-level, untrimmed prefix': lambda texts: byte_level(texts, True, False),
  'byte-level, no processor': lambda texts: byte_level(texts, True, None),
  'byte-level, no merges needed': lambda texts: byte_level(
    texts, True, True, ignore_merges=True
  ),
  'Metaspace': lambda texts: unigram(texts, False, specials=[*BART]),
  'WhitespaceSplit, Metaspace, ten sentinels': lambda texts: unigram(texts, True),
  'plain sentinels': plain_sentinels,
  'Llama': llama,
}
OTHERS = {
  'Unigram and bytes': unigram_and_bytes,
  'Llama, pieces of phrases': lambda texts: llama(texts, within=False),
  'WordPiece': word_piece,
  'WordPiece, cased': lambda texts: word_piece(texts, lower=False),
  'NFKC': lambda texts: characters(texts, normalizers.NFKC()),
  'NFD': lambda texts: characters(texts, normalizers.NFD()),
  'NFKC, Unigram': lambda texts: unigram(texts, True, normalizers.NFKC()),
  'holes': with_holes,
}
FAMILIES = WHOLE | OTHERS
