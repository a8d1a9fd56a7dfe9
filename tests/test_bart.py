"""BART against Hugging Face's, stored and live, and what must hold for any BART."""

import dataclasses
import functools
import json
import pathlib

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from masklearn import models
from masklearn.models import convert
from masklearn.types import InputError, Specials

GOLDEN = pathlib.Path(__file__).parent / 'testdata' / 'bart_golden.npz'
MASK = 40
# Models this small take far longer to compile than to run.
jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


@functools.cache
def golden():
  """Returns the stored file's model, parameters and batch, and the file."""
  file = np.load(GOLDEN)
  tensors = {
    name.removeprefix('tensor '): file[name] for name in file if 'tensor ' in name
  }
  config = convert.config_from_hf(json.loads(str(file['config'])), MASK)
  batch = tuple(
    jnp.asarray(file[name]) for name in ('source', 'valid', 'decoder_input', 'target')
  )
  return models.Bart(config), convert.from_hf(tensors, config), batch, file


def shallow(**changes):
  """Returns the same with one encoder layer, for speed, and a changed configuration."""
  model, params, batch, _ = golden()
  config = dataclasses.replace(model.config, encoder_layers=1, **changes)
  return models.Bart(config), params, batch


def compute_logits(model, params, *args):
  """Logits [B, T, V], without dropout."""
  return model.apply({'params': params}, *args)


forward = jit(compute_logits, static_argnums=0)


def mean_loss(model, params, batch, **kwargs):
  """Returns the mean over target tokens, as Hugging Face computes it, and logits."""
  source, valid, decoder_input, target = batch
  logits = model.apply({'params': params}, source, valid, decoder_input, **kwargs)
  nll = optax.softmax_cross_entropy_with_integer_labels(logits, target)
  weight = (target != model.config.pad).astype(nll.dtype)
  return (nll * weight).sum() / weight.sum(), logits


loss_and_gradients = jit(
  jax.value_and_grad(mean_loss, argnums=1, has_aux=True), static_argnums=0
)


def assert_same_as_hf(model, params, batch, logits, loss, gradients):
  """Compares ours with theirs, whose gradients come by the names of their tensors."""
  (our_loss, our_logits), ours = loss_and_gradients(model, params, batch)
  np.testing.assert_allclose(our_logits, logits, rtol=0, atol=1e-4)
  np.testing.assert_allclose(our_loss, loss, rtol=0, atol=1e-5)
  theirs = convert.from_hf(gradients, model.config)  # and zeros for the output bias
  for (path, one), two in zip(
    jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True
  ):
    np.testing.assert_allclose(
      one, two, rtol=1e-3, atol=1e-5, err_msg=jax.tree_util.keystr(path)
    )


def test_logits_loss_and_gradients_are_those_of_the_stored_model():
  """A checkpoint of odd sizes, computed by Hugging Face's BART in PyTorch."""
  model, params, batch, file = golden()
  gradients = {
    name.removeprefix('gradient '): file[name] for name in file if 'gradient ' in name
  }
  assert_same_as_hf(model, params, batch, file['logits'], file['loss'], gradients)


@pytest.mark.parametrize(
  'sizes',
  [
    {'scale_embedding': False, 'encoder_layers': 1, 'decoder_layers': 2},
    {'encoder_layers': 1, 'encoder_attention_heads': 1, 'decoder_attention_heads': 4},
  ],
)
def test_logits_loss_and_gradients_are_those_of_a_live_model(sizes):
  """The same for other shapes, where PyTorch is installed."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  from tests.testdata import make_bart_golden

  theirs = make_bart_golden.random_model(1, **sizes)
  batch = make_bart_golden.random_batch(1)
  config = convert.config_from_hf(theirs.config.to_dict(), MASK)
  tensors = {name: t.numpy() for name, t in theirs.state_dict().items()}
  params = convert.from_hf(tensors, config)
  assert_same_as_hf(
    models.Bart(config), params, batch, *make_bart_golden.compute(theirs, *batch)
  )


def test_padding_changes_nothing():
  """Whatever stands behind a row's end, its logits are those of the row alone."""
  model, params, (source, valid, decoder_input, _) = shallow()
  logits = forward(model, params, source, valid, decoder_input)
  garbage = jnp.where(valid, source, 17)
  other = forward(model, params, garbage, valid, decoder_input)
  np.testing.assert_array_equal(other, logits)
  alone = forward(model, params, source[1:2, :3], valid[1:2, :3], decoder_input[1:2])
  np.testing.assert_allclose(alone, logits[1:2], rtol=0, atol=1e-5)


