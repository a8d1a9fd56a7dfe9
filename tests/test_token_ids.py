"""Special tokens have one id, whichever file says it: training and decoding agree."""

import jax
import numpy as np
import pytest

from masklearn import data
from masklearn.models import generate, pretrained, token_ids
from masklearn.training import corruption
from masklearn.types import Example, InputError
from tests import hf
from tests.small import IDS, T5_IDS, make_batch, slow_case
from tests.test_pretrained import write_hf

SIZE = 41
START = 'decoder_start_token_id'
# Of a tokenizer, and what the decoder of the family reads first.
FAMILIES = {'bart': (IDS, 'eos'), 't5': (T5_IDS, 'pad')}


def agreed(family, config=(), generation=(), ids=True):
  """The ids by our names."""
  own, first = FAMILIES[family]
  return token_ids.agreed(
    dict(config), dict(generation), own if ids else None, SIZE, first, 'DIR'
  )


ALL = {'pad_token_id': 1, 'bos_token_id': 0, 'eos_token_id': 2}
BART = {'pad': 1, 'bos': 0, 'eos': 2, 'decoder_start': 2}
T5 = {'pad': 0, 'bos': None, 'eos': 1, 'decoder_start': 0}


@pytest.mark.parametrize(
  ('family', 'config', 'generation', 'expected'),
  [
    ('bart', {}, {}, BART),  # the tokenizer's
    ('bart', ALL | {START: 2}, {START: 2}, BART),
    ('bart', ALL | {START: 0}, {}, BART | {'decoder_start': 0}),
    ('bart', ALL | {START: None}, {START: 0}, BART | {'decoder_start': 0}),
    ('bart', {'eos_token_id': [2]}, {'eos_token_id': 2}, BART),
    ('bart', {'forced_bos_token_id': 0, 'forced_eos_token_id': 2}, {}, BART),
    ('t5', {}, {}, T5),
    ('t5', {START: 3}, {}, T5 | {'decoder_start': 3}),
    ('t5', {}, {START: 3}, T5 | {'decoder_start': 3}),
    ('t5', {'bos_token_id': 7, 'pad_token_id': 0}, {}, T5),  # which it never reads
  ],
)
def test_one_id_of_each(family, config, generation, expected):
  """That of config.json, else of generation_config.json, else of the tokenizer."""
  assert agreed(family, config, generation) == expected


@pytest.mark.parametrize(
  ('family', 'config', 'generation', 'message'),
  [
    ('bart', ALL | {START: 2}, {START: 0}, f'{START} .* 2 in DIR/co.*, 0 in DIR/gener'),
    ('bart', {'eos_token_id': 3}, {}, 'eos_.* 3 in DIR/config.json, 2 in the token'),
    ('t5', {}, {'pad_token_id': 2}, 'pad_.* 2 in DIR/generation_.*, 0 in the token'),
    ('bart', {'bos_token_id': 5}, {}, 'bos_.* 5 in DIR/config.json, 0 in the token'),
    ('bart', {'eos_token_id': [2, 3]}, {}, r'id of one token, .* 40, got \[2, 3\]'),
    ('bart', {'pad_token_id': -1}, {}, 'pad_token_id in DIR/config.json .* got -1'),
    ('t5', {}, {START: 41}, f'{START} in DIR/generation_config.json must .* got 41'),
    ('t5', {START: True}, {}, 'got true'),
    ('t5', {START: '0'}, {}, 'got "0"'),
    ('bart', {}, {'forced_bos_token_id': 9}, 'be bos_token_id, 0, or null.* got 9'),
    ('bart', {'forced_eos_token_id': 9}, {}, 'be eos_token_id, 2, or null.* got 9'),
    ('t5', {'forced_bos_token_id': 9}, {}, 'must be null, .* got 9'),
  ],
)  # fmt: skip
def test_two_ids_of_one_are_refused(family, config, generation, message):
  """Both are named with their files, as is what is no token at all."""
  with pytest.raises(InputError, match=message) as caught:
    agreed(family, config, generation)
  assert '\n' not in str(caught.value)


