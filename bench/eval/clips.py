# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py clips`: makes evaluation clips out of photographs: 8 frames at 2 a second, lossless, with references.

usage: run.py clips [--files FOLDER|TAR --tsv TSV] --output DIR [--count 100] [--kinds pan,cut,enter]

pan     a crop window moves and zooms over one photograph
cut     four frames of one photograph, then four of another, both panned
enter   a piece of a second photograph slides in over the first, which moves slowly

DIR/references.tsv has file, shot, caption. A clip made of two photographs has two shots; a caption of it is
scored against each shot's references, and the two scores are averaged. What changes in `cut` and `enter` is what
temporal merging has to keep; in `pan` nothing ever happens. `run.py compression` scores them. Needs Pillow and ffmpeg.
"""
import os
import random
import subprocess

import files
import tables

FRAMES, SIZE, RATE = 8, 224, 2
KINDS = ("pan", "cut", "enter")


def arguments(parser):
    parser.add_argument("--output", required=True, help="the folder for clips and references.tsv")
    parser.add_argument("--count", type=int, default=100, help="clips of each kind (100)")
    parser.add_argument("--kinds", default="pan,cut,enter", help="(pan,cut,enter)")
    parser.add_argument("--seed", type=int, default=1)


def photographs(options):
    """[(name, image, captions)], sorted by name."""
    from PIL import Image, ImageOps

    def square(image):
        return image if image.size == (SIZE, SIZE) else ImageOps.fit(image, (SIZE, SIZE))

    captions = tables.groups(options.tsv)
    names = sorted(captions)[: options.limit]
    with files.opened(options.files) as where:
        return [(name, square(Image.open(path).convert("RGB")), captions[name]) for name, path in zip(names, where(names))]


def pan(image, frames, rng, smallest=150, largest=190):
    """A square window from one random place and size to another."""
    from PIL import Image

    sides = [rng.uniform(smallest, largest) for _ in range(2)]
    ends = [(rng.uniform(0, SIZE - s), rng.uniform(0, SIZE - s)) for s in sides]
    out = []
    for i in range(frames):
        t = i / max(1, frames - 1)
        side = sides[0] + (sides[1] - sides[0]) * t
        x, y = (a + (b - a) * t for a, b in zip(*ends))
        out.append(image.resize((SIZE, SIZE), Image.BILINEAR, box=(x, y, x + side, y + side)))
    return out


def enter(back, front, rng):
    """The middle of `front`, two thirds of the frame high, comes in from one side and stays."""
    from PIL import Image

    piece = front.crop((32, 32, 192, 192)).resize((150, 150), Image.BILINEAR)
    frames = pan(back, FRAMES, rng, 200, 224)
    left = rng.random() < 0.5
    y = rng.randrange(10, SIZE - 150 - 10)
    for i, frame in enumerate(frames):
        t = min(1.0, max(0.0, (i - 1) / 5))
        x = int(-150 + t * 190) if left else int(SIZE - t * 190)
        if t > 0:
            frame.paste(piece, (x, y))
    return frames


def write(frames, path):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE}x{SIZE}", "-r", str(RATE),
               "-i", "-", "-c:v", "ffv1", "-pix_fmt", "bgr0", path]
    subprocess.run(command, input=b"".join(f.tobytes() for f in frames), check=True)


def shots(kind, photos, at, rng):
    """(frames, the photographs that are seen)"""
    first, second = photos[at], photos[(at + 1 + rng.randrange(len(photos) - 1)) % len(photos)]
    if kind == "pan":
        return pan(first[1], FRAMES, rng), [first]
    if kind == "cut":
        return pan(first[1], 4, rng) + pan(second[1], 4, rng), [first, second]
    return enter(first[1], second[1], rng), [first, second]


def main(options):
    kinds = options.kinds.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise tables.Wrong(f"--kinds: expected some of {', '.join(KINDS)}, found \"{tables.shown(kind)}\"")
    photos = photographs(options)
    if len(photos) < 2:
        raise tables.Wrong(f"{options.tsv}: expected two photographs or more, found {len(photos)}")
    os.makedirs(options.output, exist_ok=True)
    with open(os.path.join(options.output, "references.tsv"), "w", encoding="utf8") as table:
        for kind in kinds:
            rng = random.Random(f"{kind} {options.seed}")
            chosen = rng.sample(range(len(photos)), min(options.count, len(photos)))
            for number, at in enumerate(chosen):
                frames, seen = shots(kind, photos, at, rng)
                name = f"{kind}-{number:04d}.mkv"
                write(frames, os.path.join(options.output, name))
                for shot, (_, _, captions) in enumerate(seen):
                    for caption in captions:
                        table.write(f"{name}\t{shot}\t{caption}\n")
    return None, None
