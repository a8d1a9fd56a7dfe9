"""A masking policy on disk, whole: what it is, what it has learned, and its tokens.

  DIR/policy.json      the name, the rate and the other arguments of the policy
  DIR/theta            its parameters; missing where there is nothing to learn
  DIR/tokenizer.json   what it reads passages with
  DIR/SHA256SUMS       the checksums of the others; earlier versions wrote none

A directory needs no other file, and can be moved. Policy learning leaves one for each
task and seed, WORKDIR/policies/POLICY-TASK/SEED, with other files in it.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from masklearn import text
from masklearn.io import checkpoint, checksums, files
from masklearn.io.lookup import lookup
from masklearn.models.sizes import BertConfig
from masklearn.policies.table import POLICIES
from masklearn.types import InputError, Policy

# Whose checksums are beside them; `theta` has its own.
FILES = 'policy.json', 'tokenizer.json', 'theta/SHA256SUMS'
# The fields of policy.json that are no arguments of the policy.
_ABOUT = ('name', 'annotator')
# What arguments were called by earlier versions.
_EARLIER = {'reach': 'kernel_size', 'top': 'top_k'}


class SavedPolicy(NamedTuple):
  """A policy, its parameters, its tokenizer, and what policy.json says."""

  policy: Policy
  theta: Any
  tokenizer: text.Tokenizer
  spec: dict[str, Any]


def describe_policy(
  name: str, rate: float, annotator: str = 'rules', **options
) -> dict:
  """What policy.json says of a policy: values that JSON has.

  Args:
    name: of `POLICIES`.
    rate: share of a passage's words to hide.
    annotator: who finds the salient spans of the passages that it is used on.
    **options: its other arguments, such as `vocab_size`, `longest`, `encoder`, `bert`
      or how spans are drawn; no arrays.
  """
  if dataclasses.is_dataclass(options.get('bert')):
    options['bert'] = dataclasses.asdict(options['bert'])
  return {'name': name, 'rate': rate, 'annotator': annotator, **options}


def make_policy(spec: Mapping[str, Any], **more) -> Policy:
  """The policy that `describe_policy` has described.

  Args:
    spec: what policy.json says.
    **more: arguments that JSON cannot hold, such as `start` or `reference`.

  Raises:
    InputError: an unknown name, or arguments that the policy does not take.
  """
  new = lookup(POLICIES, spec['name'], 'policy')
  options = {_EARLIER.get(k, k): v for k, v in spec.items() if k not in _ABOUT}
  if options.get('bert'):
    options['bert'] = BertConfig(**options['bert'])
  try:
    return new(**options, **more)
  except TypeError as error:
    raise InputError(f'The policy {spec["name"]!r} cannot be made: {error}.') from error


def save_policy(
  directory: str | os.PathLike,
  spec: Mapping[str, Any],
  theta: Any,
  tokenizer: text.Tokenizer,
) -> None:
  """Writes a new directory, whole or not at all.

  Raises:
    InputError: there is something already.
  """
  with files.new_directory(directory) as partial:
    if jax.tree.leaves(theta):
      checkpoint.save(partial / 'theta', theta)
    complete_policy(partial, spec, tokenizer)


def complete_policy(
  directory: str | os.PathLike, spec: Mapping[str, Any], tokenizer: text.Tokenizer
) -> None:
  """Writes what a directory that has `theta` lacks; nothing where it is complete.

  Raises:
    InputError: it is complete, and policy.json or tokenizer.json is damaged.
  """
  directory = pathlib.Path(directory)
  path = directory / 'policy.json'
  if not path.exists():
    tokenizer.save(directory / 'tokenizer.json')
    # Last: its presence says that all is there.
    files.write_json(path, dict(spec))
  if path.name not in checksums.read(directory):
    checksums.add(directory, [name for name in FILES if (directory / name).exists()])
  with files.remade(path):
    checksums.check(directory, FILES)


def load_policy(
  directory: str | os.PathLike, rate: float | None = None, **more
) -> SavedPolicy:
  """The policy of a directory, with the scores of the one that was saved, to the bit.

  Args:
    directory: the directory.
    rate: in place of the saved one.
    **more: as in `make_policy`.

  Raises:
    InputError: says what is missing, or what does not fit what.

  >>> load_policy('nowhere')
  Traceback (most recent call last):
  masklearn.types.InputError: nowhere is no directory of a policy: it does not exist.
  """
  directory = pathlib.Path(directory)
  _check_files(directory)
  path = directory / 'policy.json'
  try:
    spec = files.read_object(path, ['name']) | ({} if rate is None else {'rate': rate})
    policy = make_policy(spec, **more)
    like = jax.eval_shape(lambda: policy.init(jax.random.key(0)))
  except Exception as error:  # whatever a network raises of an impossible size
    said = str(error) or type(error).__name__
    raise InputError(f'{path} cannot be used: {said}') from error
  checksums.check(directory, FILES[1:])
  tokenizer = text.load_tokenizer(directory / 'tokenizer.json')
  if spec.get('vocab_size', tokenizer.size) != tokenizer.size:
    raise InputError(
      f'{path} is of a vocabulary of {spec["vocab_size"]} tokens, but tokenizer.json '
      f'beside it has {tokenizer.size}; they do not belong together.'
    )
  if not jax.tree.leaves(like):
    checksums.check(directory, FILES)
    return SavedPolicy(policy, like, tokenizer, spec)
  if not (directory / 'theta').is_dir():
    raise InputError(
      f'{directory} has no theta, the parameters that the policy {spec["name"]!r} has '
      'learned.'
    )
  try:
    theta = checkpoint.restore(directory / 'theta', like)
  except (ValueError, OSError) as error:
    wrong = f'{directory / "theta"} does not fit policy.json beside it: {error}'
    raise InputError(wrong) from error
  # Last, as what is wrong with values that somebody has edited says more.
  checksums.check(directory, FILES)
  return SavedPolicy(policy, theta, tokenizer, spec)


def _check_files(directory):
  if not directory.is_dir():
    raise InputError(f'{directory} is no directory of a policy: it does not exist.')
  names = 'policy.json', 'tokenizer.json'
  missing = ' and '.join(name for name in names if not (directory / name).is_file())
  if missing:
    inside = sorted(p.parent for p in directory.glob('**/policy.json'))
    hint = f' The nearest that is one: {inside[0]}.' if inside else ''
    raise InputError(
      f'{directory} is no directory of a policy: {missing} missing.{hint}'
    )
