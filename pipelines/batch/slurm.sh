#!/bin/sh
#SBATCH --job-name=tern
#SBATCH --cpus-per-task=2
#SBATCH --requeue
#SBATCH --open-mode=append
# SPDX-License-Identifier: LGPL-2.1-or-later
# A part of a Slurm array: each captions its share of the inputs into OUTDIR/lines-I-of-N.jsonl. What was killed, preempted or
# ran out of time goes on where it was when Slurm starts it again; a full disk or a lock asks for another try by itself.
#
# usage: sbatch --array=0-7 slurm.sh OUTDIR INPUT...
#   SHARDS        parts in all, where the array is not all of them (SHARDS=8 sbatch --array=3 ... does part 3 again)
#   TERN          the program (tern)
#   TERN_OPTIONS  further options of `tern caption`, separated by blanks
case ${1:-} in -h | --help) sed -n '7,13s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 2 ] || { echo "slurm.sh: expected OUTDIR INPUT..., found $# arguments" >&2; exit 2; }
[ -n "${SLURM_ARRAY_TASK_ID:-}" ] ||
  { echo "slurm.sh: expected to run in an array (sbatch --array=0-7 ...), found none" >&2; exit 2; }
outdir=$1
shift
mkdir -p "$outdir" || exit 1
part=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))
[ -z "${SHARDS:-}" ] || part=$SLURM_ARRAY_TASK_ID
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
lines=$outdir/lines-$part-of-$shards.jsonl

# In the background, so that a SIGTERM to this shell reaches it: it drops the input at hand and says how to go on.
# shellcheck disable=SC2086
"${TERN:-tern}" caption --resume --output "$lines" --failures "$lines.failures" \
  --shard "$part/$shards" --threads "${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-0}}" --progress none \
  ${TERN_OPTIONS:-} "$@" &
trap 'kill -TERM $! 2>/dev/null' TERM INT
wait $!
status=$?
while kill -0 $! 2>/dev/null; do wait $!; status=$?; done
# No room, a lock, or killed for want of memory: some time later it may go. What was cancelled (143) stays so.
if { [ $status -eq 75 ] || [ $status -eq 137 ]; } && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $status
