#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A robot's main loop beside a captioner: reads the newest result from an appsink, never waits for the model.

usage: robot.py [SOURCE] [--prompt TEXT] [--seconds N]

SOURCE is a GStreamer source in gst-launch syntax that ends in raw video; default: v4l2src ! videoconvert. Prints one line
for each new result: its window in seconds, and the text. Needs python3-gst-1.0.
"""
import argparse
import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

# Windows are whole groups of frames: eight with the bundled model, four a second.
PIPELINE = ("{source} ! ternencoder frame-rate=4/1 gate=off ! terncompressor ! terngenerator name=generator "
            "window=2000000000 leaky=downstream ! appsink name=result max-buffers=1 drop=true sync=false")


def newest_result(sink):
    """The result that came last, as a dict, or None when there is no new one. Does not wait."""
    sample = sink.emit("try-pull-sample", 0)
    if sample is None:
        return None
    meta = sample.get_buffer().get_custom_meta("TernResultMeta")
    structure = meta.get_structure()
    return {structure.nth_field_name(i): structure.get_value(structure.nth_field_name(i))
            for i in range(structure.n_fields()) if structure.nth_field_name(i) != "metrics"}


def say(result):
    """A robot does not act on an answer that abstained, of which the model is not sure, nor on a window that failed."""
    if result and result["kind"] == "error":
        print(f"robot.py: {result['result']}", file=sys.stderr)
    elif result and not result.get("abstained"):
        print(f"[{result['start']:.1f}-{result['end']:.1f}] {result['result']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="v4l2src ! videoconvert")
    parser.add_argument("--prompt", default="Is the way free?")
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time (default: never)")
    args = parser.parse_args()
    if not args.seconds >= 0:
        parser.error(f"--seconds: expected 0 or more, found {args.seconds}")

    Gst.init(None)
    try:
        pipeline = Gst.parse_launch(PIPELINE.format(source=args.source))
    except gi.repository.GLib.Error as error:
        sys.exit(f"robot.py: {error.message}")
    pipeline.get_by_name("generator").set_property("prompt", args.prompt)
    sink = pipeline.get_by_name("result")
    bus = pipeline.get_bus()
    status = 0
    try:
        pipeline.set_state(Gst.State.PLAYING)
        started = time.monotonic()
        while not args.seconds or time.monotonic() - started < args.seconds:
            # ... here a robot senses, plans and moves, at its own rate ...
            say(newest_result(sink))
            message = bus.timed_pop_filtered(20 * Gst.MSECOND, Gst.MessageType.ERROR | Gst.MessageType.EOS)
            if message and message.type == Gst.MessageType.ERROR:
                error, debug = message.parse_error()
                print(f"robot.py: {error.message} ({debug})", file=sys.stderr)
                status = 1
            if message:
                break
        say(newest_result(sink))
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # the reader has seen enough
    pipeline.set_state(Gst.State.NULL)
    return status


if __name__ == "__main__":
    sys.exit(main())
