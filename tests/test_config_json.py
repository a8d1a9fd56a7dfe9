"""Values of a config.json that describe no model, each in one line."""

import json
import re

import pytest

from masklearn.models import bert, convert
from masklearn.types import InputError, Specials
from tests.hf import ids_of, stored

WHOLE = 'a whole number from 1 to'
BAD_SIZE = [None, -3, 0, 10**12, 10**400, 1.5, 'x', [4], {}, True]
BAD_RATE = [None, -0.1, 1, 1.5, float('nan'), float('inf'), '0.1', [0.1], True]
BAD_POSITIVE = [None, -1.0, 0, float('nan'), float('inf'), 1e300, 'x', [1.0], False]
BAD_FLAG = [None, 0, 1, 'true', [True]]
BERT = {
  'vocab_size': 41, 'hidden_size': 12, 'num_hidden_layers': 2,
  'num_attention_heads': 3, 'intermediate_size': 20, 'max_position_embeddings': 17,
  'type_vocab_size': 7, 'layer_norm_eps': 1e-12, 'initializer_range': 0.3,
}  # fmt: skip
FILES = {family: stored(family)[0] for family in ('bart', 't5')} | {'bert': BERT}


def read(family, changes):
  """Reads the stored config.json of a family with other values; ... leaves one out."""
  hf = {**FILES[family], **changes}
  hf = json.loads(json.dumps({k: v for k, v in hf.items() if v is not ...}))
  if family == 'bert':
    return bert.config_from_hf(hf, Specials(bos=3, pad=0, eos=4, mask=5), 'DIR')
  return convert.config_from_hf(hf, ids_of(FILES[family]), directory='DIR')


@pytest.mark.parametrize(
  ('family', 'key', 'values', 'rule'),
  [
    *(
      ('bart', key, [*BAD_SIZE, ...], WHOLE)
      for key in (
        'vocab_size', 'd_model', 'encoder_layers', 'decoder_layers',
        'encoder_attention_heads', 'decoder_attention_heads', 'encoder_ffn_dim',
        'decoder_ffn_dim', 'max_position_embeddings',
      )
    ),
    *(
      ('t5', key, [*BAD_SIZE, ...], WHOLE)
      for key in ('vocab_size', 'd_model', 'd_kv', 'd_ff', 'num_layers', 'num_heads')
    ),
    *(
      ('bert', key, [*BAD_SIZE, ...], WHOLE)
      for key in BERT if key.startswith(('vocab', 'hidden', 'num', 'inter', 'max'))
    ),
    ('bert', 'type_vocab_size', BAD_SIZE, WHOLE),
    ('bert', 'pad_token_id', [-1, 1.5, 'x', [0], True], 'a whole number from 0 to'),
    ('t5', 'num_decoder_layers', BAD_SIZE[1:], WHOLE),
    ('t5', 'relative_attention_num_buckets', BAD_SIZE, WHOLE),
    ('t5', 'relative_attention_max_distance', BAD_SIZE, WHOLE),
    ('bart', 'dropout', BAD_RATE, r'a number in \[0, 1\)'),
    ('bart', 'attention_dropout', BAD_RATE, r'a number in \[0, 1\)'),
    ('bart', 'activation_dropout', BAD_RATE, r'a number in \[0, 1\)'),
    ('t5', 'dropout_rate', BAD_RATE, r'a number in \[0, 1\)'),
    ('bart', 'init_std', BAD_POSITIVE, 'a number above 0'),
    ('t5', 'layer_norm_epsilon', BAD_POSITIVE, 'a number above 0'),
    ('t5', 'initializer_factor', BAD_POSITIVE, 'a number above 0'),
    ('bert', 'layer_norm_eps', BAD_POSITIVE, 'a number above 0'),
    ('bart', 'scale_embedding', BAD_FLAG, 'true or false'),
    ('t5', 'tie_word_embeddings', BAD_FLAG[1:], 'true or false'),
    ('t5', 'scale_decoder_outputs', BAD_FLAG[1:], 'true or false'),
    ('bart', 'normalize_before', [True, None, 0, [False]], 'false'),
    ('bart', 'encoder_layerdrop', [0.1, None, False], r'0\.0'),
    ('bart', 'activation_function', ['relu', None, ['gelu']], '"gelu"'),
    ('t5', 'feed_forward_proj', ['gated-silu', None, 3], '"relu" or "gated-gelu"'),
    ('bert', 'hidden_act', ['relu', None], '"gelu"'),
  ],
)  # fmt: skip
def test_each_value_that_cannot_be_is_named(family, key, values, rule):
  """Null, a wrong type, negative, absurd, missing: key, rule and value, in one line."""
  for value in values:
    with pytest.raises(InputError) as caught:
      read(family, {key: value})
    said = str(caught.value)
    assert said.startswith(f'DIR/config.json does not describe a {family.upper()}: ')
    got = 'nothing' if value is ... else json.dumps(value)[:40]
    assert re.search(f'{key} must be {rule}', said)
    assert f'got {got}' in said
    assert len(said) < 250
    assert '\n' not in said


def test_all_that_is_wrong_is_said_at_once():
  """Another option, a key that is missing, a value of another type."""
  with pytest.raises(InputError) as caught:
    read('bart', {'normalize_before': True, 'd_model': ..., 'dropout': None})
  assert str(caught.value) == (
    'DIR/config.json does not describe a BART: normalize_before must be false, got '
    'true; d_model must be a whole number from 1 to 16777216, got nothing; dropout '
    'must be a number in [0, 1), got null.'
  )


@pytest.mark.parametrize(
  ('family', 'changes', 'message'),
  [
    ('bart', {'d_model': 13}, 'width must be a multiple of encoder_heads, got 13'),
    ('t5', {'relative_attention_num_buckets': 6}, 'buckets must be a multiple of 4'),
    ('bert', {'hidden_size': 13}, 'width must be a multiple of heads, got 13 and 3'),
    ('bart', {'model_type': 'mbart'}, r"in DIR/.* 'mbart'; did you mean 'bart'.*t5\."),
    ('t5', {'model_type': ...}, "in DIR/config.json 'None'"),
    ('t5', {'model_type': ['t5']}, 'did you mean'),
  ],
)
def test_values_that_contradict_each_other_are_refused(family, changes, message):
  """Also another family, the nearest of which is named."""
  with pytest.raises(InputError, match=message):
    read(family, changes)


def test_null_is_nothing_where_hugging_face_writes_it():
  """As many layers in the decoder, and scaled unless it is untied."""
  found = read('t5', {'num_decoder_layers': None, 'num_layers': 3})
  assert (found.encoder_layers, found.decoder_layers) == (3, 3)
  assert read('bert', {'pad_token_id': None}).vocab_size == 41
