# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py motion-clips`: makes clips whose camera moves as their label says, out of photographs.

usage: run.py motion-clips [--files FOLDER|TAR --tsv TSV] --output DIR [--count 10] [--seed 1]

4 s at 12 frames a second, 224 pixels, H.264; DIR/labels.tsv has file<TAB>label for `run.py motion`. Of the table only the
names of photographs matter. Pan right: the camera turns right, what is seen moves left; tilt up: what is seen moves down. A
view travels a quarter to a half of its own side, a zoom enlarges 1.3 to 1.8 times, both at even speed; a cut comes in the second
or third second; all have a sensor's noise of 1 to 6 of 255, half of them a hand that trembles by up to a pixel. It shares nothing
with the clips that training renders, so that a model is not measured by what it was made with. Needs Pillow, numpy, ffmpeg.
"""
import clips
import labelled

arguments = labelled.arguments
LABELS = ("still", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "cut")
RATE, FRAMES = 12, 48


def views(label, rng):
    """(left, top, side) of each frame, in pixels of the photograph."""
    side = rng.uniform(110, 140)
    if label.startswith("zoom"):
        sides = [rng.uniform(190, 222), 0]
        sides[1] = sides[0] / rng.uniform(1.3, 1.8)
        sides = sides if label == "zoom in" else sides[::-1]
        travel = 0.
    else:
        sides = [side, side] if label not in ("still", "cut") else [rng.uniform(140, 222)] * 2
        travel = side * rng.uniform(.25, .5)
    room = clips.SIZE - max(sides)
    across, down = rng.uniform(0, room), rng.uniform(0, room)
    along = rng.uniform(0, clips.SIZE - side - travel) if label[:3] in ("pan", "til") else 0.
    ends = {"pan right": (along, along + travel), "tilt down": (along, along + travel), "pan left": (along + travel, along),
            "tilt up": (along + travel, along)}.get(label)
    shaken, out = rng.choice((0., rng.uniform(.2, 1))), []
    for i in range(FRAMES):
        t = i / (FRAMES - 1)
        now = sides[0] + (sides[1] - sides[0]) * t
        middle = (max(sides) - now) / 2         # a zoom keeps its middle
        place = [across + middle, down + middle]
        if ends:
            place[label.startswith("tilt")] = ends[0] + (ends[1] - ends[0]) * t
        out.append([min(max(0., p + shaken * rng.uniform(-1, 1)), clips.SIZE - now) for p in place] + [now])
    return out


def render(label, first, second, rng):
    """uint8 [FRAMES, h, w, 3] of a clip of one photograph, or of two where it is cut."""
    import numpy as np
    from PIL import Image

    noise, grain = rng.uniform(1, 6), np.random.default_rng(rng.randrange(2 ** 32))
    change, out = rng.randrange(RATE, 3 * RATE) if label == "cut" else FRAMES, []
    for i, (left, top, side) in enumerate(views(label, rng)):
        seen = (first if i < change else second).resize((clips.SIZE,) * 2, Image.BICUBIC, box=(left, top, left + side, top + side))
        out.append(labelled.noisy(np.asarray(seen, dtype=np.float64), noise, grain))
    return out


def main(options):
    labelled.make(options, LABELS, "two", 2, lambda label, photos, rng: (render(label, *photos, rng), (clips.SIZE,) * 2), RATE)
    return None, None
