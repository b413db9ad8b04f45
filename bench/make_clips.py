# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make evaluation clips out of the validation photographs: 8 frames at 2 a second, lossless, with references.

python bench/make_clips.py --output DIR [--count 100] [--kinds pan,cut,enter]

pan     a crop window moves and zooms over one photograph
cut     four frames of one photograph, then four of another, both panned
enter   a piece of a second photograph slides in over the first, which moves slowly

DIR/references.tsv has file, shot, caption. A clip made of two photographs has two shots; a caption of it is
scored against each shot's references, and the two scores are averaged. What changes in `cut` and `enter` is what
temporal merging has to keep; in `pan` nothing ever happens.
"""

import argparse
import io
import os
import random
import subprocess
import tarfile

from PIL import Image

FRAMES, SIZE, RATE = 8, 224, 2


def photographs(data):
    captions = {}
    with open(os.path.join(data, "flickr8k", "val.tsv"), encoding="utf8") as f:
        for line in f:
            name, caption = line.rstrip("\n").split("\t", 1)
            captions.setdefault(name, []).append(caption)
    images = {}
    with tarfile.open(os.path.join(data, "flickr8k", "val.tar")) as archive:
        for member in archive:
            if member.isfile():
                image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
                images[os.path.basename(member.name)] = image
    return [(n, images[n], captions[n]) for n in sorted(captions)]


def pan(image, frames, rng, smallest=150, largest=190):
    """A square window from one random place and size to another."""
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


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default=os.path.join(here, "..", "..", "shared", "data"))
    a.add_argument("--output", required=True)
    a.add_argument("--count", type=int, default=100, help="clips of each kind")
    a.add_argument("--kinds", default="pan,cut,enter")
    a.add_argument("--seed", type=int, default=1)
    options = a.parse_args()
    os.makedirs(options.output, exist_ok=True)
    photos = photographs(options.data)
    with open(os.path.join(options.output, "references.tsv"), "w", encoding="utf8") as table:
        for kind in options.kinds.split(","):
            rng = random.Random(f"{kind} {options.seed}")
            chosen = rng.sample(range(len(photos)), min(options.count, len(photos)))
            for number, at in enumerate(chosen):
                first = photos[at]
                second = photos[(at + 1 + rng.randrange(len(photos) - 1)) % len(photos)]
                if kind == "pan":
                    frames, shots = pan(first[1], FRAMES, rng), [first]
                elif kind == "cut":
                    frames, shots = pan(first[1], 4, rng) + pan(second[1], 4, rng), [first, second]
                elif kind == "enter":
                    frames, shots = enter(first[1], second[1], rng), [first, second]
                else:
                    raise SystemExit(f"{kind}: not one of pan, cut, enter")
                name = f"{kind}-{number:04d}.mkv"
                write(frames, os.path.join(options.output, name))
                for shot, (_, _, captions) in enumerate(shots):
                    for caption in captions:
                        table.write(f"{name}\t{shot}\t{caption}\n")


if __name__ == "__main__":
    main()
