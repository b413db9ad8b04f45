#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many videos, one after the other: VIDEO -> OUTDIR/VIDEO.vtt, .srt and .jsonl. Every window of each is answered. The exit
# status is 1 when one of them failed; the others are done all the same.
#
# usage: batch.sh OUTDIR VIDEO...
#   PROMPT   what is asked about each window (default: the model's own instruction)
#   WINDOW   seconds that a caption is about (default: 8)
case ${1:-} in -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 2 ] || { echo "batch.sh: expected OUTDIR VIDEO..., found $# arguments" >&2; exit 2; }
outdir=$1
shift
[ -d "$outdir" ] && [ -w "$outdir" ] || { echo "batch.sh: $outdir: expected a folder to write to" >&2; exit 1; }
case ${WINDOW:=8} in *[!0-9]* | 0* | '') echo "batch.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames

caption () {
  video=$1 base=$2
  set --
  [ -z "${PROMPT:-}" ] || set -- prompt="\"$(printf '%s' "$PROMPT" | sed 's/[\\"]/\\&/g')\""
  gst-launch-1.0 -q \
    filesrc location="$video" ! decodebin ! videoconvert ! ternencoder frame-rate="$rate" ! terncompressor \
    ! terngenerator name=g window="${WINDOW}000000000" metrics=true "$@" ! tee name=t \
    t. ! queue ! webvttenc ! filesink location="$base.vtt" \
    t. ! queue ! srtenc ! filesink location="$base.srt" \
    g.json_src ! queue ! filesink location="$base.jsonl"
}

failed=0 taken=/
for video; do
  name=$(basename -- "$video")
  case $taken in
    */"${name%.*}"/*)
      echo "batch.sh: $video: ${name%.*}.vtt is another one's, no captions" >&2
      failed=1
      continue ;;
  esac
  taken=$taken${name%.*}/
  if [ -f "$video" ] && [ -r "$video" ] && caption "$video" "$outdir/${name%.*}"; then
    echo "$video"
  else
    echo "batch.sh: $video: no captions" >&2
    failed=1
  fi
done
exit $failed
