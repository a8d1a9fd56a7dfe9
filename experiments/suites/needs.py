"""What a training step of BART needs of memory, as XLA tells it of a compiled one."""

import jax
import jax.numpy as jnp
import optax

from experiments.suites import shapes
from masklearn import losses, models, sharding, steps
from masklearn.types import Corrupted

SOURCE = TARGET = 128


def measure(size, rows, remat, chunk, device=None) -> dict[str, int]:
  """Bytes of arguments and of temporaries, on `device` or on this machine's own."""
  model = shapes.make_model('bart', size, dropout=0.1, remat=remat)
  tx = optax.adamw(1e-4)
  step = steps.make_step(losses.make_token_loss(model, chunk=chunk), tx)
  tokens = jnp.zeros((rows, SOURCE), jnp.int32)
  batch = Corrupted(tokens, tokens == 0, tokens, tokens, jnp.zeros((rows, TARGET)))

  def state(key):
    return steps.init_state(models.init_params(model, key), tx)

  key = jax.eval_shape(lambda: jax.random.key(0))
  arguments = jax.eval_shape(state, key), key, batch
  place = None if device is None else sharding.on(device)
  arguments = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), arguments
  )
  needs = jax.jit(step, donate_argnums=0).lower(*arguments).compile().memory_analysis()
  return {
    'argument_bytes': needs.argument_size_in_bytes,
    'temp_bytes': needs.temp_size_in_bytes,
  }
