#!/usr/bin/env bash
# One study whose stages are jobs of their own, WORKERS at a time. This job needs no GPU;
# its workers get what jobqueue.yaml says (docs/scaling.md).
#
#   WORKERS=8 sbatch experiments/launch/slurm_pool.sh \
#     --config=configs/bart_base.py --workdir=/shared/runs/bart
#
#SBATCH --job-name=masklearn-pool
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=7-00:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@180
#SBATCH --open-mode=append
set -uo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
exec experiments/launch/requeue.sh \
  srun --ntasks=1 "$PYTHON" -m experiments.study \
  --config.study.scheduler="slurm:${WORKERS:-4}" "$@"
