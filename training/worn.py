# SPDX-License-Identifier: LGPL-2.1-or-later
"""Photographs as other files would show them: squeezed and drawn out again, compressed, a little lighter, a few pixels aside.

What is said of a picture should not hang on these. The stages behind the tower see them as further views; the tasks, where a
photograph's caption is what the finished captioner says of the photograph itself, teach to say the same of all of them.
"""

import io

import numpy as np
from PIL import Image

SQUEEZED, QUALITY, LIGHT, ASIDE = (0.4, 1.0), (20, 85), (0.85, 1.15), 6
WAYS = (Image.BILINEAR, Image.BICUBIC, Image.BOX, Image.LANCZOS)


def worn(picture, rng):
    """uint8 [3, h, w] -> the same."""
    height, width = picture.shape[1:]
    small = [width, height]
    which = int(rng.integers(3))  # one side, the other, or both
    for side in (0, 1):
        if which in (side, 2):
            small[side] = max(8, round(small[side] * rng.uniform(*SQUEEZED)))
    left, top = rng.integers(0, ASIDE + 1, 2)
    right, bottom = rng.integers(0, ASIDE + 1, 2)
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    image = image.crop((left, top, width - right, height - bottom)).resize(small, WAYS[rng.integers(len(WAYS))])
    light = np.asarray(image, np.float32) * rng.uniform(*LIGHT)
    file = io.BytesIO()
    Image.fromarray(light.round().clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=int(rng.integers(*QUALITY)))
    shown = Image.open(file).resize((width, height), WAYS[rng.integers(len(WAYS))])
    return np.asarray(shown).transpose(2, 0, 1)


def batch(pictures, first, seed):
    """Of uint8 [n, 3, h, w], whose numbers begin at `first`."""
    return np.stack([worn(p, np.random.default_rng((seed, first + i))) for i, p in enumerate(pictures)])