def test_a_position_sees_itself_and_those_before():
  """Logits at t depend on the decoder's positions up to t, from row 2 of the table."""
  model, params, (source, valid, decoder_input, _) = shallow()

  @jit
  @jax.jacrev
  def influence(table):
    decoder = {**params['decoder'], 'embed_positions': {'embedding': table}}
    tree = {**params, 'decoder': decoder}
    logits = compute_logits(model, tree, source, valid, decoder_input)
    return logits.sum((0, 2))  # [T]

  seen = influence(params['decoder']['embed_positions']['embedding'])
  expected = np.zeros((5, 19), bool)  # [T, 2 + max_positions]
  expected[:, 2:7] = np.tri(5)
  np.testing.assert_array_equal(jnp.abs(seen).sum(-1) > 0, expected)


def test_cached_steps_give_the_logits_of_teacher_forcing():
  """One token at a time, over a longer cache, equals all tokens at once."""
  model, params, (source, valid, decoder_input, _) = shallow()
  expected = forward(model, params, source, valid, decoder_input)

  @jit
  def start(variables):
    encoded = model.apply(variables, source, valid, method='encode')
    return model.apply(variables, encoded, valid, 9, method='init_cache')

  step = jit(functools.partial(model.apply, method='decode_step'))
  cache = start({'params': params})
  for t in range(decoder_input.shape[1]):
    token = decoder_input[:, t]
    logits, cache = step({'params': params}, token, jnp.int32(t), cache)
    np.testing.assert_allclose(logits, expected[:, t], rtol=0, atol=1e-5)


def test_source_mask_mixes_in_the_embedding_of_mask():
  """Shares of 0 and 1 keep or replace tokens; those between act smoothly."""
  model, params, (source, valid, decoder_input, _) = shallow()
  hidden = jnp.arange(7)[None] % 3 == 1
  share = jnp.broadcast_to(hidden.astype(jnp.float32), source.shape)
  hard = jnp.where(hidden, MASK, source)
  expected = forward(model, params, hard, valid, decoder_input)

  def logits(share):
    return compute_logits(model, params, source, valid, decoder_input, share)

  @jit
  def logits_and_rate(share, direction):
    return jax.jvp(logits, (share,), (direction,))

  soft, _ = logits_and_rate(share, share)
  np.testing.assert_allclose(soft, expected, rtol=0, atol=1e-5)
  _, rate = logits_and_rate(0.5 * share, share)
  less, more = (logits_and_rate(x * share, share)[0] for x in (0.49, 0.51))
  np.testing.assert_allclose(rate, (more - less) / 0.02, rtol=0.01, atol=0.01)


