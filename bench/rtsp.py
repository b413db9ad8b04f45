#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An RTSP camera that dies and returns as another one: terncaption stays in its pipeline, its source is made anew.

usage: rtsp.py [--build DIR] [--fake] [--times N]

A server in a process of its own (H.264, 640x360 at 15 frames a second, then 320x240 at 25, by turns) is killed in mid-stream and
started again. Prints for each life of it how many results came, whether their ids go on, whether they have `utc` where the
result table has it, and what the bus said. Needs python3-gst-1.0, gir1.2-gst-rtsp-server-1.0 and x264enc; run by hand, with the
system's Python.
"""
import argparse
import os
import signal
import subprocess
import sys
import time

import plugin

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--build", default="build")
a.add_argument("--fake", action="store_true")
a.add_argument("--times", type=int, default=3)
a.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
options = a.parse_args()
Gst = plugin.load(None if options.serve else options.build, options.fake)

import gi  # noqa: E402

from gi.repository import GLib  # noqa: E402


def serve(port, width, height, rate):
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GstRtspServer
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_service(port)
    factory.set_launch(f"( videotestsrc is-live=true ! video/x-raw,width={width},height={height},framerate={rate}/1 ! x264enc "
                       f"tune=zerolatency speed-preset=ultrafast key-int-max={rate} ! rtph264pay name=pay0 )")
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if options.serve:
    serve(*options.serve)

PORT = "8654"
SOURCE = (f"rtspsrc location=rtsp://127.0.0.1:{PORT}/camera protocols=tcp latency=100 add-reference-timestamp-meta=true "
          "! rtph264depay ! h264parse ! avdec_h264 ! videoconvert name=last")
pipeline = Gst.parse_launch("identity name=in ! terncaption name=c window=2000000000 idle-timeout=1000000000 ! fakesink sync=false")
entry = pipeline.get_by_name("in")
bus = pipeline.get_bus()
source, next_id, bad = None, 0, False


def not_the_end(pad, info):
    """The source's end is not the pipeline's."""
    return Gst.PadProbeReturn.DROP if info.get_event().type == Gst.EventType.EOS else Gst.PadProbeReturn.OK


def connect():
    global source
    if source:
        source.set_state(Gst.State.NULL)
        pipeline.remove(source)
    source = Gst.parse_bin_from_description(SOURCE, False)
    source.add_pad(Gst.GhostPad.new("src", source.get_by_name("last").get_static_pad("src")))
    source.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, not_the_end)
    pipeline.add(source)
    source.link(entry)
    source.sync_state_with_parent()


def listen(seconds, enough):
    """What comes within so many seconds, or until there are enough results."""
    results, said, deadline = [], [], time.monotonic() + seconds
    while time.monotonic() < deadline and len(results) < enough:
        message = bus.timed_pop(100 * Gst.MSECOND)
        if not message:
            continue
        if message.type == Gst.MessageType.ELEMENT and message.get_structure().get_name() == "tern-result":
            structure = message.get_structure()
            results.append((structure.get_uint64("id")[1], structure.has_field("utc")))
        elif message.type == Gst.MessageType.INFO:
            said.append(message.parse_info()[0].message)
        elif os.environ.get("VERBOSE") and message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
            print(message.src.name, message.parse_error() if message.type == Gst.MessageType.ERROR else message.parse_warning())
        elif message.type == Gst.MessageType.ERROR and message.src == pipeline.get_by_name("c"):
            said.append("ERROR: " + message.parse_error()[0].message)
    return results, said


for life in range(options.times):
    size = ("640", "360", "15") if life % 2 == 0 else ("320", "240", "25")
    server = subprocess.Popen([sys.executable, __file__, "--serve", PORT, *size], stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    connect()
    pipeline.set_state(Gst.State.PLAYING)
    results, said = listen(40, 3)
    server.send_signal(signal.SIGKILL)
    server.wait()
    late, more = listen(4, 1000)
    results += late
    said += more
    ids = [i for i, _ in results]
    good = len(results) >= 3 and ids == list(range(next_id, next_id + len(ids))) and not any(s.startswith("ERROR") for s in said)
    good &= "The camera has stopped." in said and (life == 0 or "The camera sends again." in said)
    bad |= not good
    print(f"{'ok' if good else 'WRONG'}: {size[0]}x{size[1]} at {size[2]}: results {ids}, {sum(utc for _, utc in results)} "
          f"with utc; the bus: {' '.join(said)}", flush=True)
    next_id += len(ids)
pipeline.set_state(Gst.State.NULL)
plugin.FOLDER.cleanup()
sys.exit(bad)
