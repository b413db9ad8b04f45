#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Records what a drone's camera sends (RTSP, H.264, as it comes) into a transport stream, with what happens beside it as KLV
# packets (docs/klv.md; pipelines/read-klv.py reads them), and prints a JSON line a window.
#
# usage: drone.sh rtsp://... OUTPUT.ts
#   PROMPT   what is asked about each window (default: the model's own instruction)
#   WINDOW   seconds that a packet is about (default: 4)
case ${1:-} in -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -eq 2 ] || { echo "drone.sh: expected URL OUTPUT.ts, found $# arguments" >&2; exit 2; }
case $1 in rtsp://* | rtsps://* | rtspt://*) ;; *) echo "drone.sh: expected rtsp://..., found $1" >&2; exit 2 ;; esac
case ${WINDOW:=4} in *[!0-9]* | 0* | '') echo "drone.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames
[ ! -s "$2" ] || { echo "drone.sh: $2 is there already" >&2; exit 1; }
url=$1 output=$2

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

set --
[ -z "${PROMPT:-}" ] || set -- prompt="$(quoted "$PROMPT")"

# Video first: the stream's clock is that of the muxer's first pad.
exec gst-launch-1.0 -q -e \
  rtspsrc location="$url" latency=200 ! rtph264depay ! h264parse ! tee name=t \
  t. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! mpegtsmux name=m ! filesink location="$(quoted "$output")" \
  t. ! queue ! avdec_h264 ! videoconvert ! terncaption name=c window="${WINDOW}000000000" frame-rate="$rate" "$@" ! fakesink sync=false \
  c.text_src ! queue ! ternklvenc ! m. \
  c.json_src ! queue ! filesink location=/dev/stdout buffer-mode=unbuffered sync=false async=false
