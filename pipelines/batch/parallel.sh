#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same on machines that one can log into, by GNU parallel: N parts, each into OUTDIR/lines-I-of-N.jsonl. The same command
# again goes on where it was.
#
# usage: parallel.sh OUTDIR PARTS INPUT...      (inputs and OUTDIR under the same path on all machines)
#   HOSTS         of parallel's --sshlogin, such as ":,host2,host3" (default: this machine alone)
#   JOBS          parts at once on each machine (default: 1; every part uses all cores)
#   TERN          the program (tern)
#   TERN_OPTIONS  further options of `tern caption`, separated by blanks
case ${1:-} in -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 3 ] || { echo "parallel.sh: expected OUTDIR PARTS INPUT..., found $# arguments" >&2; exit 2; }
outdir=$1 parts=$2
shift 2
case $parts in *[!0-9]* | 0 | '') echo "parallel.sh: PARTS: expected a number, found $parts" >&2; exit 2 ;; esac
mkdir -p "$outdir" || exit 1

# Words are quoted by parallel itself. A part that was killed, or found no room, is tried again, which costs nothing for
# what is done.
# shellcheck disable=SC2086
seq 0 $((parts - 1)) | parallel --will-cite --jobs "${JOBS:-1}" --sshlogin "${HOSTS:-:}" --joblog "$outdir/joblog" \
  --retries 3 --quote "${TERN:-tern}" caption --resume --output "$outdir/lines-{}-of-$parts.jsonl" \
  --failures "$outdir/lines-{}-of-$parts.jsonl.failures" --shard "{}/$parts" --progress none ${TERN_OPTIONS:-} "$@"
