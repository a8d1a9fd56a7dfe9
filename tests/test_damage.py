"""Files of a work directory that are missing, cut off, or something else."""

import collections
import os
import pathlib
import random
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import config_dict

from masklearn import policies
from masklearn.data import array_files
from masklearn.io import checkpoint, checksums, files, workdir
from masklearn.policies import checkpoint as policy_files
from masklearn.study import setup, stage
from masklearn.training import mesh
from masklearn.types import InputError
from tests.small import slow_case

CONFIG = config_dict.create(seed=0, corpus={'size': 6})
SPEC = policies.describe_policy(
  'learned', 0.2, vocab_size=40, longest=3, width=4, embedding=5
)
POLICY = policies.make_policy(SPEC)
PARAMS = {'a': jnp.arange(6.0), 'b': {'c': jnp.ones((2, 3))}}
THETA = jax.tree.map(
  lambda x: jnp.full(x.shape, 0.5, x.dtype),
  jax.eval_shape(lambda: POLICY.init(jax.random.key(0))),
)
DAMAGES = {
  'missing': lambda content, rng: None,
  'empty': lambda content, rng: b'',
  'cut': lambda content, rng: content[: len(content) // 2],
  'junk': lambda content, rng: b'\xff\x00junk',
  'list': lambda content, rng: b'[1, 2]\n',
  'flipped': lambda content, rng: flipped(content, rng),
  'directory': lambda content, rng: ...,
}


def flipped(content, rng):
  """One bit of one byte is another."""
  changed = bytearray(content)
  changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
  return bytes(changed)


def damage(path, kind, rng):
  """Puts something else in place of a file."""
  content = DAMAGES[kind](path.read_bytes(), rng)
  path.unlink()
  if content is ...:
    path.mkdir()
  elif content is not None:
    path.write_bytes(content)


def staged(directory, name='', tree=None):
  """A stage that trains nothing: what it hands over."""
  done = stage.finished(directory, name)
  if done:
    return done
  directory.mkdir(parents=True, exist_ok=True)
  files.write_jsonl(directory / 'history.jsonl', [{'step': 1, 'loss': 0.5}])
  for part in ('', 'lr-1'):
    with checkpoint.Checkpoints(directory / part / 'checkpoints') as checkpoints:
      checkpoints.save(1, {'x': jnp.ones(3)})
  if not name:
    files.write_jsonl(directory / 'predictions.jsonl', [{'id': 'q', 'output': []}])
  return stage.finish(directory, {'seconds': 1.0, 'score': 0.25}, name, tree)


def study(directory):
  """Makes what is left of a small study without training; all that it holds."""
  with workdir.held(directory, CONFIG, last='study.json') as finished:
    if not finished:
      corpus = setup.prepare(
        directory / 'corpus', seed=0, name='people', size=6, copies=1, longest=120,
        tokenizer='', vocabulary=270, model={'name': 'bart', 'size': 'tiny'},
      )  # fmt: skip
      units = setup.units(directory / 'corpus', corpus.passages)
      batch = array_files.load_or_encode(
        directory / 'corpus' / 'encoded', directory / 'corpus' / setup.TOKENS,
        corpus.passages, corpus.tokenizer, 'none', {'t': frozenset()}, 120, units,
      )['t']  # fmt: skip
      base, policy = (
        directory / 'base' / '0',
        directory / 'policies' / 'learned-t' / '0',
      )
      staged(base, 'params', PARAMS)
      staged(policy, 'theta', THETA)
      policies.complete_policy(policy, SPEC, corpus.tokenizer)
      tuned = staged(directory / 'finetune' / 't' / 'none-spans' / '0')
      for path, like in ((base / 'params', PARAMS), (policy / 'theta', THETA)):
        tree = stage.saved(path, like, mesh.one_device()).read()
        jax.tree.map(np.testing.assert_array_equal, tree, like)
      total = sum(int(np.sum(np.asarray(field))) for field in batch)
      found = {'score': tuned['score'], 'tokens': total, 'words': len(corpus.passages)}
      files.write_jsonl(directory / 'results.jsonl', [found])
      checksums.seal(directory / 'study.json', {'config': ''}, ['results.jsonl'])
  (row,) = files.read_jsonl(directory / 'results.jsonl')
  return row


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A small study that was never damaged."""
  directory = tmp_path_factory.mktemp('damage') / 'whole'
  study(directory)
  return directory


def until_it_goes_on(directory, want, rng):
  """Does what each refusal says; how often that was."""
  for refused in range(3):
    said = refusal(directory, want)
    if not said:
      return refused
    assert '\n' not in said
    # The last, as that of the whole contains those of its parts.
    place = re.findall(r'Remove (\S+) to make it again', said)[-1]
    assert os.path.lexists(place), said
    assert pathlib.Path(place) != directory, 'all would be lost'
    remove(place)
  raise AssertionError('it does not go on')


def refusal(directory, want):
  """What the study says; '' where it gives the same rows."""
  try:
    found = study(directory)
  except InputError as error:
    return str(error)
  assert found == want
  return ''


def remove(place):
  """What somebody does who is told to."""
  shutil.rmtree(place) if os.path.isdir(place) else os.unlink(place)


@pytest.mark.parametrize(
  'share', [23, slow_case(5), pytest.param(1, marks=pytest.mark.grid)]
)
def test_damage_is_named_and_the_next_run_goes_on(whole, tmp_path, share):
  """Every kind of file in every state: one line or nothing, and then the same rows."""
  rng, want, found = random.Random(0), study(whole), collections.Counter()
  made = [path.relative_to(whole) for path in sorted(whole.rglob('*'))]
  cases = [(p, kind) for p in made if (whole / p).is_file() for kind in DAMAGES]
  assert len(cases) > 250
  for number, (path, kind) in enumerate(cases):
    if number % share:
      continue
    directory = tmp_path / 'damaged'
    shutil.copytree(whole, directory)
    if path.parent != pathlib.Path():  # the rest is looked at in a finished one, too
      (directory / 'study.json').unlink()
    damage(directory / path, kind, rng)
    found[until_it_goes_on(directory, want, rng)] += 1
    shutil.rmtree(directory)
  print(f'{found.total()} cases: {dict(found)} by number of refusals')
  assert found[1] > found.total() / 2
  assert found.total() == len(range(0, len(cases), share))


def test_a_flipped_bit_in_parameters_is_refused(whole, tmp_path):
  """Anywhere in what any stage or policy hands over."""
  rng = random.Random(1)
  for folder in ('base/0/params', 'policies/learned-t/0/theta'):
    name, like = folder.rpartition('/')[2], THETA if 'theta' in folder else PARAMS
    stored = [
      path
      for path in (whole / folder).rglob('*')
      if path.is_file() and path.name != checksums.NAME
    ]
    stored = max(stored, key=lambda path: path.stat().st_size).relative_to(whole)
    for number in range(6):
      directory = tmp_path / f'{name}-{number}'
      shutil.copytree(whole / folder, directory / folder)
      damage(directory / stored, 'flipped', rng)
      with pytest.raises(InputError, match=re.escape(f'{stored} is damaged: its SHA')):
        checkpoint.restore(directory / folder, like)


def test_what_is_not_needed_any_more_is_removed(whole, tmp_path):
  """Checkpoints go when a stage is done, and those that a kill left later."""
  assert not list(whole.rglob('checkpoints'))
  directory = tmp_path / 'a'
  shutil.copytree(whole, directory)
  (directory / 'study.json').unlink()
  left = directory / 'base' / '0' / 'lr-1' / 'checkpoints' / '7'
  left.mkdir(parents=True)
  study(directory)
  assert not left.parent.exists()
  # A stage that is not finished keeps them.
  shutil.copytree(whole / 'base', tmp_path / 'b')
  (tmp_path / 'b' / '0' / 'done.json').unlink()
  (tmp_path / 'b' / '0' / 'checkpoints').mkdir()
  assert stage.finished(tmp_path / 'b' / '0', 'params') is None
  assert (tmp_path / 'b' / '0' / 'checkpoints').exists()


def test_directories_of_earlier_versions_are_read(whole, tmp_path):
  """Those without checksums, of a study and of a policy."""
  shutil.copytree(whole, tmp_path / 'a')
  for path in list((tmp_path / 'a').rglob(checksums.NAME)):
    path.unlink()
  (tmp_path / 'a' / 'study.json').unlink()
  assert study(tmp_path / 'a') == study(whole)
  folder = tmp_path / 'a' / 'policies' / 'learned-t' / '0'
  assert checksums.read(folder).keys() == {'policy.json', 'tokenizer.json'}


@pytest.mark.parametrize('change', [{'width': -1}, {'width': 0}, {'longest': 'x'}])
def test_a_policy_of_impossible_sizes_is_refused(whole, tmp_path, change):
  """In one line that names policy.json."""
  folder = tmp_path / 'policy'
  shutil.copytree(whole / 'policies' / 'learned-t' / '0', folder)
  files.write_json(folder / 'policy.json', SPEC | {'vocab_size': 270} | change)
  with pytest.raises(InputError, match=r'policy\.json'):
    policy_files.load_policy(folder)


def test_a_line_that_is_taken_out_is_not_checked(whole, tmp_path):
  """Nor is a file that is not listed; sums of another form are refused."""
  folder = tmp_path / 'a'
  shutil.copytree(whole / 'finetune', folder)
  (path,) = folder.rglob(checksums.NAME)
  (path.parent / 'history.jsonl').write_text('')
  with pytest.raises(InputError, match=r'history\.jsonl is damaged'):
    stage.finished(path.parent)
  lines = path.read_text().splitlines(keepends=True)
  path.write_text(''.join(line for line in lines if 'history' not in line))
  assert stage.finished(path.parent)
  path.write_text('d41d8cd98f00b204e9800998ecf8427e  done.json\n')  # MD5
  with pytest.raises(InputError, match='those of sha256sum'):
    stage.finished(path.parent)
