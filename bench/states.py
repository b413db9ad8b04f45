#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stops terncaption while it works, at random moments of looking, reading and answering, and how long that takes.

  null      PLAYING -> NULL, then another pipeline
  seek      a flushing seek
  unlink    a pad (video, text, JSON) is unlinked, and linked again after a moment
  release   the pads of text and JSON are released and requested again

usage: states.py [--times N] [--build DIR] [--fake] [--live] [--longest MS] [KIND...]    (all; 1000 times each; 100 ms)

Prints a line a kind; exit status 1: something took longer, never came back, or was an error. GST_TRACERS=leaks
GST_DEBUG=GST_TRACER:7 beside it says what outlived its pipeline. Needs python3-gst-1.0; run by hand, with the system's Python.
"""
import argparse
import gc
import os
import random
import sys
import threading
import time

import plugin

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("kinds", nargs="*", metavar="KIND")
a.add_argument("--times", type=int, default=1000)
a.add_argument("--build", default="build")
a.add_argument("--fake", action="store_true", help="the plugin over tests/elements/fake-tern.c: TERN_FAKE_GENERATE_MS, ...")
a.add_argument("--live", action="store_true")
a.add_argument("--longest", type=float, default=100)
options = a.parse_args()
Gst = plugin.load(options.build, options.fake)
chance = random.Random(1)
# Windows of a group, so that each stage is met about as often as it lasts.
PIPELINE = (f"videotestsrc is-live={str(options.live).lower()} pattern=snow ! video/x-raw,width=640,height=360,framerate=30/1 "
            "! terncaption name=c window=2000000000 max-tokens=16 ! fakesink name=v sync={0} c.text_src ! queue ! fakesink name=t "
            "sync=false async=false c.json_src ! queue ! fakesink name=j sync=false async=false").format(str(options.live).lower())


class Case:
    def __init__(self):
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.bus = self.pipeline.get_bus()
        self.pipeline.set_state(Gst.State.PLAYING)

    def messages(self):
        """Errors, and how many results, since the last time."""
        errors, results = [], 0
        while message := self.bus.pop():
            if message.type == Gst.MessageType.ERROR:
                errors.append("%s (%s)" % (message.parse_error()[0].message, message.parse_error()[1]))
            elif message.type == Gst.MessageType.ELEMENT:
                results += message.get_structure().get_name() == "tern-result"
        return errors, results

    def null(self):
        self.pipeline.set_state(Gst.State.NULL)

    def seek(self):
        if not self.pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, int(chance.random() * 20 * Gst.SECOND)):
            raise RuntimeError("the seek was refused")

    def unlink(self):
        pad = self.pipeline.get_by_name("c").get_static_pad(chance.choice(("src", "text_src", "json_src")))
        peer, video = pad.get_peer(), pad.name == "src"
        blocked = threading.Event()
        # Video that leads nowhere is an error of its source: it is blocked meanwhile.
        probe = pad.add_probe(Gst.PadProbeType.BLOCK_DOWNSTREAM | Gst.PadProbeType.IDLE,
                              lambda pad, info: (blocked.set(), Gst.PadProbeReturn.OK)[1]) if video else 0
        pad.unlink(peer)
        if pad.link(peer) != Gst.PadLinkReturn.OK:
            raise RuntimeError(f"{pad.name} was not linked again")
        if probe:
            pad.remove_probe(probe)

    def release(self):
        bin = self.pipeline.get_by_name("c")
        old = bin.get_static_pad(chance.choice(("text_src", "json_src")))
        name, peer = old.name, old.get_peer()
        old.unlink(peer)
        bin.release_request_pad(old)
        if bin.request_pad_simple(name).link(peer) != Gst.PadLinkReturn.OK:
            raise RuntimeError(f"{name} was not linked again")


def timed(call):
    """Milliseconds; None: it does not come back."""
    failures, started = [], time.monotonic()

    def run():
        try:
            call()
        except RuntimeError as error:
            failures.append(str(error))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    if thread.is_alive():
        return None, failures
    return (time.monotonic() - started) * 1e3, failures


bad = False
for kind in options.kinds or ("null", "seek", "unlink", "release"):
    if kind not in ("null", "seek", "unlink", "release") or (kind == "seek" and options.live):
        print(f"{kind}: not done")
        continue
    case, times, errors, results = None, [], [], 0
    for i in range(options.times):
        if not case:
            case = Case()
        time.sleep(chance.random() * .5)
        failures, n = case.messages()   # those of NULL are lost
        errors, results = errors + failures, results + n
        took, failures = timed(getattr(case, kind))
        errors += failures
        if took is None:
            print(f"{kind}: HANGS the {i + 1}th time, after {len(times)}", flush=True)
            os._exit(1)
        times.append(took)
        if kind == "null" or i + 1 == options.times:
            case.null()
            case = None
            gc.collect()
    times.sort()
    good = times[-1] < options.longest and not errors
    bad |= not good
    print(f"{kind}: {'ok' if good else 'WRONG'}: {len(times)} times, median {times[len(times) // 2]:.1f} ms, p99 "
          f"{times[len(times) * 99 // 100]:.1f}, longest {times[-1]:.1f}; results {results}, errors {len(errors)} "
          f"{errors[:1] or ''}", flush=True)
case = None
gc.collect()
if "GST_TRACERS" in os.environ:
    Gst.deinit()        # the tracer speaks at the end
plugin.FOLDER.cleanup()
sys.exit(bad)
