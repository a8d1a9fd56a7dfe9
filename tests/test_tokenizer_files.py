"""Tokenizers in files: what has no vocabulary, or a damaged one, is refused by name."""

import importlib.util
import json

import pytest
import tokenizers

from masklearn import text
from masklearn.types import InputError

POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n'
PAGE = b'<!doctype html><html></html>'
BART, T5, BERT = (
  json.dumps({'model_type': family}).encode() for family in ('bart', 't5', 'bert')
)
T5_CLASS = b'{"tokenizer_class": "T5Tokenizer", "extra_ids": 100}'
SPECIALS = {'<s>': 0, '<pad>': 1, '</s>': 2, '<unk>': 3}
WORDS = {
  token: i for i, token in enumerate(['a', 'b', 'ab', 'abc', 'c', 'bc'], start=4)
}
VOCABULARY = json.dumps(SPECIALS | WORDS | {'<mask>': 10}).encode()
MERGES = b'#version: 0.2\na b\nab c\nb c\n'
VOCAB_TXT = b'[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n'


def model(vocab, kind='BPE', version='1.0', **more):
  """A tokenizer.json."""
  fields = {'type': kind, 'vocab': vocab, 'merges': [], **more}
  return json.dumps({'version': version, 'added_tokens': [], 'model': fields}).encode()


def write(directory, files):
  """Files by name."""
  for name, content in files.items():
    (directory / name).write_bytes(content)
  return directory


def refused(path, message):
  """The tokenizer cannot be read, in one line that says why."""
  with pytest.raises(InputError, match=message) as caught:
    text.load_tokenizer(path)
  assert '\n' not in str(caught.value)


WHOLE = model(SPECIALS | WORDS | {'<mask>': 10})


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'tokenizer.json is empty'),
    (POINTER, 'tokenizer.json is a Git LFS pointer'),
    (PAGE, 'tokenizer.json is a web page'),
    (bytes(range(256)), 'is no tokenizer: .* codec'),
    (WHOLE[:-20], 'tokenizer.json:1: not JSON, or cut off'),
    (b'[]', r'must hold a JSON object, got \[\]'),
    (b'{}', 'is no tokenizer that tokenizers .* can read: Model missing'),
    (model({}, version='2.0'), "Unknown tokenizer version '2.0'.* of a newer version"),
    (model({'a': 0}, 'Diphthong'), 'did not match any variant.* of a newer version'),
    (model({'a': 2**40}), 'can read: invalid value'),
    (model({}), 'has no words: its vocabulary is empty'),
    (model(SPECIALS | {'<mask>': 4}), 'has no words'),
    (model({'<pad>': 0, '</s>': 1, '<extra_id_0>': 2, '▁': 3}), 'has no words'),
    (model(SPECIALS | {'a': 2**25, '<mask>': 4}), "id of 'a' must be below 16777216"),
    (model(SPECIALS | WORDS), 'tokenizer.json: .* <mask> not in it'),
  ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
  """Empty, a pointer, a page, junk, cut off, another value, newer, without words."""
  refused(write(tmp_path, {'tokenizer.json': content}), message)
  refused(tmp_path / 'tokenizer.json', message)


@pytest.mark.parametrize(
  ('files', 'message'),
  [
    ({}, r'has no vocabulary: expected tokenizer\.json, .* \(BERT\); it has no files'),
    # Of these transformers makes a tokenizer to which every word is unknown.
    (
      {'config.json': T5, 'tokenizer_config.json': T5_CLASS, 'model.safetensors': b'x'},
      r'no vocabulary.* spiece\.model \(T5\).*; it has config\.json, model\.safet',
    ),
    ({'config.json': BART, 'vocab.json': VOCABULARY}, r'merges\.txt is missing'),
    ({'config.json': BART, 'merges.txt': MERGES}, r'vocab\.json is missing'),
    (
      {'config.json': BART, 'vocab.json': VOCABULARY, 'merges.txt': b''},
      r'merges\.txt is empty',
    ),
    (
      {'config.json': BART, 'vocab.json': VOCABULARY[:40], 'merges.txt': MERGES},
      r'vocab\.json:1: not JSON, or cut off',
    ),
    ({'config.json': T5, 'spiece.model': POINTER}, r'spiece\.model is a Git LFS'),
    ({'config.json': T5, 'spiece.model': b''}, r'spiece\.model is empty'),
    ({'config.json': BERT, 'vocab.txt': b''}, r'vocab\.txt is empty'),
    ({'config.json': BERT, 'vocab.txt': b'\n'}, r'vocab\.txt has no \[CLS\] and no'),
    ({'config.json': POINTER, 'vocab.txt': VOCAB_TXT}, r'config\.json is a Git LFS'),
    (
      {'config.json': BERT, 'vocab.txt': VOCAB_TXT, 'tokenizer_config.json': b'{'},
      r'tokenizer_config\.json:1: not JSON, or cut off',
    ),
    # Of this transformers makes one with [MASK] in the place of another token.
    (
      {'config.json': BERT, 'vocab.txt': VOCAB_TXT[:25]},
      r'vocab\.txt has no \[MASK\]: it is cut off, or of another family',
    ),
    (
      {'config.json': BART, 'vocab.json': b'{"<s>": 0, "a": 1}', 'merges.txt': MERGES},
      r'vocab\.json has no <pad> and no </s> and no <mask>',
    ),
    ({'config.json': BERT, 'vocab.txt': b'\xff\xfe'}, r'vocab\.txt is no text'),
  ],
)
def test_a_directory_without_a_whole_vocabulary_is_refused(tmp_path, files, message):
  """What is missing or damaged is named, whatever transformers would make of it."""
  refused(write(tmp_path, files), message)


