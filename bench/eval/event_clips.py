# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py event-clips`: makes clips in which one thing happens, as their label says, out of photographs.

usage: run.py event-clips [--files FOLDER|TAR --tsv TSV] --output DIR [--count 10] [--seed 1]

4 s at 12 frames a second, 320 x 240, 384 x 216 or 256 x 256 pixels, H.264; DIR/labels.tsv has file<TAB>label for `run.py motion
--task event`. Of the table only the names of photographs matter. Behind everything is a photograph or one colour; what moves is a piece
of another photograph or one colour, round, square or three-cornered, a sixth to a half of the picture's height. All that happens is over
or well under way 3.5 s after the beginning, and everything has a sensor's noise of 1 to 5 of 255. It shares nothing with the clips that
training renders. Needs Pillow, numpy, ffmpeg.
"""
import math

import clips
import labelled

arguments = labelled.arguments
LABELS = ("nothing", "enters", "leaves", "passes", "moves", "stops", "starts", "camera moves", "shake", "cut", "fade", "lights", "blur",
          "covered", "frozen")
MOVING = LABELS[1:7]
RATE, FRAMES = 12, 48
SHAPES = ((320, 240), (384, 216), (256, 256))


def way(label, size, half, rng):
    """[(x, y)] of a thing's middle in each frame; `half`: half its side. Pixels of a picture of `size`."""
    (w, h), seconds = size, FRAMES / RATE
    here = [(rng.uniform(.2, .8) * w, rng.uniform(.25, .75) * h) for _ in range(2)]
    while math.dist(*here) < .3 * w:
        here[1] = rng.uniform(.1, .9) * w, rng.uniform(.15, .85) * h
    beyond = [(-half - 1, rng.uniform(.2, .8) * h), (w + half + 1, rng.uniform(.2, .8) * h)]
    rng.shuffle(beyond)
    begin, took = rng.uniform(.3, 1.6), rng.uniform(.8, 1.8)
    ends, times = {"enters": ((beyond[0], here[0]), (begin, begin + took)),
                   "leaves": ((here[0], beyond[0]), (begin, begin + took)),
                   "passes": (beyond, (begin / 2, begin / 2 + rng.uniform(1.4, 2.5))),
                   "moves": (here, (0, seconds)),
                   "stops": (here, (0, rng.uniform(1.2, 2.4))),
                   "starts": (here, (rng.uniform(1.6, 2.6), seconds))}[label]
    out = []
    for i in range(FRAMES):
        t = min(max((i / RATE - times[0]) / (times[1] - times[0]), 0), 1)
        out.append(tuple(a + (b - a) * t for a, b in zip(*ends)))
    return out


def filled(photo, size, rng, plain=.25):
    """A picture of `size`: the photograph, cut to that shape, or (`plain`: how often) one colour."""
    from PIL import Image, ImageOps

    if rng.random() < plain:
        return Image.new("RGB", size, tuple(rng.randrange(20, 236) for _ in range(3)))
    return ImageOps.fit(photo, size, Image.BICUBIC)


