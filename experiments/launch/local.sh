#!/usr/bin/env bash
# Runs a study on this machine until it has ended, in one process or in several.
#
#   experiments/launch/local.sh --config=configs/world.py --workdir=runs/demo
#   PROCESSES=8 experiments/launch/local.sh ..   # one for each of eight GPUs
set -uo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
PROCESSES=${PROCESSES:-1}
PORT=${PORT:-8476}
study=("$PYTHON" -m experiments.study "$@")
running=()
# What somebody asks this script for is meant for all of them.
trap 'asked=1; kill -TERM "${running[@]}" 2>/dev/null' INT TERM

run() {
  local code=0 number process
  running=()
  for ((number = 0; number < PROCESSES; number++)); do
    JAX_COORDINATOR_ADDRESS=localhost:$PORT JAX_NUM_PROCESSES=$PROCESSES \
      JAX_PROCESS_ID=$number JAX_LOCAL_DEVICE_IDS=$( ((PROCESSES > 1)) && echo "$number") \
      "${study[@]}" &
    running+=($!)
  done
  for process in "${running[@]}"; do
    # A signal ends `wait`, and not what it waits for.
    while kill -0 "$process" 2>/dev/null; do
      wait "$process"
      code=$?
    done
    ((code == 0)) || return "$code"
  done
}

asked=0
# 75: a process was lost. 134 and 137: this one was, as where memory runs out.
until run; do
  code=$?
  kill -KILL "${running[@]}" 2>/dev/null
  case $code in
    75 | 134 | 137) ((asked)) || continue ;;
  esac
  exit "$code"
done
