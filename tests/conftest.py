"""Makes every test strict, and lets the CPU stand for eight devices."""

import gc
import os
import pathlib

import pytest

# Both are read when jax starts its backend, so they come before its import.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
flags = os.environ.get('XLA_FLAGS', '')
if 'host_platform_device_count' not in flags:
  flags += ' --xla_force_host_platform_device_count=8'
if 'backend_optimization_level' not in flags:
  # Tests compile far more than they run: no LLVM optimization, no MLIR for each fusion,
  # no threads that split what is small already. Together half the processor time.
  flags += ' --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false'
  flags += ' --xla_cpu_parallel_codegen_split_count=1'
os.environ['XLA_FLAGS'] = flags.strip()

import jax  # noqa: E402

jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')


# Tracing makes millions of small objects, few of them in reference cycles: the search
# for these took a tenth of the time.
gc.set_threshold(200_000, 20, 100)


def pytest_configure(config):
  """Keeps compiled programs between runs: compiling is most of the suite's time."""
  try:
    cache = config.cache.mkdir('jax')
  except (AttributeError, OSError):  # no cache plugin, or a read-only checkout
    return
  jax.config.update('jax_compilation_cache_dir', str(cache))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def pytest_collection_modifyitems(items):
  """Files that take minutes come first, so that one process does not end long after."""
  long = {'factbook', 'meta', 'published_configs', 'study', 'unroll'}
  items.sort(key=lambda item: item.path.stem.removeprefix('test_') not in long)


@pytest.fixture(autouse=True, scope='module')
def few_programs():
  """Drops compiled programs, between files of tests, once there are thousands.

  Each is mapped into memory several times, and Linux allows a process 65,530 maps;
  beyond these the compiler crashes.
  """
  yield
  maps = pathlib.Path('/proc/self/maps')
  if maps.exists() and maps.read_bytes().count(b'\n') > 30_000:
    jax.clear_caches()


@pytest.fixture
def float64():
  """Finite differences need more digits than float32 has."""
  with jax.enable_x64(True):
    yield


@pytest.fixture(scope='session')
def shared_data():
  """The folder of source data beside the checkout, which a clone need not have."""
  path = pathlib.Path(__file__).parents[2] / 'shared' / 'data'
  if not path.is_dir():
    reason = f'no source data at {path}'
    if os.environ.get('CI', '').lower() in ('1', 'true'):
      pytest.fail(reason + ', and under CI nothing may be skipped')
    pytest.skip(reason)
  return path
