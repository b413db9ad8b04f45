#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A robot behind a camera of 30 frames a second: ten decisions a second, thirty steps a second (docs/action-model.md).

usage: actions.py [SECONDS] [--build DIR] [--deadline MS] [--overlap STEPS] [--frames N] [--load THREADS] [--bin]

Camera and states (100 a second) are live; a player thread follows the newest chunk at each step's time. Prints what
was asked for and what came: chunks, late ones (counted by the element, and QOS messages), steps that were new and due
before they came (must be none), how far from its time each step was played, and how far what left is from numpy's
reading of what was decided (docs/elements.md, Actions). --frames: looked at a second, 20 unless said: ten pictures to a
model like the bundled one, which makes one of two. --load: as many threads of other programs that compute.

The player has real-time priority where that is allowed. Needs python3-gst-1.0 and numpy; run by hand, with the system's Python. Exit status 1 when a bar is missed.
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np

import plugin

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("seconds", type=int, nargs="?", default=30)
a.add_argument("--build", default="build")
a.add_argument("--deadline", type=int, default=100)
a.add_argument("--overlap", type=int, default=2)
a.add_argument("--frames", type=int, default=20)
a.add_argument("--load", type=int, default=0)
a.add_argument("--bin", action="store_true", help="terncaption instead of its elements")
options = a.parse_args()
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("TERN_MODEL_PATH", root + "/models/tern-captioner-4m-tq2_0.gguf")
Gst, folder = plugin.load(options.build), plugin.FOLDER

import gi  # noqa: E402

gi.require_version("GstApp", "1.0")
from gi.repository import GstApp  # noqa: E402,F401

DIMS, STEPS, RATE, STATE = 7, 16, 30, 7
STEP = 1e9 / RATE
head = folder.name + "/head.gguf"
subprocess.run([sys.executable, root + "/tests/golden/make-action.py", head, "--kind", "cfc", "--width", "256", "--state",
                str(STATE), "--dims", str(DIMS), "--steps", str(STEPS), "--rate", f"{RATE}/1"], check=True,
               stdout=subprocess.DEVNULL)

sys.setswitchinterval(.0005)    # threads of this script, which are the robot's, do not wait for each other
CAMERA = ("videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=480,framerate=30/1 "
          f"! tee name=t t. ! queue ! fakesink sync=true name=video t. ! queue ! %s deadline={options.deadline * 1000000} "
          f"action-overlap={options.overlap} action-path={head} window=400000000 prompt=\"Pick up the ball.\" "
          "g.action_src ! queue ! appsink name=actions sync=false emit-signals=true max-buffers=0 g.json_src ! queue ! appsink "
          "name=json sync=false emit-signals=true appsrc name=states is-live=true format=time "
          f"caps=\"tensor/strided,tensor-id=state,type=float32,dims=(int)<{STATE}>\" ! g.state_sink")
INNER = "terncaption name=g frame-rate={}/1 method=none" if options.bin else "ternencoder frame-rate={}/1 ! terngenerator name=g"
INNER = INNER.format(options.frames)
pipeline = Gst.parse_launch(CAMERA % INNER + (" g.src ! fakesink" if options.bin else ""))
states, bus = pipeline.get_by_name("states"), pipeline.get_bus()
lock, chunks, decided, stop = threading.Lock(), [], {}, threading.Event()
frames = [0]


def now():
    return pipeline.get_pipeline_clock().get_time() - pipeline.get_base_time()


def bytes_of(buffer):
    return buffer.extract_dup(0, buffer.get_size())


def on_chunk(sink):
    buffer = sink.emit("pull-sample").get_buffer()
    rows = np.frombuffer(bytes_of(buffer), "<f4").reshape(STEPS, DIMS)
    structure = buffer.get_custom_meta("TernResultMeta").get_structure()
    with lock:
        chunks.append((now(), buffer.pts, buffer.offset, buffer.offset_end, rows, structure.get_uint64("id")[1]))
    return Gst.FlowReturn.OK


def on_json(sink):
    result = json.loads(bytes_of(sink.emit("pull-sample").get_buffer()))
    decided[result["id"]] = result
    return Gst.FlowReturn.OK


def count_frame(pad, info):
    frames[0] += 1
    return Gst.PadProbeReturn.OK


def feed():
    """100 states a second, stamped when they are taken."""
    i = 0
    while not stop.wait(.01):
        buffer = Gst.Buffer.new_wrapped(np.sin(i * .01 + np.arange(STATE)).astype("<f4").tobytes())
        buffer.pts = now()
        states.emit("push-buffer", buffer)
        i += 1


