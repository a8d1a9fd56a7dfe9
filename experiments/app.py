"""Turns a command line into the call of a main, and a mistake into one line."""

import contextlib
import difflib
import functools
import importlib.util
import inspect
import operator
import os
import pathlib
import re
import sys

from absl import flags, logging
from ml_collections import config_dict, config_flags

from experiments import usage
from masklearn.io import bucket, compiled, disk, hosts, memory, mirror
from masklearn.io.lookup import nearest
from masklearn.io.paths import check_local
from masklearn.io.visible import one_line
from masklearn.study.config import new_name
from masklearn.types import InputError

ADDRESSES = ('study.scheduler',)  # keys of a config that may be URLs


def run(main, argv=None, huge_pages=False, keep_programs=False):
  """Calls `main` with a flag for each of its parameters, then exits.

  A parameter without a default is a required flag. All are strings but
  `config`: it names a file with `get_config`, may carry a variant after a
  colon, and arrives as a locked ConfigDict with every `--config.key=value`
  applied, or as the '' of its default. `--help` prints `usage.text`.

  Args:
    main: function of named parameters, such as `main(config, workdir)`.
    argv: program name and arguments; `sys.argv` if None.
    huge_pages: whether it computes for long; see `memory.huge_pages`.
    keep_programs: whether it compiles for long what it will need again; see
      `compiled.keep`.

  Raises:
    SystemExit: always; 0 when main returns, 2 with one line on stderr when the
      user's input cannot be used, 130 after an interrupt.
  """
  logging.set_verbosity(logging.WARNING)
  try:
    arguments = _parse(main, sys.argv if argv is None else argv)
    if arguments is None:
      print(usage.text(main))
      sys.exit(0)
    if huge_pages and argv is None:
      memory.huge_pages()  # starts again, so what is wrong has been said before
    if keep_programs and argv is None:
      compiled.keep()
    memory.keep()
    with _placed(arguments) as placed:
      main(**placed)
  except (InputError, flags.Error) as error:
    _fail(str(error))
  except OSError as error:
    if error.filename is None:  # not about a file that the user named: a bug of ours
      raise
    _fail(disk.explain(error))
  except KeyboardInterrupt:
    print('interrupted: the same command continues from here', file=sys.stderr)
    sys.exit(130)
  sys.exit(0)


@contextlib.contextmanager
def _placed(arguments):
  """The arguments with a work directory on this machine, and not in a bucket."""
  workdir, config = arguments.get('workdir', ''), arguments.get('config')
  if not workdir.startswith(bucket.SCHEME):
    yield arguments
    return
  if config and 'mesh' in config:
    scheduler = config.study.scheduler
    joined = hosts.arguments(config.mesh.processes, os.environ)
    if joined is not None or scheduler.startswith(('tcp:', 'slurm:')):
      raise InputError(
        f'--workdir={workdir} is copied to one machine; several need a directory that '
        'all of them see, such as a mounted bucket.'
      )
  with mirror.copied(workdir) as local:
    yield {**arguments, 'workdir': local}
  print(f'all of it is in {workdir}')


def _fail(message):
  print('error:', one_line(' '.join(message.split())), file=sys.stderr)
  sys.exit(2)


def _parse(main, argv):
  """Returns main's arguments by name, or None if the user asks for help."""
  parameters = inspect.signature(main).parameters
  values = flags.FlagValues()
  values.set_gnu_getopt(True)  # flags may follow the value of `--config.key value`
  flags.DEFINE_bool('help', False, '', values, short_name='h')
  for name, parameter in parameters.items():
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    flags.DEFINE_string(name, default, '', values)
  rest = values(argv, known_only=True)

  if values.help:
    return None
  for argument in rest[1:]:
    name = re.match(r'--?([a-zA-Z][^.=]*)', argument)
    if name and not ('config' in parameters and _override(argument)):
      near = nearest(name[1], parameters)
      raise InputError(f'--{name[1]}: no such flag; nearest: --{near}')
  for name, parameter in parameters.items():
    if parameter.default is parameter.empty and not values[name].value:
      raise InputError(f'--{name}: required, and not given')
  arguments = {name: values[name].value for name in parameters}
  for name, value in arguments.items():
    if name == 'workdir':
      mirror.check(value)
    else:
      check_local(value, f'--{name}')
  if arguments.get('config'):
    arguments['config'], rest = _apply(rest, _load(arguments['config']))
  if rest[1:]:
    raise InputError(f'{rest[1]!r}: not a flag')
  return arguments


def _override(argument):
  """Returns the key that `--config.key=value` sets, or None for another argument."""
  match = re.match(r'--?(?:no)?config\.([^=]*)', argument)
  return match and match[1]


def _load(name):
  """Returns the config of a `FILE[:variant]`, locked."""
  name, *variant = name.split(':', 1)
  path = pathlib.Path(name)
  spec = importlib.util.spec_from_file_location('config', path)
  if not path.is_file() or spec is None:
    there = [str(p) for p in path.parent.glob('*.py')]
    hint = f'; nearest: {nearest(name, there)}' if there else ''
    raise InputError(f'--config={name}: no such Python file{hint}')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if not hasattr(module, 'get_config'):
    raise InputError(f'--config={name}: the file defines no get_config')
  if variant and not inspect.signature(module.get_config).parameters:
    raise InputError(f'--config={name}:{variant[0]}: the file has no variants')
  try:
    return module.get_config(*variant).lock()
  except ValueError as error:
    raise InputError(f'--config={":".join([name, *variant])}: {error}') from error


def _apply(argv, config):
  """Returns `config` with the overrides in `argv` applied, and what is left of argv."""
  leaves = list(_leaves(config))
  for key in filter(None, map(_override, argv)):
    if key not in leaves:
      raise InputError(f'--config.{key}: {_advice(key, leaves)}')
  values = flags.FlagValues()
  values.set_gnu_getopt(True)
  config_flags.DEFINE_config_dict('config', config, '', values, sys_argv=argv)
  rest = values(argv)
  for key in leaves:
    value = functools.reduce(operator.getitem, key.split('.'), values.config)
    if isinstance(value, str) and key not in ADDRESSES:
      check_local(value, f'--config.{key}')
  return values.config, rest


def _leaves(config, prefix=''):
  """Yields every dotted key of `config` that holds a value."""
  for name, value in config.items():
    if isinstance(value, config_dict.ConfigDict):
      yield from _leaves(value, f'{prefix}{name}.')
    else:
      yield prefix + name


def _advice(key, keys):
  """Returns the new name of a key, or the three of `keys` that are most like it.

  By the whole and by the last part.
  """
  if new_name(key):
    return f'renamed; use --config.{new_name(key)}'

  def likeness(other):
    pairs = (key, other), (key.split('.')[-1], other.split('.')[-1])
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

  near = sorted(keys, key=likeness, reverse=True)[:3]
  return f'no such key; nearest: {", ".join(near)}'
