#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern caption --budget` spends on what happens: a still clip, one in which little happens, a busy one.

  clips FOLDER          still.mp4, few.mp4 and busy.mp4 in it, made by gate.py: a camera that stands still, with noise, flicker and
                        exposure steps, in H.264 of few bits; nothing, something every 30 s, something every 1.5 s comes or
                        goes. Needs numpy and ffmpeg
  run FOLDER            a row for each clip and each of --budgets (0: none): CPU seconds of the program as the kernel counts them
                        (getrusage, loading and decoding of the video among them), what the account says was spent and had come
                        in, frames encoded, tokens read, windows answered, events missed

An event is missed when neither the window that it is in nor the next one is answered: `unchanged` and `budget` are no answers.
--build DIR (build), --gate MODE, --model and --mmproj as of tern caption. One thread. The first row of a clip is what the others
are compared with.
"""
import argparse
import json
import os
import re
import resource
import subprocess
import sys

import gate

CLIPS = (("still", 0), ("few", 30), ("busy", 1.5))      # seconds between events; 0: none
MESSAGE = re.compile(r"budget: ([\d.]+) s of a core came in, ([\d.]+) s were spent \(([\d.]+) encoding.*; "
                     r"frames: (\d+) encoded, (\d+) put off; windows: (\d+) answered, (\d+) put off; tokens: (\d+) spared")


def make_clips(o):
    os.makedirs(o.folder, exist_ok=True)
    for name, every in CLIPS:
        gate.make_clip(argparse.Namespace(files=[f"{o.folder}/{name}.mp4"], seed=o.seed, width=o.width, height=o.height,
                                          seconds=o.seconds, events=2 * int((o.seconds - 10) / every / 2) if every else 0,
                                          contrast=30., noise=4., flicker=3., bitrate=150, picture=None))


def caption(o, clip, budget):
    """CPU seconds, lines, and what the account says or None."""
    command = [f"{o.build}/tools/tern", "caption", "--threads", "1", "--gate", o.gate]
    for name in ("model", "mmproj"):
        if getattr(o, name):
            command += [f"--{name}", getattr(o, name)]
    if budget:
        command += ["--budget", str(budget)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command + [clip], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    account = MESSAGE.search(done.stderr)
    if budget and not account:
        sys.exit(f"no account in: {done.stderr}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            [json.loads(line) for line in done.stdout.splitlines()], account and [float(x) for x in account.groups()])


def told(lines):
    return [line["finish_reason"] not in ("unchanged", "budget") for line in lines]


def missed(events, lines):
    answered, n = told(lines), 0
    for event in events:
        at = [i for i, line in enumerate(lines) if line["start"] <= event < line["end"]]
        n += not any(answered[i] or (i + 1 < len(lines) and answered[i + 1]) for i in at)
    return n


def run(o):
    print("| clip | budget | CPU s | counted s | came in s | spent of it | frames encoded | tokens read | windows answered | "
          "events missed |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, _ in CLIPS:
        clip = f"{o.folder}/{name}.mp4"
        with open(clip + ".events") as file:
            events = json.load(file)
        for budget in o.budgets:
            cpu, lines, account = caption(o, clip, budget)
            came, spent, _, encoded, *_ = account or [0, 0, 0, 0]
            row = (name, f"{budget:g}" if budget else "-", f"{cpu:.2f}", f"{spent:.2f}" if account else "-",
                   f"{came:.2f}" if account else "-", f"{spent / came:.2f}" if account else "-",
                   f"{encoded:.0f}" if account else "-",
                   sum(line["visual_kept"] for line, is_told in zip(lines, told(lines)) if is_told),
                   f"{sum(told(lines))} of {len(lines)}", f"{missed(events, lines)} of {len(events)}")
            print("| " + " | ".join(str(x) for x in row) + " |", flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"clips": make_clips, "run": run}
    a.add_argument("what", choices=commands)
    a.add_argument("folder")
    a.add_argument("--build", default="build")
    a.add_argument("--gate", default="auto", choices=("auto", "on", "off"))
    a.add_argument("--budgets", type=float, nargs="+", default=[0, .02, .01, .005])
    for name, default in (("seconds", 300), ("seed", 1), ("width", 480), ("height", 270)):
        a.add_argument(f"--{name}", type=int, default=default)
    for name in ("model", "mmproj"):
        a.add_argument(f"--{name}")
    o = a.parse_args()
    commands[o.what](o)


if __name__ == "__main__":
    main()
