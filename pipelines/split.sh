#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The steps apart: encoder, compressor, generator, with the statistics of each on the way. The JSON lines say how many
# visual tokens a window had and how many the model read.
#
# usage: split.sh VIDEO OUTPUT.jsonl [none|dycoke|random [MERGE_RATIO]]           (default: dycoke 0.8)
case ${1:-} in -h | --help) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 2 ] && [ $# -le 4 ] || { echo "split.sh: expected VIDEO OUTPUT.jsonl [METHOD [RATIO]], found $# arguments" >&2; exit 2; }
video=$1 output=$2 method=${3:-dycoke} ratio=${4:-0.8}
[ -f "$video" ] && [ -r "$video" ] || { echo "split.sh: $video: no such file" >&2; exit 1; }
case $method in
  none | dycoke | random) ;;
  *) echo "split.sh: METHOD: expected none, dycoke or random, found $method" >&2; exit 2 ;;
esac
case $ratio in
  0 | 1 | 0.[0-9]* | 1.0) ;;
  *) echo "split.sh: RATIO: expected 0 to 1, found $ratio" >&2; exit 2 ;;
esac

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

exec gst-launch-1.0 \
  filesrc location="$(quoted "$video")" ! decodebin ! videoconvert ! ternencoder frame-rate=2/1 \
  ! terncompressor method="$method" merge-ratio="$ratio" \
  ! terngenerator metrics=true ! ternjsonenc ! filesink location="$(quoted "$output")"
