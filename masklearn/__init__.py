"""What should a language model mask?

import masklearn as ml

  ml.mask_texts(['Oslo is in Norway.'], 'salient')   what a policy hides
  ml.POLICIES, ml.TASKS                              policies and tasks, by name
  ml.run_study(config, 'runs/mine')                  from corpus to results
  ml.write_report('runs/mine')                       results to a page

Everything is loaded when it is first used: importing costs nothing.
"""

import importlib

__version__ = '0.1.0'

# Name -> the module that defines it.
_PUBLIC = {
  'Example': 'types',
  'InputError': 'types',
  'POLICIES': 'policies',
  'Passage': 'types',
  'Policy': 'types',
  'TASKS': 'tasks',
  'load_model': 'models.pretrained',
  'load_policy': 'policies',
  'mask_texts': 'masking.texts',
  'run_study': 'study',
  'write_report': 'report',
}
_ROOMS = (
  'data', 'evaluation', 'io', 'masking', 'meta', 'models', 'policies', 'report',
  'study', 'tasks', 'text', 'training', 'types',
)  # fmt: skip
# Earlier names of modules.
_ALIASES = {'objective': 'training.corruption'}

__all__ = ['__version__', *_PUBLIC, *_ROOMS]


def __getattr__(name: str):
  if name in _PUBLIC:
    return getattr(importlib.import_module(f'masklearn.{_PUBLIC[name]}'), name)
  if name in _ROOMS or name in _ALIASES:
    return importlib.import_module(f'masklearn.{_ALIASES.get(name, name)}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
  return sorted({*globals(), *__all__})
