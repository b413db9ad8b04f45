# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the engine measures between the two frames of a picture (vision/motion.h), by the engine's own code, and the two layers
that add it to visual tokens (vision/motion-tokens.c).

vision/motion.c is compiled here, by `cc` with GLib's headers, into a library beside the checkpoints.
"""

import ctypes
import functools
import os
import re
import subprocess

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CELL, HIDDEN = 32, 96
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vision")


def _features():
    """Their number, from the header's list."""
    names = re.findall(r"^  TERN_MOTION_(\w+),", open(os.path.join(SOURCE, "motion.h")).read(), re.M)
    return len(names)


FEATURES = _features()


@functools.lru_cache(maxsize=1)
def _library(work):
    path = os.path.join(work, "motion.so")
    source = os.path.join(SOURCE, "motion.c")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-O3", "-march=native", "-shared", "-fPIC", "-I", os.path.join(SOURCE, ".."), *flags, source, "-lm",
                        "-o", path + ".new"], check=True)
        os.replace(path + ".new", path)
    library = ctypes.CDLL(path)
    library.tern_motion_scratch.restype = ctypes.c_size_t
    return library


def _planes(frame):
    planes = np.ascontiguousarray(frame.transpose(2, 0, 1))
    return planes, (ctypes.c_void_p * 3)(*(planes[c].ctypes.data for c in range(3)))


def measured(work, firsts, seconds):
    """uint8 [N, H, W, 3] twice -> f32 [N, H / CELL * W / CELL, FEATURES]."""
    library = _library(work)
    n, height, width, _ = firsts.shape
    out = np.empty((n, (height // CELL) * (width // CELL), FEATURES), np.float32)
    scratch = np.empty(library.tern_motion_scratch(width, height, CELL) + 64, np.uint8)
    for i in range(n):
        (first, a), (second, b) = _planes(firsts[i]), _planes(seconds[i])
        library.tern_motion_measure(a, b, width, height, CELL, scratch.ctypes.data_as(ctypes.c_void_p),
                                    out[i].ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(FEATURES))
    return out


def followed(work, firsts, seconds, leads):
    """The pictures of clips with what came before each: f32 [N * T, tokens, 2 * FEATURES], from the frame before to the first one,
    then from that to the second. uint8 [N][T, H, W, 3] twice; leads: [N] the frame before a clip's first picture, None where there
    is none."""
    between = []
    for first, second, lead in zip(firsts, seconds, leads):
        before = second[:-1] if lead is None else np.concatenate((lead[None], second[:-1]))
        found = measured(work, before, first[len(first) - len(before):])
        between.append(found if lead is not None else np.concatenate((np.zeros((1, *found.shape[1:]), np.float32), found)))
    within = measured(work, np.concatenate(firsts), np.concatenate(seconds))
    return np.concatenate((np.concatenate(between), within), -1)


class Motion(nn.Module):
    """[..., pairs * FEATURES] -> [..., width], what is added to a visual token; nothing where no pair of frames was measured."""

    def __init__(self, width, pairs=1, hidden=HIDDEN):
        super().__init__()
        self.pairs = pairs
        self.up, self.down = nn.Linear(pairs * FEATURES, hidden), nn.Linear(hidden, width)

    def widened(self, hidden):
        """The same, with room between the two: what is new has no say at first."""
        wide, n = Motion(self.down.out_features, self.pairs, hidden), self.up.out_features
        with torch.no_grad():
            wide.up.weight[:n], wide.up.bias[:n] = self.up.weight, self.up.bias
            wide.down.weight.zero_()[:, :n], wide.down.bias[:] = self.down.weight, self.down.bias
        return wide

    def forward(self, x):
        return self.down(F.gelu(self.up(x))) * x[..., FEATURES - 1::FEATURES].amax(-1, keepdim=True)
