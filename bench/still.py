#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` on a camera before which almost nothing happens: an hour of a room with a table, and somebody who comes and goes
six times (pipelines/data/people.mp4: filmed, not drawn). Whether a search for people finds each, what else it finds, and what
the gate costs and saves. The hour goes by as fast as the machine looks at it. Needs ffmpeg.

usage: still.py TERN [--minutes M] [--events N] [--sample S] [--seed N] [--model F --mmproj F]
       (60 minutes, 6 events; the gate off is taken from --sample (300) seconds, and scaled)
"""
import argparse
import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/watch"))
import watching  # noqa: E402

CLIP = pathlib.Path(__file__).resolve().parent.parent / "pipelines/data/people.mp4"
VISITS = ((1.5, 15.0), (18.0, 6.0))             # of the clip: begin, s; who comes, stays and goes
WORDS = ("person", "people", "man", "woman", "boy", "girl", "child", "lady", "guy")
FPS, SIZE = 4, "384:216"
# What no camera is without: grain, and light that comes and goes.
NATURE = "noise=alls=6:allf=t+u,eq=brightness='0.03*sin(t/97)+0.01*sin(t/7)':eval=frame"


def draw(options):
    """(begin, s, of the clip) of events, a minute apart at least."""
    rng = random.Random(options.seed)
    free = options.minutes * 60 - 60 * (options.events + 1) - sum(VISITS[i % 2][1] for i in range(options.events))
    cuts = sorted(rng.uniform(0, free) for _ in range(options.events))
    found, used = [], 0
    for i, cut in enumerate(cuts):
        begin, seconds = VISITS[i % 2]
        found.append((60 * (i + 1) + cut + used, seconds, begin))
        used += seconds
    return found


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, args)], check=True)


def film(options, events, folder):
    """The clip, and its beginning alone."""
    empty, whole, part = (f"{folder}/{name}" for name in ("empty.png", "still.mp4", "part.mp4"))
    ffmpeg("-i", CLIP, "-frames:v", 1, empty)
    inputs, at = [], 0
    for begin, seconds, first in [*events, (options.minutes * 60, 0, 0)]:
        inputs += ["-loop", 1, "-framerate", FPS, "-t", begin - at, "-i", empty]
        if seconds:
            inputs += ["-ss", first, "-t", seconds, "-i", CLIP]
        at = begin + seconds
    n = inputs.count("-i")
    each = "".join(f"[{i}:v]fps={FPS},scale={SIZE},format=yuv420p,setsar=1[v{i}];" for i in range(n))
    graph = each + "".join(f"[v{i}]" for i in range(n)) + f"concat=n={n}:v=1,{NATURE}[out]"
    ffmpeg(*inputs, "-filter_complex", graph, "-map", "[out]", "-c:v", "libx264", "-preset", "veryfast", "-crf", 28, whole)
    ffmpeg("-i", whole, "-t", options.sample, "-c", "copy", part)
    return whole, part


def watch(options, folder, clip, gate):
    """Its results, and the CPU seconds of all of it."""
    place = pathlib.Path(folder) / gate
    place.mkdir()
    watching.MODEL = "".join(f"{key}={value}\n" for key, value in (("model", options.model), ("mmproj", options.mmproj)) if value)
    one = watching.Watch(options.tern, place, watching.camera("still", f"gate={gate}", clip))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one.start()
    if one.wait(36000) != 0:
        sys.exit(f"tern watch failed: {one.words()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return one, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def hits(options, one, word):
    run = subprocess.run([options.tern, "search", "--config", one.config, "--json", "--limit", "1000", word], capture_output=True,
                         text=True, check=True, env=one.env)
    return [json.loads(line) for line in run.stdout.splitlines()]


def seconds_of(hit, zero):
    import datetime
    parse = datetime.datetime.fromisoformat
    return tuple((parse(hit[key]) - zero).total_seconds() for key in ("start", "end"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tern")
    for name, value in (("--minutes", 60), ("--events", 6), ("--sample", 300), ("--seed", 1)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--model")
    parser.add_argument("--mmproj")
    options = parser.parse_args()
    events = draw(options)
    with tempfile.TemporaryDirectory(prefix="tern-still-") as folder:
        whole, part = film(options, events, folder)
        one, cpu = watch(options, folder, whole, "auto")
        off, cpu_off = watch(options, folder, part, "off")
        sys.exit(not report(options, events, one, cpu, cpu_off))


def report(options, events, one, cpu, cpu_off):
    import datetime

    zero = datetime.datetime.fromtimestamp(one.rows("SELECT min(start) FROM result")[0][0] / 1e6, datetime.timezone.utc)
    said = {}
    for word in WORDS:
        for hit in hits(options, one, word):
            said[seconds_of(hit, zero)] = hit["text"]
    found = [[text for (start, end), text in said.items() if start < begin + seconds and end > begin]
             for begin, seconds, _ in events]
    false = [(start, text) for (start, end), text in sorted(said.items())
             if not any(start < begin + seconds and end > begin for begin, seconds, _ in events)]
    rows = one.rows("SELECT fresh FROM result")
    whole = options.minutes * 60
    print(f"minutes, windows, of which with something new     {options.minutes}, {len(rows)}, {sum(r[0] for r in rows)}")
    print(f"events, found by a search for people              {len(events)}, {sum(map(bool, found))}")
    print(f"hits without an event                             {len(false)}")
    print(f"CPU s an hour, gate as it is, and off             {cpu * 3600 / whole:.0f}, {cpu_off * 3600 / options.sample:.0f}")
    for (begin, _, _), texts in zip(events, found):
        print(f"    {begin:7.1f} s: {texts[0] if texts else '-'}")
    for start, text in false:
        print(f"    {start:7.1f} s, without an event: {text}")
    return all(found) and len(false) <= 2


if __name__ == "__main__":
    main()
