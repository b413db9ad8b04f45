# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to whole pictures (cuts, fades, lights, blur, a covered lens, a frozen picture), and what happens to every
picture and is no event: noise, rain, flicker, exposure, compression."""

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

import scene


LATEST = 7 / 8      # of a clip: the last of eight frames looks at what begins then
SLOW = 3 / 4        # for what takes its time


def _frame_after(s, least=1, most=LATEST):
    """Index of the first frame in which something has changed: behind some, and not behind `most` of the clip."""
    least = min(least, len(s.times) - 1)
    return int(s.rng.integers(least, max(int(most * len(s.times)), least) + 1))


def _frames_of(s, least, most):
    """How many frames so many seconds are, drawn between two: frames lie further apart in training than in a file."""
    return s.rng.uniform(least, most) * len(s.times) / s.seconds


def cut(s):
    """Another scene from some frame on."""
    other = type(s)(s.materials, s.rng, (s.width, s.height), s.seconds)
    other.furnish()
    s.truth["camera"] = "cut"

    def apply(pixels):
        at = _frame_after(s)
        after, _ = scene.draw(other, s.times[at:])
        pixels[at:] = after
        return pixels, False

    return apply


def fade(s):
    """To one colour, or from it."""
    rng = s.rng
    s.truth["camera"] = None
    colour = float(rng.choice([0, 0, 0, 255])) + rng.uniform(-4, 4)
    outward = rng.random() < 0.6
    s.truth["on"] = not outward

    def apply(pixels):
        n = len(pixels)
        begin, length = rng.uniform(0, 0.4) * n, rng.uniform(0.25, 0.6) * n
        share = np.clip((np.arange(n) - begin) / length, 0, 1)[:, None, None, None]
        share = share if outward else 1 - share
        return pixels * (1 - share) + colour * share, False

    return apply


def lights(s):
    """Switched within a frame: by so much that the scene is seen in another light."""
    rng = s.rng
    on = rng.random() < 0.5
    s.truth["on"] = bool(on)
    gain = rng.uniform(0.12, 0.5)
    tint = rng.uniform(0.85, 1.15, 3)

    def apply(pixels):
        at = _frame_after(s)
        dark = slice(0, at) if on else slice(at, None)
        pixels[dark] *= gain * tint
        return pixels, False

    return apply


def blur(s):
    rng = s.rng

    def apply(pixels):
        at, strength = _frame_after(s, 1, SLOW), rng.uniform(3, 9)
        slope = max(_frames_of(s, 0.1, 1.5), 0.5)
        for i in range(at, len(pixels)):
            pixels[i] = cv2.GaussianBlur(pixels[i], (0, 0), min(strength, strength * (i - at + 1) / slope))
        return pixels, False

    return apply


def covered(s):
    """A hand or a cloth before the lens: dark, soft, with a little light at an edge."""
    rng = s.rng
    s.truth["camera"] = None

    def apply(pixels):
        n, h, w = pixels.shape[:3]
        at, length = _frame_after(s, 1, SLOW), max(_frames_of(s, 0.1, 1.2), 1e-3)
        colour = rng.uniform(0, 90) * rng.uniform(0.7, 1.3, 3)
        dark = rng.random() < 0.3       # so near that it has neither edge nor grain
        grain = cv2.GaussianBlur(rng.normal(0, 60, (h, w)).astype(np.float32), (0, 0), rng.uniform(6, 30))[..., None]
        y, x = np.mgrid[0:h, 0:w] / np.array([h, w]).reshape(2, 1, 1)
        a, b = rng.normal(0, 1, 2)
        slide = (a * (x - 0.5) + b * (y - 0.5)) / (abs(a) + abs(b) + 1e-6)
        if dark:
            grain, slide = 0 * grain, 0 * slide
        for i in range(at, n):
            share = min(1.0, (i - at + rng.uniform(0.1, 1)) / length)
            alpha = np.clip((share * 1.35 - 0.6 - slide) * 8 + 0.5, 0, 1)[..., None]
            pixels[i] = pixels[i] * (1 - alpha) + (colour + grain) * alpha
        return pixels, False

    return apply


def frozen(s):
    """What moved stands, to the bit: a camera or a network that hangs."""

    def apply(pixels):
        at = _frame_after(s, 2, 5 / 8)
        pixels[at:] = pixels[at - 1]
        return pixels, at

    return apply


GLOBAL = {"cut": cut, "fade": fade, "lights": lights, "blur": blur, "covered": covered, "frozen": frozen}


def _rain(pixels, rng):
    h, w = pixels.shape[1:3]
    slant, length, drops = rng.uniform(-0.4, 0.4), int(rng.integers(4, 18)), int(rng.integers(20, 200))
    for frame in pixels:
        for x, y in zip(rng.integers(0, w, drops), rng.integers(-length, h, drops)):
            tip = (int(x + slant * length), int(y + length))
            cv2.line(frame, (int(x), int(y)), tip, (frame[min(max(y, 0), h - 1), x] * 0.6 + 90).tolist(), 1)


def _compress(frame, quality):
    coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def _film(frames, crf, preset):
    """uint8 [n, H, W, 3] through H.264: what stands loses its grain, what moves smears."""
    n, height, width, _ = frames.shape
    coder, reader = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = width, height, "yuv420p", Fraction(1, 10)
    coder.thread_count = reader.thread_count = 1
    coder.options = {"crf": str(crf), "preset": preset}
    coded = [p for f in frames for p in coder.encode(av.VideoFrame.from_ndarray(f))] + list(coder.encode(None))
    read = [f for p in coded for f in reader.decode(p)] + list(reader.decode(None))
    colours = VideoReformatter()    # one for all: to make one costs more than a frame
    return np.stack([colours.reformat(f, format="rgb24").to_ndarray() for f in read])


def _exposed(pixels, rng, times):
    """A camera that follows, late, how bright its picture is; something may have left it shortly before."""
    level = np.maximum(pixels.mean((1, 2, 3)), 8)
    wanted = np.log(level[0] / level) * rng.uniform(0.1, 0.8)
    lag, gain = rng.uniform(0.15, 2), np.zeros(len(pixels), np.float32)
    gain[0] = rng.uniform(-0.2, 0.2) if rng.random() < 0.4 else 0
    for i in range(1, len(pixels)):
        gain[i] = wanted[i] + (gain[i - 1] - wanted[i]) * np.exp((times[i - 1] - times[i]) / lag)
    return pixels * np.exp(gain)[:, None, None, None]


def _skipped(frames, least):
    """Blocks that hardly change are sent as they were: where nothing moves a stream stands to the bit, as a frozen one does."""
    n, h, w, _ = frames.shape
    blocks = frames.reshape(n, h // 16, 16, w // 16, 16, 3)
    for i in range(1, n):
        off = np.abs(blocks[i].astype(np.int16) - blocks[i - 1]).mean((1, 3, 4)) < least
        blocks[i] = np.where(off[:, None, :, None, None], blocks[i - 1], blocks[i])
    return frames


def spoil(pixels, rng, times, still=False):
    """uint8 frames as a camera and its stream would give them. `still`: frames from there on stay equal."""
    n = len(pixels)
    if rng.random() < 0.3:      # exposure that drifts, a lamp that flickers
        drift = np.interp(times, [times[0], times[-1]], [1, rng.uniform(0.88, 1.12)])
        flicker = 1 + rng.choice([0, rng.uniform(0, 0.05)]) * rng.uniform(-1, 1, n)
        pixels = pixels * (drift * flicker)[:, None, None, None].astype(np.float32)
    if rng.random() < 0.25:
        pixels = _exposed(pixels, rng, times)
    if rng.random() < 0.08:
        _rain(pixels, rng)
    if rng.random() < 0.3:
        pixels = (pixels - 128) * rng.uniform(0.5, 1.2) + 128 + rng.uniform(-40, 30)
    strength = rng.choice([0, 2, 6, 14]) * rng.uniform(0.5, 1.3)
    if strength:
        noise = rng.standard_normal((2, *pixels.shape[1:]), dtype=np.float32) * strength
        for i in range(n):      # two grains, turned and rolled: as good as one a frame, and quicker
            pixels[i] += np.roll(noise[i % 2], (int(rng.integers(999)), int(rng.integers(999))), (0, 1))
    out = np.clip(pixels, 0, 255).astype(np.uint8)
    how = rng.random()
    if how < 0.25:
        quality = int(rng.integers(12, 90))
        for i in range(n):
            out[i] = _compress(out[i], quality)
    if still:
        out[still:] = out[still - 1]
    if how > 0.4:
        out = _film(out, int(rng.integers(18, 34)), str(rng.choice(["ultrafast", "veryfast", "medium"])))
        if rng.random() < 0.4:
            out = _skipped(out, rng.uniform(1, 6))
    return out
