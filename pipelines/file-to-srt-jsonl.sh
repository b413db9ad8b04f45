#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A video file to subtitles and JSON lines: VIDEO -> OUTDIR/VIDEO.srt and OUTDIR/VIDEO.jsonl. Every window is answered. What
# was there before stays until all of it is done.
#
# usage: file-to-srt-jsonl.sh VIDEO [OUTDIR]           (default: the current folder)
#   PROMPT   what is asked about each window (default: the model's own instruction)
case ${1:-} in -h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 1 ] && [ $# -le 2 ] || { echo "file-to-srt-jsonl.sh: expected VIDEO [OUTDIR], found $# arguments" >&2; exit 2; }
video=$1 outdir=${2:-.}
[ -f "$video" ] && [ -r "$video" ] || { echo "file-to-srt-jsonl.sh: $video: no such file" >&2; exit 1; }
[ -d "$outdir" ] && [ -w "$outdir" ] || { echo "file-to-srt-jsonl.sh: $outdir: expected a folder to write to" >&2; exit 1; }
base=${video##*/}
base=$outdir/${base%.*}

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

set --
[ -z "${PROMPT:-}" ] || set -- prompt="$(quoted "$PROMPT")"

launched=
trap 'rm -f -- "$base.srt.part" "$base.jsonl.part"' EXIT
trap 'kill $launched; wait $launched; exit 130' INT
trap 'kill $launched; wait $launched; exit 143' TERM
gst-launch-1.0 \
  filesrc location="$(quoted "$video")" ! decodebin ! videoconvert \
  ! terncaption name=c metrics=true "$@" ! fakesink sync=false \
  c.text_src ! tee name=t \
  t. ! queue ! srtenc ! filesink location="$(quoted "$base.srt.part")" \
  t. ! queue ! ternjsonenc ! filesink location="$(quoted "$base.jsonl.part")" &
launched=$!
wait $launched || exit
mv -f -- "$base.srt.part" "$base.srt" && mv -f -- "$base.jsonl.part" "$base.jsonl"