def thing(photo, size, rng):
    """(picture, mask) of what moves."""
    from PIL import Image, ImageDraw

    side = int(rng.uniform(1 / 6, 1 / 2) * size[1])
    left, top = (rng.randrange(0, clips.SIZE - side) for _ in range(2))
    face = (photo.crop((left, top, left + side, top + side)) if rng.random() < .6
            else Image.new("RGB", (side, side), tuple(rng.randrange(256) for _ in range(3))))
    mask = Image.new("L", (4 * side, 4 * side))
    draw, last = ImageDraw.Draw(mask), 4 * side - 1
    form = rng.randrange(3)
    if form == 0:
        draw.ellipse((0, last // 6, last, last - last // 6), fill=255)
    elif form == 1:
        draw.rectangle((last // 8, 0, last - last // 8, last), fill=255)
    else:
        draw.polygon(((last // 2, 0), (last, last), (0, last)), fill=255)
    return face, mask.resize((side, side), Image.BILINEAR)


def view(photo, size, place, side):
    """What a camera sees that looks at a part of a photograph: `side` of its width, `place` its middle, both as shares."""
    from PIL import Image

    wide = side * clips.SIZE
    high = wide * size[1] / size[0]
    x, y = place[0] * clips.SIZE - wide / 2, place[1] * clips.SIZE - high / 2
    return photo.resize(size, Image.BICUBIC, box=(x, y, x + wide, y + high))


def travelled(photo, size, rng):
    """A pan, a tilt or a zoom at even speed."""
    kind, sign, side = rng.choice(("pan", "tilt", "zoom")), rng.choice((-1, 1)), rng.uniform(.5, .6)
    far = rng.uniform(.12, .19)
    for i in range(FRAMES):
        t = sign * (2 * i / (FRAMES - 1) - 1)
        place = (.5 + far * t * (kind == "pan"), .5 + far * t * (kind == "tilt"))
        yield view(photo, size, place, side * 1.35 ** (t if kind == "zoom" else 0))


def shaken(photo, size, rng):
    """A hand that trembles: three to eight hundredths of the view to and fro."""
    side, far, waves = rng.uniform(.6, .8), rng.uniform(.03, .08), [(rng.uniform(1.5, 4), rng.uniform(0, 6.3)) for _ in range(4)]
    for i in range(FRAMES):
        across, down = (sum(math.sin(2 * math.pi * f * i / RATE + p) for f, p in waves[k:k + 2]) for k in (0, 2))
        yield view(photo, size, (.5 + far / 2 * across * side, .5 + far / 2 * down * side), side)


def scene(label, photos, size, rng):
    """Frames before what happens to whole pictures."""
    # Of one colour nothing is sharp.
    back, (face, mask) = filled(photos[0], size, rng, .25 * (label != "blur")), thing(photos[1], size, rng)
    if label == "camera moves":
        yield from travelled(photos[0], size, rng)
        return
    if label == "shake":
        yield from shaken(photos[0], size, rng)
        return
    for _ in range(rng.randrange(3)):       # what stands there all the while
        other, shape = thing(photos[1], size, rng)
        back.paste(other, (rng.randrange(-20, size[0]), rng.randrange(0, size[1])), shape)
    moves = label if label in MOVING else "moves" if label == "frozen" else None
    places = way(moves, size, face.width / 2, rng) if moves else None
    for i in range(FRAMES):
        frame = back.copy()
        if places:
            frame.paste(face, tuple(round(p - face.width / 2) for p in places[i]), mask)
        yield frame


def changed(label, frames, other, rng):
    """uint8 [FRAMES, h, w, 3]: frames after what happens to whole pictures, noise and all."""
    import numpy as np
    from PIL import ImageFilter

    grain, noise = np.random.default_rng(rng.randrange(2 ** 32)), rng.uniform(1, 5)
    at, slow, out = rng.randrange(RATE, 5 * RATE // 2), rng.uniform(1.2, 2.2) * RATE, []
    outward, dim, white = rng.random() < .6, rng.uniform(.2, .45), 255 * (rng.random() < .25)
    soft, dark, drift = rng.uniform(4, 8), [rng.uniform(0, 60) for _ in range(3)], rng.choice((0, rng.uniform(-.06, .06)))
    for i, frame in enumerate(frames):
        after = i >= at
        if label == "blur" and after:
            frame = frame.filter(ImageFilter.GaussianBlur(min(1, (i - at + 1) / 4) * soft))
        if label == "cut" and after:
            frame = other
        values = np.asarray(frame, dtype=np.float64)
        if label == "nothing":
            values = values * (1 + drift * i / FRAMES)
        elif label == "fade":
            share = min(max((i - at / 2) / slow, 0), 1)
            share = share if outward else 1 - share
            values = values * (1 - share) + white * share
        elif label == "lights" and after == outward:
            values = values * dim
        elif label == "covered" and after:      # something dark slides before the lens within a third of a second
            width = frame.width
            edge = min(1, (i - at + 1) / 4) * width
            values = np.where(np.arange(width)[None, :, None] < edge, np.array(dark), values)
        if label == "frozen" and after:
            out.append(out[-1])
            continue
        out.append(labelled.noisy(values, noise, grain))
    return out


def render(label, photos, rng):
    """(frames, their size) of a clip of three photographs."""
    size = rng.choice(SHAPES)
    return changed(label, scene(label, photos, size, rng), filled(photos[2], size, rng), rng), size


def main(options):
    labelled.make(options, LABELS, "three", 3, render, RATE)
    return None, None
