# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes clips of cut-outs and backgrounds that training never saw as H.264 files, for the program to be asked about.

    python training/watcher/heldout.py --work DIR --output CLIPS [--count 300]
    python3 bench/eval/run.py motion --task event --files CLIPS --tsv CLIPS/event.tsv --model ... --mmproj ...
    python3 bench/eval/run.py motion --task camera-motion --files CLIPS --tsv CLIPS/camera.tsv ...

Four seconds at ten frames a second, 512 x 288, as many of each event; camera.tsv leaves out clips for which there is no one word.
"""

import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common       # noqa: E402

SIZE, RATE, SECONDS = (512, 288), 10, 4


def write(path, frames):
    """`frames`: uint8 [n, H, W, 3]."""
    height, width = frames.shape[1:3]
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(RATE),
               "-i", "-",
               "-c:v", "libx264", "-crf", "27", "-pix_fmt", "yuv420p", path]
    subprocess.run(command, input=frames.tobytes(), check=True)


def main():
    arguments = argparse.ArgumentParser(description="Write held-out clips as files.")
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--output", required=True)
    arguments.add_argument("--count", type=int, default=300)
    options = arguments.parse_args()
    common.settle()
    import numpy as np
    import events
    import materials

    stuff = materials.Materials(options.work, "val")
    os.makedirs(options.output, exist_ok=True)
    tables = {"event": [], "camera": [], "movers": []}
    for i in range(options.count):
        rng = np.random.default_rng((78, i))
        first, second, truth, _ = events.clip(stuff, rng, SIZE, SECONDS * RATE // 2, float(SECONDS),
                                              events.EVENTS[i % len(events.EVENTS)])
        name = f"{i:04}-{truth['event'].replace(' ', '-')}.mp4"
        write(os.path.join(options.output, name), np.stack((first, second), 1).reshape(-1, *first.shape[1:]))
        for key in tables:
            if truth[key] is not None:
                tables[key].append(f"{name}\t{truth[key]}\n")
    for key, lines in tables.items():
        with open(os.path.join(options.output, key + ".tsv"), "w") as f:
            f.writelines(lines)


if __name__ == "__main__":
    main()
