# SPDX-License-Identifier: LGPL-2.1-or-later
"""Aerial photographs (RSICD) and their captions; seen from above, a picture may be turned."""

import os

import features
import photos
import vit

VIEWS = 4


class Split(photos.Split):
    """As photos.Split, out of the folder `rsicd`; its pixels stand in files of their own."""

    FOLDER, PREFIX = "rsicd", "aerial-"


def path(work, split, view):
    return os.path.join(work, f"features-aerial-{split}-{view}.npy")


def turned(pixels, view):
    """As it is, mirrored, upside down, lying on its side."""
    if view == 3:
        return pixels.swapaxes(-1, -2)
    return (pixels, pixels[..., ::-1], pixels[..., ::-1, :])[view]


def cache(split, tower, file, view):
    def make(i, n):
        return features.seen(tower, turned(split.pixels[i : i + n], view))

    features.fill(file, len(split), (196, vit.WIDTH), 32, make)
