"""Command lines, right and wrong, as the thin mains see them."""

import subprocess
import sys

import pytest

from experiments import app
from masklearn.data import CORPORA
from masklearn.models import MODELS
from masklearn.policies import POLICIES
from masklearn.study.config import RENAMED, UNITS
from masklearn.tasks import TASKS
from masklearn.types import InputError
from tests import runs
from tests.test_imports import ROOT, SLOW

CONFIG = """
from ml_collections import config_dict


def get_config(arg='default'):
  if arg not in ('default', 'smoke'):
    raise ValueError(f'unknown variant {arg!r}; choose from default, smoke')
  c = config_dict.ConfigDict()
  c.seeds = (0, 1)
  c.tasks = ('civics',)
  c.pretrain = config_dict.create(updates=300, lr=1e-3, resume=True)
  c.finetune = config_dict.create(updates=2 if arg == 'smoke' else 40, name='adam')
  return c
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
  """Returns `call(main, *arguments) -> (exit code, stdout, stderr)` beside a config."""
  (tmp_path / 'world.py').write_text(CONFIG)
  monkeypatch.chdir(tmp_path)
  return lambda *arguments: (runs.command(*arguments), *capsys.readouterr())


@pytest.fixture
def stage(command):
  """Returns `call(*arguments) -> (what main got, exit code, stderr)` for a stage."""

  def call(*arguments):
    got = {}

    def main(config, workdir):
      got.update(config=config, workdir=workdir)

    code, _, message = command(main, *arguments)
    return got, code, message

  return call


def test_main_gets_a_locked_config_and_the_directory(stage):
  """The file's values arrive, and a main cannot add keys by a slip of the pen."""
  got, code, message = stage('--config=world.py', '--workdir=runs/a')
  assert (code, message) == (0, '')
  assert got['workdir'] == 'runs/a'
  assert got['config'].finetune.updates == 40
  with pytest.raises(AttributeError, match='updats'):
    got['config'].finetune.updats = 1
  got, _, _ = stage('--config=world.py:smoke', '--workdir=d')  # the variant's argument
  assert got['config'].finetune.updates == 2


def test_overrides_keep_the_types_of_the_file(stage):
  """Numbers, booleans, strings and tuples are parsed as what they replace."""
  got, code, message = stage(
    '--config.pretrain.updates=7',  # before --config: the order does not matter
    '--config=world.py', '--config.pretrain.lr=1', '--noconfig.pretrain.resume',
    '--config.finetune.name', 'sgd', '--config.seeds=(3, 4, 5)',
    '--config.tasks=geography', '--workdir=d',
  )  # fmt: skip
  assert (code, message) == (0, '')
  c = got['config']
  assert c.pretrain.to_dict() == {'updates': 7, 'lr': 1.0, 'resume': False}
  assert (c.finetune.name, c.seeds, c.tasks) == ('sgd', (3, 4, 5), ('geography',))


@pytest.mark.parametrize(
  ('argument', 'expected'),
  [
    ('--config.finetune.updats=3', 'updats: no such key; nearest: finetune.updates'),
    ('--config.updates=3', 'nearest: finetune.updates, pretrain.updates, '),
    ('--config.finetune=3', '--config.finetune: no such key; nearest: finetune.'),
    ('--config.finetune.updates=many', '--config.finetune.updates=many: invalid'),
    ('--config.finetune.updates=1.5', '--config.finetune.updates=1.5: invalid'),
    ('--config.finetune.updates', 'Missing value for flag --config.finetune.updates'),
    ('--config.pretrain.resume=maybe', '--config.pretrain.resume=maybe: '),
    ('--confg.seeds=1', '--confg: no such flag; nearest: --config'),
    ('--wrokdir=d', '--wrokdir: no such flag; nearest: --workdir'),
    ('leftover', "'leftover': not a flag"),
    ('--config=word.py', '--config=word.py: no such Python file; nearest: world.py'),
    ('--config=nowhere/world.py', '--config=nowhere/world.py: no such Python file'),
    ('--config=world.py:smok', "unknown variant 'smok'; choose from default, smoke"),
    ('--workdir=', '--workdir: required, and not given'),
  ],
)
def test_a_mistake_is_one_line_and_exit_code_2(stage, argument, expected):
  """Whatever is wrong with the command line, main is not called."""
  got, code, message = stage('--config=world.py', '--workdir=d', argument)
  assert (got, code) == ({}, 2)
  assert message.startswith('error: ')
  assert message.count('\n') == 1
  assert expected in message


