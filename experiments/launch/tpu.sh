#!/usr/bin/env bash
# One study on a TPU VM or a pod: makes it, installs, runs on all workers; after a
# preemption makes it again and goes on; in the end deletes it.
#
#   NAME=masking ZONE=us-west4-a TYPE=v5litepod-16 SPOT=1 \
#   SETUP='sudo mount -t nfs 10.0.0.2:/share /mnt' experiments/launch/tpu.sh \
#     --config=configs/bart_base.py --workdir=/mnt/runs/bart
#
# All workers must see the work directory: SETUP mounts it. KEEP=1 deletes nothing.
set -euo pipefail

: "${NAME:?names the TPU}" "${ZONE:?is where it is}" "${TYPE:?such as v5litepod-16}"
VERSION=${VERSION:-v2-alpha-tpuv5-lite}
TRIES=${TRIES:-100} # runs at most
PAUSE=${PAUSE:-60}  # seconds before another one

tpu() { gcloud compute tpus tpu-vm "$@" --zone="$ZONE" --quiet; }
on_all() { tpu ssh "$NAME" --worker=all --command="$1"; }
state() { tpu describe "$NAME" --format='value(state)' 2>/dev/null || echo NONE; }
delete() { [[ $(state) == NONE ]] || tpu delete "$NAME"; }

make() {
  delete &&
    tpu create "$NAME" --accelerator-type="$TYPE" --version="$VERSION" ${SPOT:+--spot} &&
    git archive --format=tar.gz --output="$archive" HEAD &&
    tpu scp "$archive" "$NAME:masklearn.tar.gz" --worker=all &&
    on_all "set -e; ${SETUP:-true}; mkdir -p masklearn; cd masklearn
      tar xzf ../masklearn.tar.gz; python3 -m venv .venv
      .venv/bin/pip install --quiet --editable '.[tpu]'"
}

run() {
  local workers
  workers=$(tpu describe "$NAME" --format='value(networkEndpoints[].ipAddress)')
  workers=$(tr ';' '\n' <<<"$workers" | wc -l)
  # A process that was left behind would hold the chips.
  on_all "pkill -KILL -f '[e]xperiments.study'; true" &&
    on_all "cd masklearn
      .venv/bin/python -m experiments.study --config.mesh.processes=$workers $flags"
}

archive=$(mktemp)
trap 'rm -f "$archive"; [[ ${KEEP:-} ]] || delete' EXIT
flags=$(printf '%q ' "$@")
made='' code=1
for ((try = 1; try <= TRIES; try++)); do
  if [[ ! $made || $(state) != READY ]]; then
    made=''
    make && made=1
  fi
  if [[ $made ]]; then
    run && exit
    code=$?
    # A mistake, which would be made again.
    ((code != 2)) || exit "$code"
  fi
  echo "run $try ended with $code, the TPU is $(state)" >&2
  sleep "$PAUSE"
done
exit "$code"
