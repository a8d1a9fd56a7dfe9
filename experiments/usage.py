"""What a command takes, for `--help`: its flags, the configs, and the known names."""

import ast
import inspect
import pathlib
import sys
import textwrap

from masklearn import data, models, policies, tasks

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs'


def text(main) -> str:
  """The docstring of main's module, its flags, and the names that a config takes.

  Args:
    main: see `app.run`.
  """
  parameters = inspect.signature(main).parameters
  lines = [inspect.getdoc(sys.modules[main.__module__]) or '', '', 'Flags:']
  for name, parameter in parameters.items():
    required = parameter.default is parameter.empty
    default = 'required' if required else f'default {parameter.default!r}'
    lines.append(f'  --{name:<14} {default}')
  if 'config' in parameters:
    lines += ['  --config.KEY=VALUE  changes a field of the config', '', 'Configs:']
    lines += [f'  {name}' for name in _configs()]
    known = {
      'config.policy.names': policies.POLICIES,
      'config.task.names': tasks.TASKS,
      'config.corpus.name': data.CORPORA,
      'config.model.name': models.MODELS,
    }
    lines += ['', 'Names:']
    for key, names in known.items():
      lines += textwrap.wrap(
        f'{key}: {", ".join(names)}', 86, initial_indent='  ', subsequent_indent='    '
      )
  return '\n'.join(lines)


def _configs():
  """Every file of configs/ with its variants; read, not run."""
  for path in sorted(CONFIGS.glob('*.py')):
    variants = ()
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
      if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'VARIANTS':
        variants = ast.literal_eval(node.value)
    named = '|'.join(filter(None, variants))
    yield f'configs/{path.name}' + (f'[:{named}]' if named else '')
