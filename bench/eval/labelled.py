# SPDX-License-Identifier: LGPL-2.1-or-later
"""A folder of clips, so many of each label, made out of photographs: what `run.py motion-clips` and `event-clips` have in common."""
import os
import random
import subprocess

import clips
import tables


def arguments(parser):
    parser.add_argument("--output", required=True, help="the folder for clips and labels.tsv")
    parser.add_argument("--count", type=int, default=10, help="clips of each label (10)")
    parser.add_argument("--seed", type=int, default=1)


def noisy(picture, much, grain):
    """uint8 of a picture (numbers of 0 to 255) as a sensor gives it; `grain`: numpy's generator."""
    import numpy as np

    return np.clip(picture + grain.normal(0, much, picture.shape) + .5, 0, 255).astype(np.uint8)


def write(frames, size, rate, path, crf):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(rate),
                    "-i", "-", "-c:v", "libx264", "-threads", "1", "-crf", str(crf), "-pix_fmt", "yuv420p", path],
                   input=b"".join(f.tobytes() for f in frames), check=True)


def make(options, labels, word, needed, render, rate):
    """`render(label, photographs, rng)`, of `needed` (`word` in messages) photographs: (uint8 frames [h, w, 3], (width, height))."""
    photos = clips.photographs(options)
    if len(photos) < needed or options.count < 1:
        raise tables.Wrong(f"expected {word} photographs and one clip of each label or more, found {len(photos)} and {options.count}")
    os.makedirs(options.output, exist_ok=True)
    with open(os.path.join(options.output, "labels.tsv"), "w", encoding="utf8") as table:
        for label in labels:
            rng = random.Random(f"{label} {options.seed}")
            for number in range(options.count):
                mine = [photos[i][1] for i in rng.sample(range(len(photos)), needed)]
                name = f"{label.replace(' ', '-')}-{number:03d}.mp4"
                frames, size = render(label, mine, rng)
                write(frames, size, rate, os.path.join(options.output, name), rng.randrange(20, 33))
                table.write(f"{name}\t{label}\n")
