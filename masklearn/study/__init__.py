"""Policies x tasks x seeds at equal budgets: planned, run, and written down."""

from masklearn.io import lazy

_OWNERS = {'Study': 'run', 'run_study': 'start'}
__all__ = ['Study', 'run_study']
__getattr__ = lazy.attach(__name__, _OWNERS)
