# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clips of cameras before which things happen: those that the watcher learns from (watcher/events.py), for the task camera-motion.

In clips of photographs (clips.py) what stands is nearly still, so that whatever moves looks like a camera that does. Here cut-outs
enter, leave and stop, and light changes, before cameras that stand; others move. Needs what `watcher/materials.py --work DIR` made.
"""

import os
import sys

import numpy as np

import clips
import motion

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "watcher"))

SEED = 40
BARE, TRAVELS = 0.4, 0.35   # of the clips are before walls and floors, on which little tells a movement; show a camera that moves


class Scene:
    """What tasks.Clips asks of a clip. No captioner said anything of it: `photographs` is empty."""

    photographs = ()

    def __init__(self, label, changes):
        self.label, self.changes = int(label), bool(changes)

    def needs_lead(self, back):
        return True  # what happens before the first picture counts


def path(work, split):
    return os.path.join(work, f"scenes-{split}.npy")


def truths(work, split):
    return path(work, split).replace(".npy", "-truths.npy")


def drawn(materials, rng):
    """A clip that has a word for its camera: uint8 [SAMPLED, 3, 224, 224], its label, whether anything changes."""
    import events

    while True:
        event = "camera moves" if rng.random() < TRAVELS else None
        first, second, truth, lead = events.clip(materials, rng, (motion.SIZE, motion.SIZE), motion.PICTURES, event=event,
                                                 lead=True)
        if truth["camera"] in motion.LABELS:
            break
    frames = np.concatenate((lead[None], np.stack((first, second), 1).reshape(-1, *lead.shape)))
    return frames.transpose(0, 3, 1, 2), motion.LABELS.index(truth["camera"]), truth["event"] != "nothing"


def make(work, materials, split, count, seed=SEED):
    """Files of clips in work/scenes-{split}, and what is true of them; whatever is there already stays."""
    import materials as stuff

    source, folder, found = stuff.Materials(materials, split, BARE), os.path.join(work, f"scenes-{split}"), []
    os.makedirs(folder, exist_ok=True)
    for first in range(0, count, clips.TOGETHER):
        file, table = (os.path.join(folder, f"{first:06}.{kind}") for kind in ("mkv", "npy"))
        if not os.path.exists(table):
            rng = np.random.default_rng((seed, first))
            made = [drawn(source, rng) for _ in range(min(clips.TOGETHER, count - first))]
            clips.encoded(np.stack([m[0] for m in made]), int(rng.integers(18, 35)), file)
            np.save(table, np.array([m[1:] for m in made], np.int64))
        found.append(np.load(table))
    np.save(truths(work, split), np.concatenate(found))


def cache(work, materials, split, tower, count):
    """scenes-{split}.npy as clips.Cached reads it."""
    if os.path.exists(path(work, split)):
        return
    make(work, materials, split, count)
    folder = os.path.join(work, f"scenes-{split}")
    clips.fill(path(work, split), tower, work, count, clips.TOGETHER,
               lambda i, n: clips.decoded(os.path.join(folder, f"{i:06}.mkv"), n, motion.SAMPLED))


def read(work, split):
    """[Scene] of all."""
    return [Scene(label, changes) for label, changes in np.load(truths(work, split))]