def test_gradients_can_be_differentiated_forwards():
  """The derivative of the gradient agrees with the quotient, in float64."""
  model, params, batch = shallow(dtype='float64')
  with jax.enable_x64(True):
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    bias = params.pop('final_logits_bias')  # no gradient flows to it
    flat, unravel = ravel_pytree(params)
    direction = jax.random.normal(jax.random.key(0), flat.shape, jnp.float64)

    def loss(x):
      return mean_loss(model, {**unravel(x), 'final_logits_bias': bias}, batch)[0]

    @jit
    def gradient_and_rate(x):
      return jax.jvp(jax.grad(loss), (x,), (direction,))

    _, rate = gradient_and_rate(flat)
    step = 1e-6 * direction
    (less, _), (more, _) = map(gradient_and_rate, (flat - step, flat + step))
    np.testing.assert_allclose(rate, (more - less) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('rate', ['dropout', 'attention_dropout', 'activation_dropout'])
def test_dropout_follows_its_key(rate):
  """Each rate drops: the same with the same key, something else with another."""
  model, params, batch = shallow(**{'dropout': 0.0, rate: 0.3})

  @jit
  def loss(key):
    return mean_loss(model, params, batch, train=True, rngs={'dropout': key})[0]

  first, again, other = (
    float(loss(jax.random.key(seed, impl='rbg'))) for seed in (0, 0, 1)
  )
  assert first == again
  assert abs(first - other) > 1e-3
  with pytest.raises(flax.errors.InvalidRngError):
    mean_loss(model, params, batch, train=True)


def test_half_precision_keeps_parameters_and_logits_in_float32():
  """In bfloat16 logits are close, and they and all gradients stay float32."""
  model, params, batch = shallow(dtype='bfloat16')
  expected = forward(shallow()[0], params, *batch[:3])
  logits = forward(model, params, *batch[:3])
  np.testing.assert_allclose(logits, expected, rtol=0, atol=0.2)
  gradients = jax.eval_shape(
    jax.grad(lambda params: mean_loss(model, params, batch)[0]), params
  )
  dtypes = {x.dtype for x in jax.tree.leaves((gradients, logits))}
  assert dtypes == {jnp.dtype('float32')}


@pytest.mark.parametrize(
  ('size', 'vocab_size', 'count'),
  [('small', 8192, 8.1e6), ('base', 50265, 139420416), ('large', 50265, 406291456)],
)
def test_sizes_have_the_published_number_of_parameters(size, vocab_size, count):
  """`base` and `large` are Facebook's, but for the output bias that is no parameter."""
  model = models.make_model('bart', size, vocab_size, Specials(0, 1, 2, 3))
  tree = jax.eval_shape(functools.partial(models.init_params, model), jax.random.key(0))
  tree.pop('final_logits_bias')
  total = sum(leaf.size for leaf in jax.tree.leaves(tree))
  assert total == pytest.approx(count, rel=0 if size != 'small' else 0.01)


def test_initial_parameters_are_random_and_float32():
  """Matrices have the configured deviation, biases are zero, norms the identity."""
  ids = Specials(bos=5, pad=6, eos=7, mask=8)
  layers = {'encoder_layers': 1, 'decoder_layers': 1}
  model = models.make_model('bart', 'tiny', 300, ids, init_std=0.1, **layers)
  assert model.config.decoder_start == 7
  params = models.init_params(model, jax.random.key(0))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
  layer = params['encoder']['layers_0']
  assert float(layer['fc1']['kernel'].std()) == pytest.approx(0.1, rel=0.05)
  assert not layer['fc1']['bias'].any()
  assert (layer['final_layer_norm']['scale'] == 1).all()


def test_wrong_settings_are_refused_with_the_nearest_right_one():
  """Every message names the rule and what was given."""
  ids = Specials(0, 1, 2, 3)
  with pytest.raises(InputError, match="'brat'; did you mean 'bart'"):
    models.make_model('brat', 'tiny', 9, ids)
  with pytest.raises(InputError, match="got 'bass'; did you mean 'base'"):
    models.bart_config('bass', 9, ids)
  with pytest.raises(InputError, match='multiple of decoder_heads, got 64 and 3'):
    models.bart_config('tiny', 9, ids, decoder_heads=3)
  with pytest.raises(InputError, match=r'mask must be .* \(below 3\), got 3'):
    models.bart_config('tiny', 3, ids)
  with pytest.raises(InputError, match=r'activation_dropout .* \[0, 1\), got 1'):
    models.bart_config('tiny', 9, ids, activation_dropout=1)
  with pytest.raises(InputError, match="got 'bf16'; did you mean 'bfloat16'"):
    models.bart_config('tiny', 9, ids, dtype='bf16')


def test_sequences_beyond_the_positions_are_refused():
  """Source, target and cache alike."""
  model, params, (source, valid, decoder_input, _) = shallow()
  long = jnp.ones((3, 18), jnp.int32)
  with pytest.raises(InputError, match=r'source has 18 tokens, but .* 17 positions'):
    forward(model, params, long, long > 0, decoder_input)
  with pytest.raises(InputError, match=r'target has 18 tokens, but .* 17 positions'):
    forward(model, params, source, valid, long)
