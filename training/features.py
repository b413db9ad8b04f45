# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tower's outputs, computed once: f16 [photographs, 196, 192] per view; and clips made of them."""

import os

import numpy as np
import torch
import torch.nn.functional as F

import vit
import worn
from common import load
from model import TOKENS


def path(work, split, view):
    return os.path.join(work, f"features-{split}-{view}.npy")


def fill(file, count, shape, step, make):
    """f16 [count, *shape] from `make(first, n)`, a step at a time. Resumable: a side file counts the rows done."""
    if os.path.exists(file):
        return
    part, mark = file + ".part", file + ".rows"
    done = int(open(mark).read()) if os.path.exists(mark) and os.path.exists(part) else 0
    mode = "r+" if done else "w+"
    out = np.lib.format.open_memmap(part, mode=mode, dtype=np.float16, shape=None if done else (count, *shape))
    for i in range(done, count, step):
        n = min(step, count - i)
        out[i : i + n] = make(i, n)
        if i // step % 20 == 19:
            out.flush()
            with open(mark, "w") as f:
                f.write(str(i + n))
    out.flush()
    os.replace(part, file)
    if os.path.exists(mark):
        os.remove(mark)


@torch.inference_mode()
def seen(tower, pixels, batch=32):
    """uint8 [n, 3, 224, 224] -> f16 [n, 196, 192]. In bf16, which differs by less than a thousandth of the variance."""
    with torch.autocast("cpu", torch.bfloat16):
        parts = [tower(vit.pixels(pixels[i : i + batch])).half() for i in range(0, len(pixels), batch)]
    return torch.cat(parts).numpy()


CLEAN, VIEWS = 2, 4  # of a training photograph: as it is and mirrored, then both again through other files (worn.py)


def cache(photos, tower, file, view, batch=32):
    """The tower's outputs on one view of the photographs."""

    def make(i, n):
        pixels = photos.pixels[i : i + n, ..., :: -1 if view % CLEAN else 1]
        return seen(tower, worn.batch(pixels, i, view) if view >= CLEAN else pixels)

    fill(file, len(photos), (196, vit.WIDTH), batch, make)


def adapted(work):
    tower = vit.Tower(False, "tanh")
    tower.load_state_dict(load(os.path.join(work, "tower.pt")))
    return tower.eval()


def moving(features, frames, rng):
    """A pan or zoom over the cached feature map: [N, 196, 192] -> [N, frames, 196, 192].

    A square window slides (and grows or shrinks a little) over the 14 x 14 map and is enlarged to 14 x 14.
    """
    n = features.shape[0]
    grid = features.view(n, 14, 14, -1).permute(0, 3, 1, 2)
    side = torch.from_numpy(rng.uniform(9.0, 13.5, (n, 2))).float()
    t = torch.linspace(0, 1, frames)
    side = side[:, :1] + (side[:, 1:] - side[:, :1]) * t
    ends = torch.from_numpy(rng.random((n, 2, 2))).float()
    centre = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * t[:, None]
    centre = side[..., None] / 2 + centre * (14 - side[..., None])
    cell = (torch.arange(14) + 0.5) / 14 - 0.5
    x = centre[..., 0, None] + cell * side[..., None]
    y = centre[..., 1, None] + cell * side[..., None]
    # grid_sample counts from -1 to 1 over the map's edges.
    where = torch.stack(torch.broadcast_tensors(x[:, :, None, :], y[:, :, :, None]), -1) / 7 - 1
    out = F.grid_sample(grid.repeat_interleave(frames, 0), where.flatten(0, 1), align_corners=False, padding_mode="border")
    return out.permute(0, 2, 3, 1).reshape(n, frames, 196, -1)
