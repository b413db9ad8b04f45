#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an RTSP camera sees, a JSON line a window, for as long as it sends; when it stops, or cannot be reached, another try
# is made. Lines have `utc`, the time of capture, when the camera says it (RTCP).
#
# usage: rtsp-camera.sh rtsp://... [OUTPUT.jsonl]           (default: to the terminal; lines are appended)
#   PROMPT   what is asked about each window (default: the model's own instruction)
#   WINDOW   seconds that a line is about (default: 4)
#   RETRY    seconds until the next try (default: 5; 0: none, and the exit status is that of the first)
case ${1:-} in -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -ge 1 ] && [ $# -le 2 ] || { echo "rtsp-camera.sh: expected URL [OUTPUT.jsonl], found $# arguments" >&2; exit 2; }
case $1 in rtsp://* | rtsps://* | rtspt://*) ;; *) echo "rtsp-camera.sh: expected rtsp://..., found $1" >&2; exit 2 ;; esac
case ${WINDOW:=4} in *[!0-9]* | 0* | '') echo "rtsp-camera.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames
case ${RETRY:=5} in *[!0-9]* | '') echo "rtsp-camera.sh: RETRY: expected whole seconds, found $RETRY" >&2; exit 2 ;; esac
url=$1 output=${2:-/dev/stdout}

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

set --
[ -z "${PROMPT:-}" ] || set -- prompt="$(quoted "$PROMPT")"

trap 'exit 130' INT TERM
while :; do
  gst-launch-1.0 -q -e \
    rtspsrc location="$url" latency=200 add-reference-timestamp-meta=true ! application/x-rtp,media=video ! decodebin \
    ! videoconvert ! terncaption name=c window="${WINDOW}000000000" frame-rate="$rate" "$@" ! fakesink sync=false \
    c.json_src ! filesink location="$(quoted "$output")" append=true buffer-mode=unbuffered sync=false async=false
  status=$?
  [ "$RETRY" -gt 0 ] && [ $status -lt 128 ] || exit $status
  echo "rtsp-camera.sh: $url stopped, another try in $RETRY s" >&2
  sleep "$RETRY"
done
