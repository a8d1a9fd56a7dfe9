"""What must hold for any model: parity with Hugging Face's, and invariants."""

import dataclasses
import functools
import importlib
import json

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers
from jax.flatten_util import ravel_pytree

from configs import factbook, world
from masklearn import models, text
from masklearn.policies import encoders
from masklearn.study import config, settings
from masklearn.types import InputError, Specials
from tests import hf
from tests.small import slow_case

IDS = {
  'bart': Specials(bos=0, pad=1, eos=2, mask=3),
  't5': Specials(bos=None, pad=0, eos=1, mask=8, sentinels=(8, 7, 6)),
}
FAMILIES = pytest.mark.parametrize('family', ['bart', 't5'])


@pytest.mark.parametrize(
  ('family', 'size', 'vocab_size', 'count'),
  [
    ('bart', 'small', 8192, pytest.approx(8.1e6, rel=0.01)),
    ('bart', 'base', 50265, 139420416),
    slow_case('bart', 'large', 50265, 406291456),
    ('t5', 'small', 32128, 76961152),
    ('t5', 'base', 32128, 247577856),
    slow_case('t5', 'large', 32128, 783150080),
    ('t5', 'small_v1_0', 32128, 60506624),
    ('t5', 'base_v1_0', 32128, 222903552),
    slow_case('t5', 'large_v1_0', 32128, 737668096),
  ],
)
def test_sizes_have_the_published_number_of_parameters(family, size, vocab_size, count):
  """Facebook's and Google's, but for the output bias of BART that is no parameter."""
  model = models.make_model(family, size, vocab_size, IDS[family])
  tree = jax.eval_shape(functools.partial(models.init_params, model), jax.random.key(0))
  tree.pop('final_logits_bias', None)
  total = sum(leaf.size for leaf in jax.tree.leaves(tree))
  assert total - -vocab_size % 128 * model.config.width == count  # rows of no token


@pytest.mark.parametrize(
  ('family', 'size', 'fields', 'message'),
  [
    ('brat', 'tiny', {}, "'brat'; did you mean 'bart'"),
    ('bart', 'bass', {}, "'bass'; did you mean 'base'"),
    ('bart', 'tiny', {'decoder_heads': 3}, 'multiple of decoder_heads, got 64 and 3'),
    ('bart', 'tiny', {'mask': 9}, r'mask must be .* \(below 9\), got 9'),
    ('bart', 'tiny', {'activation_dropout': 1}, r'activation_.* \[0, 1\), got 1'),
    ('bart', 'tiny', {'dtype': 'bf16'}, "'bf16'; did you mean 'bfloat16'"),
    ('t5', 'bass', {}, "'bass'; did you mean 'base'"),
    ('t5', 'tiny', {'buckets': 6}, r'multiple of 4 .*, got 6 and 128'),
    ('t5', 'tiny', {'max_distance': 16}, r'multiple of 4 .*, got 32 and 16'),
    ('t5', 'tiny', {'mask': 9}, r'mask must be .* \(below 9\), got 9'),
    ('t5', 'tiny', {'ffn': 8}, "field of a t5 'ffn'; did you mean 'enc"),
  ],
)
def test_wrong_settings_are_refused_with_the_nearest_right_one(
  family, size, fields, message
):
  """Every message names the rule and what was given."""
  with pytest.raises(InputError, match=message):
    models.make_model(family, size, 9, IDS.get(family), **fields)


CONFIGS = [
  *(('world', variant) for variant in world.VARIANTS),
  *(('factbook', variant) for variant in factbook.VARIANTS),
  *((name, 'nq_open') for name in ('bart_base', 'bart_large', 't5_base')),
]


@FAMILIES
@pytest.mark.parametrize(('name', 'variant'), CONFIGS)
def test_every_study_can_be_of_either_family(family, name, variant):
  """Its fields are those of both: nothing but the name is changed, and the paths."""
  c = importlib.import_module(f'configs.{name}').get_config(variant).lock()
  c.model.name, c.corpus.path = family, 'x'
  c.model.checkpoint = 'x' if 'base' in name or 'large' in name else ''
  config.check(c)
  fields = settings.model(c)
  del fields['checkpoint']
  made = models.make_model(
    vocab_size=c.corpus.vocabulary or 500, ids=IDS[family], **fields
  )
  assert type(made).__name__.lower() == family
  for field in fields.keys() - {'name', 'size'}:
    assert getattr(made.config, field) == fields[field]
  if c.corpus.vocabulary:
    tokenizer = text.train_tokenizer(['Lima is here.'], c.corpus.vocabulary, family)
    assert tokenizer.size <= c.corpus.vocabulary


