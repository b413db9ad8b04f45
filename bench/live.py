#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a live camera of 1280 x 720 at 30 frames a second meets behind terncaption.

  record [SECONDS]    into Matroska, MP4, fragmented MP4 and textoverlay, with default queues: frames and cues that
                      came out, the camera's longest pause, how long the end took
  pass [SECONDS]      frames that passed, and how long each took from the camera to behind terncaption
  held [SECONDS]      as a file, and with --live: frames that carry the result of their own window, and the most that was held
  latency [SECONDS]   every pad into a sink with sync=true: what json_src answers to LATENCY, and frames that came

--build DIR (build). --fake takes the plugin over tests/elements/fake-tern.c, whose answers take TERN_FAKE_GENERATE_MS.
Needs python3-gi, ffmpeg and x264enc (gstreamer1.0-plugins-ugly); run by hand, with the system's Python.
"""
import argparse
import os
import resource
import subprocess
import sys
import threading
import time

import plugin

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("what", choices=("record", "latency", "pass", "held"))
a.add_argument("seconds", type=int, nargs="?", default=30)
a.add_argument("--build", default="build")
a.add_argument("--fake", action="store_true")
a.add_argument("--size", default="1280x720", help="WxH, of held")
a.add_argument("--max-held-bytes", default="0", help="of held")
a.add_argument("--live", action="store_true", help="held: as a camera, attach=window, into a sink with sync=true")
options = a.parse_args()
build = os.path.abspath(options.build)
Gst, folder = plugin.load(options.build, options.fake), plugin.FOLDER
FRAMES = options.seconds * 30
CAMERA = (f"videotestsrc is-live=true num-buffers={FRAMES} ! video/x-raw,format=I420,width=1280,height=720,framerate=30/1 "
          "! identity name=camera ! terncaption name=c")
ENCODER = "videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! h264parse"


def count(command):
    return int(subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip() or 0)


def times_at(pipeline, element, pad):
    times = []

    def see(pad, info):
        times.append(time.monotonic())
        return Gst.PadProbeReturn.OK
    pipeline.get_by_name(element).get_static_pad(pad).add_probe(Gst.PadProbeType.BUFFER, see)
    return times


def run(pipeline, camera):
    """Until the end, or 20 s after the camera should have ended. Returns seconds that the end took, results, errors."""
    bus, results, errors, took = pipeline.get_bus(), 0, [], None
    pipeline.set_state(Gst.State.PLAYING)
    deadline = time.monotonic() + options.seconds + 20
    while took is None and time.monotonic() < deadline:
        message = bus.timed_pop(100 * Gst.MSECOND)
        if not message:
            continue
        if message.type == Gst.MessageType.EOS:
            took = time.monotonic() - camera[-1]
        elif message.type == Gst.MessageType.ERROR:
            errors.append(message.parse_error()[0].message)
            break
        elif message.type == Gst.MessageType.LATENCY:
            pipeline.recalculate_latency()
        elif message.type == Gst.MessageType.ELEMENT:
            results += message.get_structure().get_name() == "tern-result"
    threading.Thread(target=pipeline.set_state, args=(Gst.State.NULL,), daemon=True).start()
    return took, results, errors


def record():
    file, bad = folder.name + "/record", 0
    sink = f"m. c.text_src ! queue ! m. %s name=m ! filesink location={file}"
    ways = (("Matroska", f"! queue ! {ENCODER} ! " + sink % "matroskamux"),
            ("MP4", f"! {ENCODER} ! queue ! " + sink % "mp4mux"),
            ("fragmented MP4", f"! {ENCODER} ! queue ! " + sink % "mp4mux fragment-duration=1000"),
            ("textoverlay", "! queue ! o.video_sink c.text_src ! queue ! o.text_sink textoverlay name=o ! fakesink name=out"))
    for name, rest in ways:
        pipeline = Gst.parse_launch(CAMERA + " " + rest)
        camera, text = times_at(pipeline, "camera", "src"), []
        if name == "textoverlay":
            out, text = times_at(pipeline, "out", "sink"), times_at(pipeline, "c", "text_src")
        took, results, errors = run(pipeline, camera)
        if name == "textoverlay":
            frames, cues = len(out), len(text)
        else:
            frames = count(f"ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of "
                           f"csv=p=0 {file}")
            cues = count(f"ffmpeg -v error -y -i {file} -map 0:s:0 -f srt - | grep -c -- '-->'")
        pause = max((b - a for a, b in zip(camera, camera[1:])), default=0)
        good = took is not None and took < 1 and frames == FRAMES and cues == results and not errors
        bad += not good
        print(f"{name:15} {'ok   ' if good else 'WRONG'} frames {frames} of {FRAMES}, cues {cues} of {results}, longest pause "
              f"of the "
              f"camera {pause:.2f} s, end after {'-' if took is None else f'{took:.2f} s'} {' '.join(errors)}", flush=True)
    return bad


def latency():
    pipeline = Gst.parse_launch(CAMERA + " ! queue ! fakesink sync=true c.json_src ! queue ! fakesink sync=true "
                                         "c.text_src ! queue ! fakesink sync=true")
    camera, answers, stop = times_at(pipeline, "camera", "src"), [], threading.Event()

    def ask():
        while not stop.wait(1):
            query = Gst.Query.new_latency()
            if pipeline.get_by_name("c").get_static_pad("json_src").query(query):
                answers.append(query.parse_latency()[1])
    threading.Thread(target=ask, daemon=True).start()
    took, results, errors = run(pipeline, camera)
    stop.set()
    good = took is not None and len(camera) == FRAMES and len(set(answers[1:])) == 1 and not errors
    print(f"{'ok' if good else 'WRONG'}: json_src answered {sorted({round(x / 1e9, 3) for x in answers})} s over {len(answers)} s, "
          f"camera frames {len(camera)} of {FRAMES}, results {results} {' '.join(errors)}")
    return not good


def through():
    pipeline = Gst.parse_launch(CAMERA + " ! fakesink name=out sync=false")
    came, took_each, work_each = {}, [], []

    def see_in(pad, info):
        came[info.get_buffer().pts] = time.monotonic(), time.thread_time()
        return Gst.PadProbeReturn.OK

    def see_out(pad, info):
        at, work = came.pop(info.get_buffer().pts)
        took_each.append(time.monotonic() - at)
        work_each.append(time.thread_time() - work)     # the same thread
        return Gst.PadProbeReturn.OK
    camera = times_at(pipeline, "camera", "src")
    pipeline.get_by_name("camera").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, see_in)
    pipeline.get_by_name("c").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, see_out)
    took, results, errors = run(pipeline, camera)
    each, work = sorted(took_each) or [0], sorted(work_each) or [0]
    p99 = each[len(each) * 99 // 100]
    good = took is not None and len(took_each) == FRAMES and p99 < 1e-3 and not errors
    print(f"{'ok' if good else 'WRONG'}: {len(took_each)} of {FRAMES} frames passed, each took "
          f"{each[len(each) // 2] * 1e3:.3f} ms (median), "
          f"{p99 * 1e3:.3f} (p99), {each[-1] * 1e3:.3f} (longest), of which the thread ran {work[len(work) // 2] * 1e3:.3f}, "
          f"{work[len(work) * 99 // 100] * 1e3:.3f}, {work[-1] * 1e3:.3f}; results {results} {' '.join(errors)}")
    return not good


def held():
    width, height = options.size.split("x")
    live = str(options.live).lower()
    pipeline = Gst.parse_launch(f"videotestsrc is-live={live} num-buffers={FRAMES} ! "
                                f"video/x-raw,format=I420,width={width},height={height},"
                                f"framerate=30/1 ! identity name=camera ! terncaption name=c attach=window "
                                f"max-held-bytes={options.max_held_bytes} ! fakesink name=out sync={live} signal-handoffs=true")
    camera, frames, own, most = times_at(pipeline, "camera", "src"), [], [], []

    def see(sink, buffer, pad):
        meta = buffer.get_custom_meta("TernResultMeta")
        start, end = (meta.get_structure().get_double(name)[1] for name in ("start", "end")) if meta else (0, 0)
        frames.append(buffer.pts)
        own.append(start * Gst.SECOND - 2 <= buffer.pts < end * Gst.SECOND + 2)
        if len(frames) == FRAMES:       # afterwards it is forgotten
            stats = pipeline.get_by_name("c").get_property("stats")
            most.append(stats.get_value("attach").get_uint64("most-held-bytes")[1] / 1e6)
    pipeline.get_by_name("out").connect("handoff", see)
    took, results, errors = run(pipeline, camera)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    good = took is not None and len(frames) == FRAMES == sum(own) and not errors
    print(f"{'ok' if good else 'WRONG'}: {options.size}: {sum(own)} of {len(frames)} of {FRAMES} frames carry the result of their "
          f"own window, most held {sum(most):.0f} MB, peak RSS {rss:.0f} MB, results {results} {' '.join(errors)}")
    return not good


status = {"record": record, "latency": latency, "pass": through, "held": held}[options.what]()
sys.stdout.flush()
folder.cleanup()
os._exit(1 if status else 0)
