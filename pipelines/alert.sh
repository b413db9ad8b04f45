#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A yes or no about what a camera sees: a JSON line whenever the answer changes, and a command when it becomes yes. Nothing
# is said when the model is not sure.
#
# usage: alert.sh [DEVICE]           (default: /dev/video0)
#   PROMPT   what is asked about each window (default: Is there a person in the picture?)
#   WINDOW   seconds that an answer is about (default: 2)
#   SURE     probability below which there is no answer (default: 0.6)
#   ALERT    a command of the shell that gets the JSON line as its last argument when the answer becomes yes (default: none)
case ${1:-} in -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# -le 1 ] || { echo "alert.sh: expected one device at most, found $# arguments" >&2; exit 2; }
device=${1:-/dev/video0}
[ -e "$device" ] || { echo "alert.sh: $device: no such device" >&2; exit 1; }
case ${WINDOW:=2} in *[!0-9]* | 0* | '') echo "alert.sh: WINDOW: expected whole seconds, found $WINDOW" >&2; exit 2 ;; esac
rate=$(((WINDOW * 2 + 7) / 8 * 8))/$WINDOW      # two a second or more: windows are whole groups of frames
case ${SURE:=0.6} in 0 | 1 | 0.[0-9]*) ;; *) echo "alert.sh: SURE: expected 0 to 1, found $SURE" >&2; exit 2 ;; esac
: "${PROMPT:=Is there a person in the picture?}"

# As gst-launch-1.0 takes a value, whatever is in it.
quoted () { printf '%s' "$1" | sed 's/[\\"]/\\&/g; 1s/^/"/; $s/$/"/'; }

# The pipeline's status is this script's; ALERT reads nothing of its results.
exec 4>&1
status=$({ { gst-launch-1.0 -q -e \
  v4l2src device="$device" ! videoconvert \
  ! terncaption name=c prompt="$(quoted "$PROMPT")" labels="<yes,no>" min-confidence="$SURE" on-change=true \
  window="${WINDOW}000000000" frame-rate="$rate" ! fakesink sync=false \
  c.json_src ! queue ! filesink location=/dev/stdout buffer-mode=unbuffered sync=false async=false 3>&- 4>&-
  echo $? >&3; } \
  | while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
      *'"abstained":true'*) ;;
      *'"result":"yes"'*) [ -z "${ALERT:-}" ] || sh -c "$ALERT \"\$1\"" alert "$line" </dev/null 3>&- 4>&- ;;
    esac
  done >&4; } 3>&1)
exit "$status"
