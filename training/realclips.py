# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real videos with known camera motion, to measure on: fixed cameras as they are, and views that move over real frames.

Nothing of these is trained on. People and cars move in them, codecs and noise are real; a moving view over frames of twice
the size is what a panning camera sees, without its parallax.
"""

import glob
import os
import subprocess

import numpy as np

import clips
import motion

LARGE, SEED = 448, 31
# Of ../shared/data/clips: cameras that stand. The dash camera drives, which has no name among the labels.
STANDING = ("intel-*.mp4", "asl/*.mkv")
DRIVING = ("udacity-*.mp4",)


def path(work):
    return os.path.join(work, "clips-real.npy")


def windows(video):
    """uint8 [n, SAMPLED, 3, LARGE, LARGE]: four seconds each and the frame before, two frames a second, the middle of the
    picture."""
    scale = f"fps=2,scale={LARGE}:{LARGE}:force_original_aspect_ratio=increase,crop={LARGE}:{LARGE}"
    command = clips.QUIET + ["-i", video, "-vf", scale, "-pix_fmt", "rgb24"]
    raw = subprocess.run(command + ["-f", "rawvideo", "-"], check=True, stdout=subprocess.PIPE).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, LARGE, LARGE, 3).transpose(0, 3, 1, 2)
    each = motion.SAMPLED - 1
    starts = range(0, len(frames) - each, each)
    return np.stack([frames[i : i + motion.SAMPLED] for i in starts]) if starts else frames[:0, None]


def gather(data):
    """[(label, kind, pictures uint8 [SAMPLED, 3, 224, 224])]: each window as it is, then as seen by a camera that moves."""
    folder, out, all_ = os.path.join(data, "clips"), [], []
    for pattern in STANDING + DRIVING:
        for video in sorted(glob.glob(os.path.join(folder, pattern))):
            all_.append((pattern in STANDING, windows(video)))
    for at, (stands, found) in enumerate(all_):
        for i, window in enumerate(found):
            rng = np.random.default_rng((SEED, at, i))
            if stands:
                whole = np.tile(np.float32([112, 112, 224, 0]), (motion.SAMPLED, 1))
                out.append((motion.STILL, "as it is", clips.seen_through(window, whole)))
            label = 1 + (len(out) % (len(motion.LABELS) - 1))
            views, scene = (v[:: motion.STEP] for v in motion.views(label, rng))
            other = all_[(at + 1) % len(all_)][1]
            pair = np.where(scene[:, None, None, None] == 1, other[i % len(other)], window) if len(other) else window
            out.append((label, "moving view", clips.seen_through(pair, views)))
    return out


def cache(data, work, tower):
    """As clips.Cached reads it, and beside it the labels and kinds."""
    if os.path.exists(path(work)):
        return
    found = gather(data)
    np.save(path(work).replace(".npy", "-labels.npy"), np.array([(label, kind) for label, kind, _ in found]))
    pictures = np.stack([p for _, _, p in found])
    clips.fill(path(work), tower, work, len(found), 8, lambda i, n: pictures[i : i + n])


def cached(work):
    """(clips.Cached, labels, kinds)"""
    table = np.load(path(work).replace(".npy", "-labels.npy"))
    return clips.Cached(path(work)), table[:, 0].astype(int), table[:, 1].tolist()