@pytest.mark.parametrize(('old', 'new'), RENAMED.items())
def test_a_renamed_key_is_refused_with_its_new_name(stage, old, new):
  """Whatever the config has that is spelled alike."""
  got, code, message = stage('--config=world.py', '--workdir=d', f'--config.{old}=3')
  assert (got, code) == ({}, 2)
  assert (
    message
    == f'error: --config.{old}: renamed; use --config.{new}{UNITS.get(new, "")}\n'
  )


def test_required_flags_must_be_given(stage):
  """Without a work directory, or without a config, nothing starts."""
  for given, missing in (('config=world.py', 'workdir'), ('workdir=d', 'config')):
    said = f'error: --{missing}: required, and not given\n'
    assert stage(f'--{given}') == ({}, 2, said)


def test_a_file_that_cannot_give_the_config_is_named(stage, tmp_path):
  """A Python file that is no config, or has no variants, says so."""
  (tmp_path / 'empty.py').write_text('x = 1\n')
  (tmp_path / 'plain.py').write_text('def get_config(): pass\n')
  for name, problem in (
    ('empty.py', 'the file defines no get_config'),
    ('plain.py:smoke', 'the file has no variants'),
  ):
    said = f'error: --config={name}: {problem}\n'
    assert stage(f'--config={name}', '--workdir=d') == ({}, 2, said)


def test_input_error_of_main_is_one_line(command):
  """What main raises about the user's input is shown without a traceback."""

  def main(workdir):
    raise InputError(f'{workdir}: the corpus is empty')

  assert command(main, '--workdir=d') == (2, '', 'error: d: the corpus is empty\n')


def test_other_errors_keep_their_traceback():
  """A bug of ours is not dressed up as a mistake of the user."""

  def main(workdir):
    raise ValueError(workdir)

  with pytest.raises(ValueError, match='d'):
    app.run(main, ['command', '--workdir=d'])


def test_interrupt_says_how_to_go_on(command):
  """Control-C ends with the shell's code and one line."""

  def main(workdir):
    raise KeyboardInterrupt

  code, _, message = command(main, '--workdir=d')
  assert code == 130
  assert message == 'interrupted: the same command continues from here\n'


def test_every_parameter_of_main_is_a_flag(command):
  """Mains without a config name their own flags; a default makes one optional."""
  got = []

  def main(policy, html='none'):
    got.append((policy, html))

  assert command(main, '--policy=salient')[0] == 0
  assert command(main, '--policy=salient', '--html', 'a.html')[0] == 0
  assert got == [('salient', 'none'), ('salient', 'a.html')]
  code, _, message = command(main, '--policy=salient', '--config.seed=1')
  assert (code, message) == (2, 'error: --config: no such flag; nearest: --policy\n')


def test_help_lists_flags_configs_and_names(command):
  """Help needs no other flag and calls nothing."""

  def main(config, workdir, html='none'):
    raise AssertionError(config, workdir, html)

  code, text, message = command(main, '--help')
  assert (code, message) == (0, '')
  assert text.startswith(__doc__.strip())
  for said in ('--workdir ', "default 'none'", 'configs/world.py[:smoke|literal|'):
    assert said in text
  for name in (*POLICIES, *TASKS, *CORPORA, *MODELS):
    assert name in text


@pytest.mark.parametrize(
  ('command', 'argument', 'exit_code'),
  [
    *((name, '--help', 0) for name in ('convert', 'mask', 'recall', 'score', 'study')),
    ('study', '--confg=x', 2),
    ('study', '--config.policy.rat=1', 2),
    ('study', '--config.policy.rate=2', 2),
    ('study', '--config.task.names=civic', 2),
    ('recall', '--config.task.names=civic', 2),
  ],
)
def test_help_and_mistakes_do_not_wait_for_jax(command, argument, exit_code):
  """Nothing that takes seconds to load is loaded before they are said."""
  arguments = ['--config=configs/world.py', '--workdir=d', argument]
  code = (
    'import sys\n'
    f'from experiments import app, {command} as command\n'
    f'try: app.run(command.main, ["command", *{arguments!r}])\n'
    f'finally: print([m for m in {SLOW!r} if m in sys.modules], file=sys.stderr)\n'
  )
  found = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
  )
  assert found.returncode == exit_code, found.stderr
  assert found.stderr.endswith('[]\n'), found.stderr
