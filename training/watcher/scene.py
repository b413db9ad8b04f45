# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws frames: a background seen by a camera that may move, and things that move over it, with what is seen of each.

Places are pixels of the canvas (materials.CANVAS_W x CANVAS_H), times seconds from the clip's beginning.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from materials import CANVAS_H, CANVAS_W


@dataclass
class Track:
    """Values at times, straight lines between them."""

    times: list
    values: list    # [times, n]

    def at(self, t):
        v = np.asarray(self.values, float)
        return np.array([np.interp(t, self.times, v[:, i]) for i in range(v.shape[1])])


@dataclass
class Mover:
    image: np.ndarray           # RGBA, premultiplied
    place: Track                # centre
    height: float
    grow: float = 0.0           # a second
    sway: tuple = (0.0, 1.0, 0.0)    # degrees, swings a second, pixels up and down
    light: float = 1.0
    shadow: bool = False
    limp: tuple | None = None   # share of the width by which the feet swing, waves from head to feet, swings a second

    def width(self):
        return self.height * self.image.shape[1] / self.image.shape[0]

    def extent(self):
        """Pixels of the canvas that it covers."""
        return float((self.image[..., 3] > 127).mean()) * self.height * self.width()

    def at(self, t):
        """(image, 2x3 matrix: its pixels -> canvas)."""
        image = self.image if self.limp is None else _bent(self.image, self.limp, t)
        cx, cy = self.place.at(t)
        degrees, often, bob = self.sway
        swing = np.sin(2 * np.pi * often * t)
        h, w = image.shape[:2]
        scale = max(self.height * (1 + self.grow * t), 2) / h
        m = cv2.getRotationMatrix2D((w / 2, h / 2), degrees * swing, scale)
        m[:, 2] += np.array([cx, cy + bob * swing]) - (w / 2, h / 2)
        return image, m


def _bent(image, limp, t):
    """Rows pushed aside, the lower the more, as legs are that walk: what is alive does not move as one piece."""
    share, waves, often = limp
    h, w = image.shape[:2]
    room = int(np.ceil(share * w))
    y, x = np.mgrid[0:h, 0 : w + 2 * room].astype(np.float32)
    down = y / h
    x += share * w * down * np.sin(2 * np.pi * (often * t + waves * down)) - room
    return cv2.remap(image, x.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@dataclass
class Ripple:
    """A part of the background that never stands: leaves in the wind, water. Centre and radii in pixels of the canvas."""

    middle: tuple
    radii: tuple
    strength: float             # pixels of the canvas
    waves: np.ndarray           # [3 waves, (across, down) a pixel, a second, phase, direction]

    @staticmethod
    def drawn(rng, view):
        cx, cy, seen, _ = view
        waves = np.column_stack((rng.uniform(-0.15, 0.15, (3, 2)), rng.uniform(2, 14, 3), rng.uniform(0, 6.3, (3, 2))))
        return Ripple((cx + rng.uniform(-0.5, 0.5) * seen, cy + rng.uniform(-0.3, 0.3) * seen),
                      tuple(rng.uniform(0.06, 0.35, 2) * seen), rng.uniform(0.5, 5), waves)

    def over(self, background, t):
        """The background as it is at t."""
        (cx, cy), (rx, ry) = self.middle, self.radii
        x0, y0 = max(int(cx - rx), 0), max(int(cy - ry), 0)
        x1, y1 = min(int(cx + rx), background.shape[1]), min(int(cy + ry), background.shape[0])
        if x1 - x0 < 8 or y1 - y0 < 8:
            return background
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        much = np.clip(1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2, 0, 1) * self.strength / len(self.waves)
        across, down = x.copy(), y.copy()
        for u, v, often, phase, way in self.waves:
            wave = much * np.sin(u * x + v * y + often * t + phase)
            across += np.cos(way) * wave
            down += np.sin(way) * wave
        out = background.copy()
        out[y0:y1, x0:x1] = cv2.remap(background, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR,
                                      borderMode=cv2.BORDER_REFLECT)
        return out


@dataclass
class Camera:
    """What is seen: centre, width in pixels of the canvas, angle in degrees."""

    view: Track                                 # [cx, cy, width, angle]
    jitter: float = 0.0                         # pixels of the canvas
    phases: np.ndarray = field(default_factory=lambda: np.zeros(8))

    def at(self, t):
        cx, cy, width, angle = self.view.at(t)
        p = self.phases
        cx += self.jitter * (np.sin(7.1 * t + p[0]) + np.sin(12.7 * t + p[1]) + 0.6 * np.sin(23.3 * t + p[2]))
        cy += self.jitter * (np.sin(6.3 * t + p[3]) + np.sin(13.9 * t + p[4]) + 0.6 * np.sin(21.1 * t + p[5]))
        return cx, cy, width, angle + 0.1 * self.jitter * np.sin(5.1 * t + p[6])


def to_frame(view, width, height, factor=1):
    """2x3 matrix: canvas -> frame of width x height, times `factor`."""
    cx, cy, seen, angle = view
    scale = width * factor / seen
    m = cv2.getRotationMatrix2D((float(cx), float(cy)), float(angle), float(scale))
    m[:, 2] += np.array([width * factor / 2, height * factor / 2]) - (cx, cy)
    return m


def _chain(a, b):
    """b first."""
    return (np.vstack((a, [0, 0, 1])) @ np.vstack((b, [0, 0, 1])))[:2]


def _paste(frame, cover, mover, image, m, index):
    """Draws over `frame` (float), notes in `cover` who is seen."""
    h, w = image.shape[:2]
    corners = m @ np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]])
    x0, y0 = np.floor(corners.min(1)).astype(int) - 1
    x1, y1 = np.ceil(corners.max(1)).astype(int) + 1
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, frame.shape[1]), min(y1, frame.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    local = m.copy()
    local[:, 2] -= (x0, y0)
    piece = cv2.warpAffine(image, local, (x1 - x0, y1 - y0), flags=cv2.INTER_AREA).astype(np.float32)
    alpha = piece[..., 3:] / 255
    part = frame[y0:y1, x0:x1]
    if mover.shadow:
        fall = cv2.GaussianBlur(np.roll(alpha[..., 0], (3, 4), (0, 1)), (0, 0), 3)[..., None]
        part *= 1 - 0.4 * fall * (1 - alpha)
    part *= 1 - alpha
    part += piece[..., :3] * mover.light
    cover[y0:y1, x0:x1][alpha[..., 0] > 0.5] = index


def draw(scene, times):
    """Of an events.Scene (frames [T, H, W, 3] float32, cover [T, H, W] int8: 0 the background, i + 1 mover i)."""
    width, height = scene.width, scene.height
    frames = np.empty((len(times), height, width, 3), np.float32)
    covers = np.zeros((len(times), height, width), np.int8)
    for i, t in enumerate(times):
        view = scene.camera.at(t)
        background = scene.ripple.over(scene.background, t) if scene.ripple else scene.background
        big = cv2.warpAffine(background, to_frame(view, width, height, 2), (2 * width, 2 * height), flags=cv2.INTER_LINEAR,
                             borderMode=cv2.BORDER_REFLECT)
        frame = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        for j, mover in enumerate(scene.movers):
            image, m = mover.at(t)
            _paste(frame, covers[i], mover, image, _chain(to_frame(view, width, height), m), j + 1)
        frames[i] = frame
    return frames, covers


def full_view(width, height):
    """The widest view of that shape, centred."""
    seen = min(CANVAS_W, CANVAS_H * width / height)
    return np.array([CANVAS_W / 2, CANVAS_H / 2, seen, 0.0])