def play(jitter, starved):
    """Each step at its time, from the chunk that is the newest by then. In real time where that is allowed, as robots' are."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        print("the player has no real-time priority", file=sys.stderr)
    step = None
    while not stop.is_set():
        with lock:
            newest = chunks[-1] if chunks else None
        if newest is None:
            time.sleep(.005)
            continue
        if step is None:
            step, origin = newest[3], newest[1] - newest[2] * STEP
        due = origin + step * STEP
        wait = (due - now()) / 1e9
        if wait > 0:
            time.sleep(wait)
        with lock:
            newest = chunks[-1]
        if step < newest[2] + STEPS:
            jitter.append((now() - due) / 1e6)
        else:
            starved.append(step)
        step += 1


def reference():
    """What should have left, of what was decided: frozen until the deadline, then over in equal parts."""
    worst, before = 0., None
    for _, pts, first, end, rows, result in chunks:
        new = np.array(decided[result]["actions"]).reshape(STEPS, DIMS)
        expected = new.copy()
        for i in range(STEPS):
            old = before[1][first + i - before[0]] if before and 0 <= first + i - before[0] < STEPS else None
            if old is None:
                continue
            share = 0 if first + i < end else min((first + i - end + 1) / (options.overlap + 1), 1)
            expected[i] = old + share * (new[i] - old)
        worst = max(worst, float(np.abs(rows - expected).max()))
        before = (first, expected)
    return worst


for name, function in (("actions", on_chunk), ("json", on_json)):
    pipeline.get_by_name(name).connect("new-sample", function)
pipeline.get_by_name("video").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, count_frame)
load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.load)]
jitter, starved, qos, errors = [], [], 0, []
pipeline.set_state(Gst.State.PLAYING)
pipeline.get_state(10 * Gst.SECOND)
threads = [threading.Thread(target=feed, daemon=True), threading.Thread(target=play, args=(jitter, starved), daemon=True)]
for thread in threads:
    thread.start()
end = time.monotonic() + options.seconds
while time.monotonic() < end and not errors:
    message = bus.timed_pop_filtered(100 * Gst.MSECOND, Gst.MessageType.ERROR | Gst.MessageType.WARNING | Gst.MessageType.QOS)
    if message and message.type == Gst.MessageType.QOS:
        qos += message.src.get_name() == "g"    # the encoder has its own
    elif message and message.type == Gst.MessageType.ERROR:
        errors.append(message.parse_error()[0].message)
    elif message:
        print("WARNING", message.parse_warning(), file=sys.stderr)
stop.set()
for thread in threads:
    thread.join()
stats = pipeline.get_by_name("g").get_property("stats")
if options.bin:
    stats = stats.get_value("generator")
late = stats.get_uint64("late-chunks")[1]
pipeline.set_state(Gst.State.NULL)
for process in load:
    process.kill()

if not chunks:
    sys.exit(f"actions.py: no chunk came {errors}")
took = np.array([(c[0] - c[1]) / 1e6 for c in chunks])
too_late = sum(int(c[0] > c[1] + (i - c[2]) * STEP) for c in chunks for i in range(c[3], c[2] + STEPS))
wrong = sorted(r["result"] for r in decided.values() if r["kind"] == "error")
p50, p99, most = (float(np.percentile(np.abs(jitter), p)) for p in (50, 99, 100))
worst = reference()
seconds = (chunks[-1][0] - chunks[0][0]) / 1e9
print(f"{options.seconds} s, deadline {options.deadline} ms: camera {frames[0] / options.seconds:.1f} frames a second; "
      f"{len(chunks)} chunks, {(len(chunks) - 1) / seconds:.2f} a second; {late} late, {qos} QOS messages; "
      f"{len(wrong)} errors {wrong[:1]}")
print(f"a chunk came {np.percentile(took, 50):.1f} ms after its frame, p99 {np.percentile(took, 99):.1f}, most {took.max():.1f}")
print(f"{len(jitter)} steps played, {len(starved)} that no chunk had; jitter p50 {p50:.2f} ms, p99 {p99:.2f}, most {most:.2f}")
print(f"{too_late} new steps came after their time; what left differs from numpy's by {worst:.1e} at most")
sys.stdout.flush()
folder.cleanup()
os._exit(1 if errors or too_late or p99 >= 5 or worst > 1e-4 or late != qos else 0)
