#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processor time that a pipeline takes while nothing comes: terncaption behind a live source that gives a window of frames, has its
caption, and falls silent. In `meson devenv -C build`, with Debian's Python (package python3-gi).

python3 bench/idle.py [SECONDS]        # 30: prints processor time of the whole process, threads of GStreamer included
"""
import resource
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

FRAMES, WIDTH, HEIGHT = 9, 64, 48


def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"appsrc name=s is-live=true format=time caps=video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate=2/1 "
        "! terncaption gate=off ! fakesink sync=false")
    source, bus = pipeline.get_by_name("s"), pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    for i in range(FRAMES):
        buffer = Gst.Buffer.new_wrapped(bytes([(40 * i) % 256]) * (WIDTH * HEIGHT * 3))
        buffer.pts, buffer.duration = i * Gst.SECOND // 2, Gst.SECOND // 2
        source.emit("push-buffer", buffer)
    while True:
        message = bus.timed_pop_filtered(120 * Gst.SECOND, Gst.MessageType.ELEMENT | Gst.MessageType.ERROR)
        if not message or message.type == Gst.MessageType.ERROR:
            sys.exit(f"no caption: {message.parse_error() if message else 'nothing came'}")
        if message.get_structure().get_name() == "tern-result":
            break
    time.sleep(6)               # idle-timeout: what waits is answered behind a silent source
    before, switches = used(), resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{1000 * (used() - before):.1f} ms of processor time in {seconds:g} s of silence, "
          f"{after.ru_nvcsw - switches.ru_nvcsw} times woken")
    pipeline.set_state(Gst.State.NULL)


main()
