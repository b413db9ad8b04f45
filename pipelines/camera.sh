#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A camera with what it sees written over the picture. The video never waits: the caption is that of the newest window
# that is answered.
#
# usage: camera.sh [DEVICE]           (default: /dev/video0)
#   PROMPT   what is asked about each window (default: the model's own instruction)
#   WINDOW   seconds that a caption is about (default: 4)
case ${1:-} in -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -le 1 ] || { echo "camera.sh: expected one device at most, found $# arguments" >&2; exit 2; }
device=${1:-/dev/video0}
[ -e "$device" ] || { echo "camera.sh: $device: no such device" >&2; exit 1; }
case ${WINDOW:=4} in *[!0-9]* | 0* | '') echo "camera.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

# What is set here is a property of terncaption only when it is wanted.
set --
[ -z "${PROMPT:-}" ] || set -- prompt="$(quoted "$PROMPT")"

exec gst-launch-1.0 -e \
  v4l2src device="$device" ! videoconvert \
  ! terncaption name=c window="${WINDOW}000000000" frame-rate="$rate" "$@" ! queue ! overlay.video_sink \
  c.text_src ! queue ! overlay.text_sink \
  textoverlay name=overlay wait-text=false ! videoconvert ! autovideosink
