#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# No GStreamer object outlives a pipeline: each runs under the leaks tracer. Prints TAP.
# usage: leaks.sh; the environment names the plugin, as for the other tests of the elements
command -v gst-launch-1.0 >/dev/null || { echo "1..0 # SKIP no gst-launch-1.0"; exit 0; }

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/other"
printf 'GGUF, a text model' >"$dir/text.gguf"
printf 'GGUF, an encoder' >"$dir/mmproj-a.gguf"
printf 'GGUF, another text model' >"$dir/other/text.gguf"
printf 'GGUF, another encoder' >"$dir/other/mmproj-b.gguf"
TERN_MODEL_PATH=$dir/text.gguf
export TERN_MODEL_PATH

n=0
loads=0                         # milliseconds that a model takes, and again so many where gst-launch-1.0 did not end
check () {
  name=$1 expected=$2
  shift 2
  n=$((n + 1))
  for load in $loads; do
    TERN_FAKE_LOAD_MS=$load GST_TRACERS=leaks GST_DEBUG=GST_TRACER:7 GST_DEBUG_NO_COLOR=1 timeout 300 gst-launch-1.0 -q "$@" >"$dir/log" 2>&1
    status=$?
    [ $status -eq 124 ] || break
  done
  grep 'object-alive, ' "$dir/log" | grep 'type-name=(string)' | grep -v 'new format string' >"$dir/alive"
  if [ -s "$dir/alive" ] || { [ "$expected" = ok ] && [ $status -ne 0 ]; } || { [ "$expected" = error ] && [ $status -eq 0 ]; } \
      || [ $status -ge 124 ] && [ $status -le 139 ]; then
    echo "not ok $n - $name"
    sed 's/^/# /' "$dir/alive"
    grep ERROR "$dir/log" | sed 's/^/# /'
    echo "# exit status $status"
  else
    echo "ok $n - $name"
  fi
}

video='videotestsrc num-buffers=120 ! video/x-raw,width=64,height=64,framerate=30/1'
check bin ok $video ! terncaption name=c ! fakesink c.text_src ! queue ! fakesink c.json_src ! fakesink
check 'bin, nothing requested' ok $video ! terncaption ! fakesink
check 'bin, frames leave early' ok $video ! terncaption max-held-bytes=20000 ! fakesink
check 'apart' ok $video ! ternencoder ! terncompressor ! terngenerator name=g metrics=true ! ternjsonenc ! fakesink \
  g.json_src ! queue ! fakesink
check live ok videotestsrc is-live=true num-buffers=40 ! terncaption name=c ! fakesink c.text_src ! fakesink
check 'live, frames wait' ok videotestsrc is-live=true num-buffers=40 ! terncaption attach=window latency=0 ! fakesink
check 'live, nothing may be held' ok videotestsrc is-live=true num-buffers=40 ! terncaption attach=window max-held-bytes=1 ! fakesink
check 'no model' error $video ! terncaption model-path="$dir/none.gguf" ! fakesink
# gst-launch-1.0 (1.22) takes what errors do to its main loop for nothing when they come before that runs, and stays for ever:
# so this one comes late, and much later where that was not late enough.
loads='2000 60000'
check 'another encoder' error $video ! ternencoder ! terngenerator model-path="$dir/other/text.gguf" ! fakesink
loads=0
check 'downstream ends' ok $video ! terncaption ! identity eos-after=20 ! fakesink
echo "1..$n"
