"""Policies x tasks x seeds at equal budgets: planned, run, and written down."""

from masklearn.study.run import Study as Study
from masklearn.study.run import run_study as run_study