def test_a_vocabulary_with_gaps_has_a_row_for_every_id():
  """Of a fresh model, and of a policy's table of words: the largest id and one."""
  backend = tokenizers.Tokenizer(tokenizers.models.BPE())
  backend = json.loads(backend.to_str())
  names = ['<s>', '<pad>', '</s>', '<unk>', *'abcd']
  backend['model']['vocab'] = {name: 40 * i for i, name in enumerate(names)}
  backend['model']['vocab']['<mask>'] = 319
  tokenizer = text.Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(backend)))
  made = models.make_model('bart', 'tiny', tokenizer.size, tokenizer.specials)
  tree = jax.eval_shape(functools.partial(models.init_params, made), jax.random.key(0))
  assert made.config.vocab_size == 320
  assert tree['shared']['embedding'].shape[0] >= 320
  assert tokenizer.encode('abcd').ids == [160, 200, 240, 280]
  shape = encoders.EncoderConfig(vocab_size=tokenizer.size, embedding=8)
  assert shape.vocab_size > max(tokenizer.encode('abcd').ids)


@FAMILIES
@pytest.mark.parametrize(
  'options', [{}, {'scan': True}, slow_case({'remat': True, 'scan': True})]
)
def test_logits_loss_and_gradients_are_those_of_the_stored_model(family, options):
  """A checkpoint of odd sizes, computed by Hugging Face in PyTorch."""
  model, params, batch, file = hf.golden(family)
  model = type(model)(dataclasses.replace(model.config, **options))
  gradients = hf.tensors_of(file, 'gradient ')
  hf.assert_same_as_hf(model, params, batch, file['logits'], file['loss'], gradients)


@pytest.mark.parametrize(
  ('family', 'sizes'),
  [
    ('bart', {'scale_embedding': False, 'encoder_layers': 1, 'decoder_layers': 2}),
    slow_case(
      'bart',
      {'encoder_layers': 1, 'encoder_attention_heads': 1, 'decoder_attention_heads': 4},
    ),
    (
      't5',
      {'feed_forward_proj': 'relu', 'tie_word_embeddings': True, 'd_kv': 4}
      | {'num_layers': 1, 'num_decoder_layers': 2},
    ),
  ],
)
def test_logits_loss_and_gradients_are_those_of_a_live_model(family, sizes):
  """The same for other shapes, where PyTorch is installed."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  from tests.testdata import make_golden

  theirs = make_golden.random_model(family, 1, **sizes)
  batch = make_golden.random_batch(family, 1)
  hf.assert_same_as_hf(*hf.ours(theirs), batch, *make_golden.compute(theirs, *batch))


@FAMILIES
def test_padding_changes_nothing(family):
  """Whatever stands behind a row's end, its logits are those of the row alone."""
  model, params, (source, valid, decoder_input, _) = hf.shallow(family)
  logits = hf.forward(model, params, source, valid, decoder_input)
  garbage = jnp.where(valid, source, 17)
  other = hf.forward(model, params, garbage, valid, decoder_input)
  np.testing.assert_array_equal(other, logits)
  alone = hf.forward(model, params, source[1:2, :3], valid[1:2, :3], decoder_input[1:2])
  np.testing.assert_allclose(alone, logits[1:2], rtol=0, atol=1e-5)


@FAMILIES
def test_a_position_sees_itself_and_those_before(family):
  """Another token at t changes logits from t on, in every row, and none before."""
  model, params, (source, valid, decoder_input, _) = hf.shallow(family)
  logits = hf.forward(model, params, source, valid, decoder_input)
  for t in range(5):
    changed = decoder_input.at[:, t].set(39 - decoder_input[:, t])
    other = hf.forward(model, params, source, valid, changed)
    np.testing.assert_array_equal(other[:, :t], logits[:, :t])
    assert (jnp.abs(other - logits)[:, t:].max(-1) > 1e-3).all()


