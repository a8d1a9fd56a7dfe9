#!/usr/bin/env bash
# One study on all GPUs of some nodes, one process for each; goes on after a preemption
# and after the time limit.
#
#   sbatch --nodes=2 experiments/launch/slurm_nodes.sh \
#     --config=configs/bart_base.py --workdir=/shared/runs/bart --config.mesh.fsdp=8
#
#SBATCH --job-name=masklearn
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@180
#SBATCH --open-mode=append
set -uo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
# A process that fails would leave the others waiting.
exec experiments/launch/requeue.sh \
  srun --kill-on-bad-exit=1 "$PYTHON" -m experiments.study "$@"
