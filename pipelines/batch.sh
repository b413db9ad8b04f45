#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many videos, one after the other: VIDEO -> OUTDIR/VIDEO.vtt, .srt and .jsonl. Every window of each is answered. The exit
# status is 1 when one of them failed; the others are done all the same, and what was there of it before stays as it was.
# Two videos whose results would have one name (a/x.mp4 and b/x.mp4) are refused before anything is done.
#
# usage: batch.sh OUTDIR VIDEO...
#   PROMPT   what is asked about each window (default: the model's own instruction)
#   WINDOW   seconds that a caption is about (default: 8)
case ${1:-} in -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 2 ] || { echo "batch.sh: expected OUTDIR VIDEO..., found $# arguments" >&2; exit 2; }
outdir=$1
shift
[ -d "$outdir" ] && [ -w "$outdir" ] || { echo "batch.sh: $outdir: expected a folder to write to" >&2; exit 1; }
case ${WINDOW:=8} in *[!0-9]* | 0* | '') echo "batch.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames

# The name is the one that base_of() has; awk, because a shell would compare each with each.
awk -- 'BEGIN {
  for (i = 1; i < ARGC; i++) {
    name = ARGV[i]
    sub (/.*\//, "", name)
    sub (/\.[^.]*$/, "", name)
    if (name in first) {
      print "batch.sh: " first[name] " and " ARGV[i] ": both would be " name ".vtt; expected one of them in this OUTDIR" \
        >"/dev/stderr"
      exit 2
    }
    first[name] = ARGV[i]
  }
}' "$@" || exit 2

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

base_of () {
  name=${1##*/}
  base=$outdir/${name%.*}
}

caption () {
  video=$1
  set --
  [ -z "${PROMPT:-}" ] || set -- prompt="$(quoted "$PROMPT")"
  gst-launch-1.0 -q \
    filesrc location="$(quoted "$video")" ! decodebin ! videoconvert ! ternencoder frame-rate="$rate" ! terncompressor \
    ! terngenerator name=g window="${WINDOW}000000000" metrics=true "$@" ! tee name=t \
    t. ! queue ! webvttenc ! filesink location="$(quoted "$base.vtt.part")" \
    t. ! queue ! srtenc ! filesink location="$(quoted "$base.srt.part")" \
    g.json_src ! queue ! filesink location="$(quoted "$base.jsonl.part")" &
  launched=$!
  wait $launched
}

keep () {
  for kind in vtt srt jsonl; do
    mv -f -- "$base.$kind.part" "$base.$kind" || return 1
  done
}

drop () {
  [ -z "$base" ] || rm -f -- "$base.vtt.part" "$base.srt.part" "$base.jsonl.part"
}

stop () {
  [ -z "$launched" ] || { kill $launched 2>/dev/null; wait $launched; }
  drop
  exit "$1"
}

base='' launched='' failed=0
trap 'stop 130' INT
trap 'stop 143' TERM
for video; do
  base_of "$video"
  if [ -f "$video" ] && [ -r "$video" ] && caption "$video" && keep; then
    printf '%s\n' "$video"
  else
    drop
    printf 'batch.sh: %s: no captions\n' "$video" >&2
    failed=1
  fi
done
exit $failed
