# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a camera moves in four seconds: the views of a rendered clip, drawn from a seed, and what each is called.

A view is a square part of a photograph: its centre and side in pixels, and how it is turned. Pan right: the camera
turns right, so the view goes right and what is seen goes left. Tilt up: the view goes up.
"""

import numpy as np

SIZE = 224
LABELS = ("still", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "cut")
STILL, CUT = 0, 7
# Played backwards, a pan left is a pan right.
REVERSED = (0, 2, 1, 4, 3, 6, 5, 7)
RENDERED, STEP = 18, 2  # frames of a clip as a camera takes them (4 a second), of which the product looks at every second one
PICTURES = 4            # of two such frames each; one more comes before the first picture
SAMPLED = RENDERED // STEP


def _progress(rng):
    """0 to 1 over the clip: at once or slowly begun, sometimes with a rest before or after."""
    first, last = (rng.uniform(0, 0.2), 1 - rng.uniform(0, 0.2)) if rng.random() < 0.4 else (0.0, 1.0)
    x = np.clip((np.linspace(0, 1, RENDERED) - first) / (last - first), 0, 1)
    return x * x * (3 - 2 * x) if rng.random() < 0.5 else x


def _shake(rng, amplitude):
    """A hand's trembling: two slow waves."""
    t = np.arange(RENDERED) / 4
    waves = [np.sin(2 * np.pi * (rng.uniform(0.2, 2.0) * t + rng.random())) for _ in range(2)]
    return amplitude * (waves[0] + 0.5 * waves[1])


def _log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low * 1.001)))))


def _slide(rng, label, x):
    """Pan or tilt by at least an eighth of the view, at most across the photograph."""
    side = rng.uniform(96, 184)
    room = SIZE - side
    far = _log_uniform(rng, 0.125 * side, room)
    sign = 1 if LABELS[label] in ("pan right", "tilt down") else -1
    from_, other = rng.uniform(0, room - far), rng.uniform(0, room)
    along = from_ + far * x if sign > 0 else from_ + far - far * x
    across = np.clip(other + rng.uniform(-0.15, 0.15) * far * (x - 0.5), 0, room)
    sides = side * (1 + rng.uniform(-0.03, 0.03) * x)
    ways = (along, across) if "pan" in LABELS[label] else (across, along)
    return ways[0] + side / 2, ways[1] + side / 2, sides


def _zoom(rng, label, x):
    ratio = _log_uniform(rng, 1.2, 2.3)
    small = rng.uniform(90, SIZE / ratio)
    sides = small * ratio ** (1 - x if LABELS[label] == "zoom in" else x)
    drift = rng.uniform(-0.06, 0.06, 2) * small
    middle = [rng.uniform(small * ratio / 2, SIZE - small * ratio / 2) for _ in range(2)]
    return middle[0] + drift[0] * x, middle[1] + drift[1] * x, sides


def _rest(rng):
    side = rng.uniform(96, SIZE)
    x, y = rng.uniform(side / 2, SIZE - side / 2, 2)
    return np.full(RENDERED, x), np.full(RENDERED, y), np.full(RENDERED, side)


def views(label, rng):
    """[RENDERED, 4]: centre x, y, side, angle (radians); and which of the two photographs each picture shows."""
    scene = np.zeros(RENDERED, np.int64)
    if label == CUT:
        at = int(rng.integers(1, RENDERED - 1))
        scene[at:] = 1
        halves = []
        for _ in range(2):
            moves = int(rng.integers(1, 7)) if rng.random() < 0.3 else STILL
            halves.append(np.stack(_of(moves, rng)))
        x, y, side = np.where(scene, halves[1], halves[0])
    else:
        x, y, side = _of(label, rng)
    hand = 0.0 if rng.random() < 0.4 else _log_uniform(rng, 0.001, 0.015)
    x, y = x + _shake(rng, hand) * side, y + _shake(rng, hand) * side
    angle = rng.uniform(-0.05, 0.05) + _shake(rng, 0.5 * hand)
    return np.stack((x, y, side, angle), 1).astype(np.float32), scene


def _of(label, rng):
    if label == STILL:
        return _rest(rng)
    x = _progress(rng)
    return _slide(rng, label, x) if label < LABELS.index("zoom in") else _zoom(rng, label, x)


class Clip:
    """What clip number `index` of a split is made of; the label goes round, everything else is drawn from the seed."""

    def __init__(self, index, photographs, seed):
        rng = np.random.default_rng((seed, index))
        self.label = index % len(LABELS)
        self.photographs = rng.choice(photographs, 4, replace=False)
        self.views, self.scene = views(self.label, rng)
        share = 0.35 if self.label == STILL else 0.25
        self.objects = [p for p in self.photographs[2:] if rng.random() < share]  # pieces of these pass in front
        self.rng = rng  # of what follows: their ways, light, noise

    @property
    def changes(self):
        """Whether there is anything new to see; a trembling hand is nothing new."""
        return self.label != STILL or bool(self.objects)

    def needs_lead(self, back):
        """Whether what it is called happens between the frame before its first picture and that; `back`: played backwards."""
        seen = self.scene[::STEP]
        return bool(seen[-1] != seen[-2] if back else seen[0] != seen[1])