def test_merges_that_are_cut_off_are_refused(tmp_path):
  """Without them words fall to pieces, and nothing says so."""
  letters = [chr(ord('a') + i) for i in range(16)]
  pairs = [x + y for x in letters for y in letters]
  tokens = [*SPECIALS, *letters, *pairs, '<mask>']
  vocabulary = {token: i for i, token in enumerate(tokens)}
  lines = [f'{x} {y}\n' for x, y in pairs]
  files = {'config.json': BART, 'vocab.json': json.dumps(vocabulary).encode()}
  write(tmp_path, {**files, 'merges.txt': ''.join(lines[:200]).encode()})
  refused(tmp_path, r"merges\.txt is damaged: nothing in it makes 56 of the 256 .*'mi'")
  write(tmp_path, {'merges.txt': ''.join(lines).encode()})
  tokenizer = text.load_tokenizer(tmp_path)
  assert tokenizer.size == len(tokens)
  assert tokenizer.encode('mi').ids == [vocabulary['mi']]


def test_what_is_nowhere_is_refused(tmp_path):
  """A path, a link to nothing, and an address, none of which is asked of the hub."""
  refused(tmp_path / 'nowhere', 'No tokenizer at .*nowhere: there is no such file')
  refused('gs://bucket/tokenizer', 'No tokenizer at gs://bucket/tokenizer: there is no')
  (tmp_path / 'tokenizer.json').symlink_to('gone')
  refused(tmp_path, r'tokenizer\.json is missing, a link to nothing: gone')


def test_sentencepiece_is_asked_for_by_its_extra(tmp_path, monkeypatch):
  """Where it is not installed, what to install is said, and what for."""
  write(tmp_path, {'config.json': T5, 'spiece.model': b'\x0a\x0e'})
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  refused(tmp_path, r"spiece\.model needs sentencepiece.*'masklearn\[sentencepiece\]'")


def test_a_model_of_sentencepiece_is_read(tmp_path):
  """With a hundred sentinels behind its pieces; cut off, it is refused."""
  proto = pytest.importorskip(
    'sentencepiece.sentencepiece_model_pb2', reason='needs the extra `sentencepiece`'
  )
  pieces = [
    '<pad>',
    '</s>',
    '<unk>',
    '▁',
    '▁is',
    '▁the',
    *'Limapern.',
    '▁Lima',
    '▁Peru',
  ]
  made = proto.ModelProto()
  for number, piece in enumerate(pieces):
    kind = 'CONTROL' if number < 2 else 'UNKNOWN' if number == 2 else 'NORMAL'
    kind = proto.ModelProto.SentencePiece.Type.Value(kind)
    made.pieces.add(piece=piece, score=-number, type=kind)
  made.trainer_spec.model_type = proto.TrainerSpec.UNIGRAM
  made.trainer_spec.unk_id = 2
  made.normalizer_spec.name = 'identity'
  whole = made.SerializeToString()
  files = {'config.json': T5, 'tokenizer_config.json': T5_CLASS}
  write(tmp_path, {**files, 'spiece.model': whole})
  tokenizer = text.load_tokenizer(tmp_path)
  assert tokenizer.size == len(pieces) + 100
  sentinels = range(tokenizer.size - 1, len(pieces) - 1, -1)
  assert tokenizer.specials.sentinels == tuple(sentinels)
  ids = tokenizer.encode('Lima is the Peru').ids
  assert ids == [pieces.index(x) for x in ('▁Lima', '▁is', '▁the', '▁Peru')]
  for end in (-1, -len('identity'), len(whole) // 2, 3):
    write(tmp_path, {'spiece.model': whole[:end]})
    refused(tmp_path, r'spiece\.model is damaged: (no|a) model of sentencepiece')
  made.ClearField('normalizer_spec')  # cut off where nothing is half
  write(tmp_path, {'spiece.model': made.SerializeToString()})
  refused(tmp_path, r'spiece\.model is damaged: a model of sentencepiece that is cut')


def test_the_size_is_that_of_an_embedding(tmp_path):
  """The largest id and one, where ids have gaps: 11 tokens, ids up to 319."""
  gaps = model(SPECIALS | WORDS | {'<mask>': 319})
  tokenizer = text.load_tokenizer(write(tmp_path, {'tokenizer.json': gaps}))
  assert tokenizer.size == 320
  assert tokenizer.tokens_from(9) == ['bc', '<mask>']
  backend = tokenizers.Tokenizer.from_str(gaps.decode())
  backend.add_special_tokens(['<more>'])  # behind the number of tokens, not the last
  assert text.Tokenizer(backend).size == 320
