"""Directories that hold no checkpoint, or a damaged one, and which weights are read."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy

from masklearn.models import checkpoint_files
from masklearn.models.checkpoint_files import INDEX, WEIGHTS
from masklearn.types import InputError

POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n'
PAGE = b'<!DOCTYPE html><html><body>Not found</body></html>'
WHOLE = safetensors.numpy.save({'a': np.ones(2, np.float32)})
HALVES = safetensors.numpy.save({'a': np.ones(2, np.float64)})
QUANTIZED = safetensors.numpy.save({'a': np.ones(2, np.int8)})
GOOD = {'config.json': b'{}', WEIGHTS: WHOLE}


def write(directory, files):
  """Files by name; None leaves one out."""
  for name, content in files.items():
    if content is not None:
      (directory / name).write_bytes(content)
  return directory


def index(**parts):
  """An index of tensors in files."""
  return json.dumps({'weight_map': parts}).encode()


def refused(directory, message):
  """The directory cannot be read, in one line that says why."""
  with pytest.raises(InputError, match=message) as caught:
    checkpoint_files.read(directory, 'AutoModel')
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 500


@pytest.mark.parametrize('name', ['config.json', 'generation_config.json', WEIGHTS])
@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'is empty; expected the whole file'),
    (POINTER, 'is a Git LFS pointer and not the file itself'),
    (PAGE, 'is a web page and not the file'),
    (b'{"a": [1,\n 2', r'(json:2: not JSON, or cut off|is damaged, or cut off)'),
    (bytes(range(256)), '(is not JSON|is damaged, or cut off)'),
    (WHOLE[: len(WHOLE) // 2], '(not JSON|is damaged, or cut off)'),
    (b'{"a": ' + b'9' * 5_000 + b'}', '(is not JSON|is damaged, or cut off)'),
    (b'[' * 100_000, '(not JSON|is damaged, or cut off)'),
    (b'[1, 2]', '(must hold a JSON object, got .1, 2|is damaged, or cut off)'),
  ],
)
def test_what_is_no_such_file_is_refused_by_its_name(tmp_path, name, content, message):
  """Empty, a pointer, a page, cut off, junk, a huge number, too deep, another value."""
  write(tmp_path, {**GOOD, name: content})
  refused(tmp_path, f'{name}.*{message}|{message}')


@pytest.mark.parametrize(
  ('files', 'message'),
  [
    ({}, r'config\.json is missing'),
    ({'config.json': None}, r'config\.json is missing'),
    ({'config.json': b'{}'}, r'not a checkpoint: expected .*; it has config\.json'),
    (
      {'config.json': b'{}', 'pytorch_model.bin': b''},
      r'it has pytorch_model\.bin, a pickle.*python -c .*AutoModel as M.*save_pretr',
    ),
    (
      {'config.json': b'{}', 'pytorch_model.bin.index.json': b'{}'},
      r'it has pytorch_model\.bin\.index\.json, pickles.*save_pretrained',
    ),
    ({'config.json': b'{}', 'tf_model.h5': b''}, "tf_model.h5, TensorFlow's"),
    ({'config.json': b'{}', 'flax_model.msgpack': b''}, "flax_model.msgpack, Flax's"),
    ({'config.json': b'{}', 'adapter_model.safetensors': WHOLE}, 'an adapter and no'),
    ({'config.json': b'{}', 'best.safetensors': WHOLE}, 'not called model.safet'),
    ({**GOOD, WEIGHTS: HALVES}, 'must hold numbers of F32, BF16, F16.*a of F64'),
    ({**GOOD, WEIGHTS: QUANTIZED}, 'a of I8: a quantized model'),
    ({'config.json': b'{}', INDEX: b'[]'}, r'index\.json must hold a JSON object'),
    ({'config.json': b'{}', INDEX: b'{}'}, 'has no weight_map'),
    ({'config.json': b'{}', INDEX: POINTER}, 'index.json is a Git LFS pointer'),
    ({'config.json': b'{}', INDEX: index(a=3)}, 'a file beside it for a, got 3'),
    ({'config.json': b'{}', INDEX: index(a='../x')}, 'beside it for a, got "../x"'),
    (
      {'config.json': b'{}', INDEX: index(a='1', b='2', c='3'), '2': WHOLE},
      r'lacks 2 of the 3 files of .*: 1, 3\.',
    ),
    ({'config.json': b'{}', INDEX: index(a='1'), '1': POINTER}, '1 is a Git LFS poin'),
  ],
)
def test_directories_that_hold_no_checkpoint_are_refused(tmp_path, files, message):
  """What is missing, what is there instead, and what to do."""
  refused(write(tmp_path, files), message)


def test_what_is_no_directory_is_refused(tmp_path):
  """A name that nothing has, a file, and a link to nothing."""
  refused(tmp_path / 'nowhere', 'nowhere is no directory')
  write(tmp_path, GOOD)
  refused(tmp_path / WEIGHTS, 'is no directory')
  (tmp_path / WEIGHTS).unlink()
  (tmp_path / WEIGHTS).symlink_to('gone')
  refused(tmp_path, r'model\.safetensors is missing, a link to nothing: gone')


def test_weights_are_those_that_transformers_takes(tmp_path):
  """The single file, whatever a stale index says; without it those of the index."""
  parts = {'a': '1.safetensors', 'b': '2.safetensors'}
  write(tmp_path, {**GOOD, INDEX: index(**parts)})
  found = checkpoint_files.read(tmp_path, 'AutoModel')
  assert found.hf == found.generation == {}
  np.testing.assert_array_equal(found.tensors['a'], [1, 1])
  (tmp_path / WEIGHTS).unlink()
  refused(tmp_path, 'lacks 2 of the 2 files')
  for value, (name, part) in enumerate(parts.items()):
    dtype = (jnp.bfloat16, jnp.float16)[value]
    safetensors.flax.save_file({name: jnp.full(3, value, dtype)}, tmp_path / part)
  found = checkpoint_files.read(tmp_path, 'AutoModel').tensors
  assert {name: str(x.dtype) for name, x in found.items()} == {
    'a': 'bfloat16',
    'b': 'float16',
  }
  np.testing.assert_array_equal(found['b'].astype(np.float32), [1, 1, 1])


@pytest.mark.parametrize(
  ('names', 'found', 'lost'),
  [
    (['a.w', 'b.w'], ['a.w', 'b.w'], ''),
    (['module.a.w', 'module.b.w'], ['a.w', 'b.w'], 'module.'),
    (['x.module.a.w', 'x.module.c.w'], ['a.w', 'c.w'], 'x.module.'),
    (['a._orig_mod.w', 'b.w'], ['a.w', 'b.w'], '_orig_mod.'),
    (['module.a.w', 'b.w'], ['module.a.w', 'b.w'], ''),
    (['a._orig_mod.w', 'a.w'], ['a._orig_mod.w', 'a.w'], ''),  # two would be one
    (['my_orig_mod.a.w'], ['a.w'], 'my_orig_mod.'),
    (['c.d.w'], ['c.d.w'], ''),
    ([], [], ''),
  ],
)
def test_a_prefix_is_taken_off_where_all_names_have_it(names, found, lost):
  """And where the names without it are known."""
  tensors = dict.fromkeys(names, 0)
  assert checkpoint_files.unwrapped(tensors, ['a.w', 'b.w']) == (
    dict.fromkeys(found, 0),
    lost,
  )