def test_without_a_tokenizer_the_files_must_say_all():
  """None of them is made up."""
  assert agreed('bart', ALL, ids=False) == BART
  with pytest.raises(
    InputError, match='no bos_token_id and no eos_token_id and no dec'
  ):
    agreed('bart', {'pad_token_id': 1}, ids=False)


@pytest.mark.parametrize(
  ('ids', 'start', 'first'),
  [(IDS, None, 2), (IDS, 0, 0), (T5_IDS, None, 0), (T5_IDS, 7, 7)],
)
def test_targets_begin_with_what_the_decoder_reads_first(ids, start, first):
  """Of passages and of questions."""
  ids = ids._replace(start=start)
  batch, hidden = make_batch([[1, 2, 1], [1, 1]]), np.ones((2, 4), np.float32)
  example = corruption.corrupt_tokens(batch, hidden, ids)
  np.testing.assert_array_equal(example.decoder_input[:, 0], [first] * 2)

  class Letters:
    specials = ids

    def encode(self, text):
      return data.arrays.text.Encoding([20 + ord(x) % 9 for x in text], [])

  questions = data.encode_examples([Example('0', 'ab', ('c',))], Letters())
  np.testing.assert_array_equal(questions.decoder_input[:, 0], [first])


@pytest.mark.parametrize('family', ['t5', slow_case('bart')])
def test_a_checkpoint_that_starts_elsewhere_is_trained_and_decoded_so(tmp_path, family):
  """The tokenizer of a loaded model makes targets that begin as its decoder does."""
  write_hf(tmp_path / 'theirs', family, decoder_start=7)
  said = []
  pretrained.from_hf(tmp_path / 'theirs', tmp_path / 'ours', say=said.append)
  model, _, tokenizer = pretrained.load_model(tmp_path / 'ours')
  assert model.config.decoder_start == tokenizer.specials.decoder_start == 7
  blank = generate._blank(model.config, (1, 3))
  assert blank[0, 0] == 7
  assert (
    said[0]
    == f'{384 - tokenizer.size} of 384 rows belong to no token of the tokenizer.'
  )


@pytest.mark.parametrize('family', ['t5', slow_case('bart')])
def test_another_start_is_that_of_hugging_face(family):
  """Their decoder input for a target, and what `generate` writes."""
  torch = pytest.importorskip('torch', reason='needs the extra `parity`')
  from tests.testdata import make_golden

  sizes = {'t5': {'num_layers': 1, 'num_decoder_layers': 1}, 'bart': {}}[family]
  theirs = make_golden.random_model(family, 1, **sizes)
  for said in (theirs.config, theirs.generation_config):
    said.decoder_start_token_id = 7
  model, params = hf.ours(theirs)
  source, valid, _, target = make_golden.random_batch(family, 1)
  ids = hf.ids_of(theirs.config.to_dict())._replace(start=model.config.decoder_start)
  own = corruption._example(source, jax.numpy.asarray(target), None, ids)
  tokens, mask, labels = (
    torch.tensor(np.asarray(x), dtype=torch.long) for x in (source, valid, target)
  )
  expected = theirs.prepare_decoder_input_ids_from_labels(labels=labels)
  np.testing.assert_array_equal(own.decoder_input, expected.numpy())
  written = theirs.generate(
    tokens, attention_mask=mask, max_new_tokens=4, do_sample=False, num_beams=1
  ).numpy()
  assert (written[:, 0] == 7).all()
  greedy = hf.jit(generate.greedy, static_argnames=('model', 'max_length', 'rules'))
  found = greedy(model, params, source, valid, 4)
  np.testing.assert_array_equal(found[:, : written.shape[1] - 1], written[:, 1:])
