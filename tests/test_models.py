"""What must hold for any model: parity with Hugging Face's, and invariants."""

import dataclasses
import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from tests.hf import (
  MASK,
  assert_same_as_hf,
  compute_logits,
  forward,
  golden,
  jit,
  mean_loss,
  ours,
  shallow,
)
from tests.small import slow_case

FAMILIES = pytest.mark.parametrize('family', ['bart', 't5'])


@FAMILIES
@pytest.mark.parametrize('remat', [False, slow_case(True)])
def test_logits_loss_and_gradients_are_those_of_the_stored_model(family, remat):
  """A checkpoint of odd sizes, computed by Hugging Face in PyTorch."""
  model, params, batch, file = golden(family)
  model = type(model)(dataclasses.replace(model.config, remat=remat))
  gradients = {
    name.removeprefix('gradient '): file[name] for name in file if 'gradient ' in name
  }
  assert_same_as_hf(model, params, batch, file['logits'], file['loss'], gradients)


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
      {
        'feed_forward_proj': 'relu',
        'tie_word_embeddings': True,
        'num_layers': 1,
        'num_decoder_layers': 2,
        'd_kv': 4,
      },
    ),
  ],
)
def test_logits_loss_and_gradients_are_those_of_a_live_model(family, sizes):
  """The same for other shapes, where PyTorch is installed."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  from tests.testdata import make_golden

  theirs = make_golden.random_model(family, 1, **sizes)
  batch = make_golden.random_batch(family, 1)
  assert_same_as_hf(*ours(theirs), batch, *make_golden.compute(theirs, *batch))


@FAMILIES
def test_padding_changes_nothing(family):
  """Whatever stands behind a row's end, its logits are those of the row alone."""
  model, params, (source, valid, decoder_input, _) = shallow(family)
  logits = forward(model, params, source, valid, decoder_input)
  garbage = jnp.where(valid, source, 17)
  other = forward(model, params, garbage, valid, decoder_input)
  np.testing.assert_array_equal(other, logits)
  alone = forward(model, params, source[1:2, :3], valid[1:2, :3], decoder_input[1:2])
  np.testing.assert_allclose(alone, logits[1:2], rtol=0, atol=1e-5)


@FAMILIES
def test_a_position_sees_itself_and_those_before(family):
  """Another token at t changes logits from t on, in every row, and none before."""
  model, params, (source, valid, decoder_input, _) = shallow(family)
  logits = forward(model, params, source, valid, decoder_input)
  for t in range(5):
    changed = decoder_input.at[:, t].set(39 - decoder_input[:, t])
    other = forward(model, params, source, valid, changed)
    np.testing.assert_array_equal(other[:, :t], logits[:, :t])
    assert (jnp.abs(other - logits)[:, t:].max(-1) > 1e-3).all()


@FAMILIES
def test_cached_steps_give_the_logits_of_teacher_forcing(family):
  """One token at a time, over a longer cache, equals all tokens at once."""
  model, params, (source, valid, decoder_input, _) = shallow(family)
  expected = forward(model, params, source, valid, decoder_input)

  @jit
  def start(variables):
    encoded = model.apply(variables, source, valid, method='encode')
    return model.apply(variables, encoded, valid, 9, method='init_cache')

  step = jit(functools.partial(model.apply, method='decode_step'))
  cache = start({'params': params})
  for t in range(decoder_input.shape[1]):
    token, seen = decoder_input[:, t, None], jnp.arange(9)[None, None] <= t
    logits, cache = step({'params': params}, token, jnp.int32(t), seen, cache)
    np.testing.assert_allclose(logits[:, 0], expected[:, t], rtol=0, atol=1e-5)


@FAMILIES
def test_source_mask_mixes_in_the_embedding_of_mask(family):
  """Shares of 0 and 1 keep or replace tokens; those between act smoothly."""
  model, params, (source, valid, decoder_input, _) = shallow(family)
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
  less, more = (logits_and_rate(x * share, share)[0] for x in (0.498, 0.502))
  np.testing.assert_allclose(rate, (more - less) / 0.004, rtol=0.01, atol=0.02)


@pytest.mark.parametrize('family', ['t5', slow_case('bart')])
def test_gradients_can_be_differentiated_forwards(family):
  """The derivative of the gradient agrees with the quotient, in float64."""
  model, params, batch = shallow(family, dtype='float64')
  with jax.enable_x64(True):
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    # No gradient flows to it, where there is one.
    fixed = {k: params.pop(k) for k in ['final_logits_bias'] if k in params}
    flat, unravel = ravel_pytree(params)
    direction = jax.random.normal(jax.random.key(0), flat.shape, jnp.float64)

    def loss(x):
      return mean_loss(model, {**unravel(x), **fixed}, batch)[0]

    @jit
    def gradient_and_rate(x):
      return jax.jvp(jax.grad(loss), (x,), (direction,))

    _, rate = gradient_and_rate(flat)
    step = 1e-6 * direction
    (less, _), (more, _) = map(gradient_and_rate, (flat - step, flat + step))
    np.testing.assert_allclose(rate, (more - less) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
  ('family', 'rate'),
  [
    ('bart', 'dropout'),
    ('bart', 'attention_dropout'),
    ('bart', 'activation_dropout'),
    ('t5', 'dropout'),
  ],
)
def test_dropout_follows_its_key(family, rate):
  """Each rate drops: the same with the same key, something else with another."""
  model, params, batch = shallow(family, **{'dropout': 0.0, rate: 0.3})

  @jit
  def loss(key):
    return mean_loss(model, params, batch, train=True, rngs={'dropout': key})[0]

  first, again, other = (float(loss(jax.random.key(seed))) for seed in (0, 0, 1))
  assert first == again
  assert abs(first - other) > 1e-3
  with pytest.raises(flax.errors.InvalidRngError):
    mean_loss(model, params, batch, train=True)


@FAMILIES
def test_half_precision_keeps_parameters_and_logits_in_float32(family):
  """In bfloat16 logits are close, and they and all gradients stay float32."""
  model, params, batch = shallow(family, dtype='bfloat16')
  expected = forward(shallow(family)[0], params, *batch[:3])
  logits = forward(model, params, *batch[:3])
  np.testing.assert_allclose(logits, expected, rtol=0, atol=0.2)
  gradients = jax.eval_shape(
    jax.grad(lambda params: mean_loss(model, params, batch)[0]), params
  )
  dtypes = {x.dtype for x in jax.tree.leaves((gradients, logits))}
  assert dtypes == {jnp.dtype('float32')}
