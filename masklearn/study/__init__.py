"""Policies x tasks x seeds at equal budgets: what to do, doing it, and what it leaves."""

from masklearn.study.run import Study as Study
from masklearn.study.run import run_study as run_study
