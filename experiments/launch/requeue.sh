#!/usr/bin/env bash
# Runs a command within a Slurm job, and queues the job again unless it has ended.
set -uo pipefail

"$@"
code=$?
# 0: ended. 2: a mistake, which would be made again. Else it was stopped or lost.
case $code in
  0 | 2) exit "$code" ;;
esac
echo "ended with $code: queued again" >&2
scontrol requeue "$SLURM_JOB_ID"