@FAMILIES
def test_cached_steps_give_the_logits_of_teacher_forcing(family):
  """One token at a time, over a longer cache, equals all tokens at once."""
  model, params, (source, valid, decoder_input, _) = hf.shallow(family)
  expected = hf.forward(model, params, source, valid, decoder_input)

  @hf.jit
  def start(variables):
    encoded = model.apply(variables, source, valid, method='encode')
    return model.apply(variables, encoded, valid, 9, method='init_cache')

  step = hf.jit(functools.partial(model.apply, method='decode_step'))
  cache = start({'params': params})
  for t in range(decoder_input.shape[1]):
    token, seen = decoder_input[:, t, None], jnp.arange(9)[None, None] <= t
    logits, cache = step({'params': params}, token, jnp.int32(t), seen, cache)
    np.testing.assert_allclose(logits[:, 0], expected[:, t], rtol=0, atol=1e-5)


@FAMILIES
def test_source_mask_mixes_in_the_embedding_of_mask(family):
  """Shares of 0 and 1 keep or replace tokens; those between act smoothly."""
  model, params, (source, valid, decoder_input, _) = hf.shallow(family)
  hidden = jnp.arange(7)[None] % 3 == 1
  share = jnp.broadcast_to(hidden.astype(jnp.float32), source.shape)
  hard = jnp.where(hidden, hf.MASK, source)
  expected = hf.forward(model, params, hard, valid, decoder_input)

  def logits(share):
    return hf.compute_logits(model, params, source, valid, decoder_input, share)

  @hf.jit
  def logits_and_rate(share, direction):
    return jax.jvp(logits, (share,), (direction,))

  soft, _ = logits_and_rate(share, share)
  np.testing.assert_allclose(soft, expected, rtol=0, atol=1e-5)
  _, rate = logits_and_rate(0.5 * share, share)
  less, more = (logits_and_rate(x * share, share)[0] for x in (0.498, 0.502))
  np.testing.assert_allclose(rate, (more - less) / 0.004, rtol=0.01, atol=0.02)


@pytest.mark.parametrize('family', ['t5', slow_case('bart')])
def test_gradients_can_be_differentiated_forwards(family):
  """The derivative of the gradient agrees with the quotient, in float64."""
  model, params, batch = hf.shallow(family, dtype='float64')
  with jax.enable_x64(True):
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    # No gradient flows to it, where there is one.
    fixed = {k: params.pop(k) for k in ['final_logits_bias'] if k in params}
    flat, unravel = ravel_pytree(params)
    direction = jax.random.normal(jax.random.key(0), flat.shape, jnp.float64)

    def loss(x):
      return hf.mean_loss(model, {**unravel(x), **fixed}, batch)[0]

    @hf.jit
    def gradient_and_rate(x):
      return jax.jvp(jax.grad(loss), (x,), (direction,))

    _, rate = gradient_and_rate(flat)
    step = 1e-6 * direction
    (less, _), (more, _) = map(gradient_and_rate, (flat - step, flat + step))
    np.testing.assert_allclose(rate, (more - less) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
  ('family', 'rate'),
  [('bart', 'dropout'), ('bart', 'attention_dropout'), ('bart', 'activation_dropout'),
   ('t5', 'dropout')],
)  # fmt: skip
def test_dropout_follows_its_key(family, rate):
  """Each rate drops: the same with the same key, something else with another."""
  model, params, batch = hf.shallow(family, **{'dropout': 0.0, rate: 0.3})

  @hf.jit
  def loss(key):
    return hf.mean_loss(model, params, batch, train=True, rngs={'dropout': key})[0]

  first, again, other = (float(loss(jax.random.key(seed))) for seed in (0, 0, 1))
  assert first == again
  assert abs(first - other) > 1e-3
  with pytest.raises(flax.errors.InvalidRngError):
    hf.mean_loss(model, params, batch, train=True)


@FAMILIES
def test_half_precision_keeps_parameters_and_logits_in_float32(family):
  """In bfloat16 logits are close, and they and all gradients stay float32."""
  model, params, batch = hf.shallow(family, dtype='bfloat16')
  expected = hf.forward(hf.shallow(family)[0], params, *batch[:3])
  logits = hf.forward(model, params, *batch[:3])
  np.testing.assert_allclose(logits, expected, rtol=0, atol=0.2)
  gradients = jax.eval_shape(
    jax.grad(lambda params: hf.mean_loss(model, params, batch)[0]), params
  )
  dtypes = {x.dtype for x in jax.tree.leaves((gradients, logits))}
  assert dtypes == {jnp.dtype('float32')}
