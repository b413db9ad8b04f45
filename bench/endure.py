#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What terncaption holds on to: over a long stream, and with many of them in one process.

  stream N    N frames at 30 a second from a fast source (100,000: an hour), labels asked, text and JSON taken: resident
              memory after a tenth of them and at the end, and how many GQuarks were made between
  sharing N   N terncaption on one model, a minute of video each at the pace of a live source: resident memory of one and of
              N, how much of the model files is mapped, answers by element

usage: endure.py [--build DIR] [--model F] [--seconds S] stream|sharing N

Prints a line; exit status 1: memory grew by more than a percent, quarks were made, an element got fewer than four
fifths of the answers of another, or weights are there twice. Needs python3-gst-1.0; run by hand, with the system's Python.
"""
import argparse
import os
import re
import sys

import plugin

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("kind", choices=["stream", "sharing"])
a.add_argument("n", type=int)
a.add_argument("--build", default="build")
a.add_argument("--model")
a.add_argument("--seconds", type=int, default=60)
options = a.parse_args()
if options.model:
    os.environ["TERN_MODEL_PATH"] = options.model
Gst = plugin.load(options.build)
from gi.repository import GLib  # noqa: E402


def resident():
    """Bytes, and those of mapped GGUF files."""
    total = mapped = 0
    inside = False
    for line in open("/proc/self/smaps"):
        head = re.match(r"[0-9a-f]+-[0-9a-f]+ .*", line)
        if head:
            inside = line.rstrip().endswith(".gguf")
        elif line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
            mapped += int(line.split()[1]) * 1024 if inside else 0
    return total, mapped


quark = [0]


def quarks():
    """GQuarks so far: a new one is numbered after the last."""
    quark[0] += 1
    return GLib.quark_from_string(f"endure {quark[0]}")


def pipeline_of(live, frames, extra):
    return Gst.parse_launch(
        f"videotestsrc name=s is-live={str(live).lower()} pattern=ball num-buffers={frames} ! "
        "video/x-raw,width=224,height=224,framerate=30/1 ! "
        f"terncaption name=c {extra} ! fakesink sync=false "
        "c.text_src ! queue ! fakesink sync=false async=false c.json_src ! queue ! fakesink sync=false async=false")


def answers_of(pipeline):
    """Results on its bus, until its end."""
    while True:
        message = pipeline.get_bus().timed_pop_filtered(600 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
                                                        | Gst.MessageType.ELEMENT)
        if message is None or message.type == Gst.MessageType.ERROR:
            sys.exit(f"FAIL {message.parse_error() if message else 'no message for ten minutes'}")
        if message.type == Gst.MessageType.EOS:
            return
        if message.has_name("tern-result"):
            yield message


def stream():
    pipeline = pipeline_of(False, options.n, r'labels="<\"a ball moves\",nothing>" prompt="What happens?"')
    results, before = 0, None
    pipeline.set_state(Gst.State.PLAYING)
    for _answer in answers_of(pipeline):
        results += 1
        if before is None and results * 4 >= options.n / 30 / 10:
            before = (resident()[0], quarks())
    after = (resident()[0], quarks())
    pipeline.set_state(Gst.State.NULL)
    grown, made = after[0] / before[0] - 1, after[1] - before[1] - 1
    print(f"stream of {options.n} frames: {results} answers, resident {before[0] / 1e6:.1f} MB after a tenth, "
          f"{after[0] / 1e6:.1f} MB at the end ({grown:+.2%}), {made} GQuarks made between")
    return int(grown > .01 or made > 0)


def sharing():
    start = resident()
    pipelines, sizes = [], []
    for n in (1, options.n):
        while len(pipelines) < n:
            pipelines.append(pipeline_of(True, 30 * options.seconds, ""))
            pipelines[-1].set_state(Gst.State.PLAYING)
        if n == 1:
            pipelines[0].get_bus().timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.ELEMENT)
            sizes.append(resident())
    answers = [0] * len(pipelines)
    for i, pipeline in enumerate(pipelines):
        answers[i] = sum(1 for _answer in answers_of(pipeline))
        if i == 0:
            sizes.append(resident())
    for pipeline in pipelines:
        pipeline.set_state(Gst.State.NULL)
    print(f"{options.n} terncaption of one model, {options.seconds} s: resident {start[0] / 1e6:.0f} MB before, "
          f"{sizes[0][0] / 1e6:.0f} MB with one, {sizes[1][0] / 1e6:.0f} MB with {options.n}; of GGUF files "
          f"{sizes[0][1] / 1e6:.1f} and {sizes[1][1] / 1e6:.1f} MB; answers {min(answers)} to {max(answers)}")
    return int(min(answers) == 0 or sizes[1][1] > sizes[0][1] * 1.01 + 1e6 or min(answers) < .8 * max(answers))


sys.exit(stream() if options.kind == "stream" else sharing())
