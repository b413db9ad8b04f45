# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tower's outputs, computed once: f16 [photographs, 196, 192] per view; and clips made of them."""

import os

import numpy as np
import torch
import torch.nn.functional as F

import vit
from common import load
from model import TOKENS


def path(work, split, view):
    return os.path.join(work, f"features-{split}-{view}.npy")


@torch.inference_mode()
def cache(photos, tower, file, mirrored, batch=32):
    """Resumable: a side file counts the rows done."""
    if os.path.exists(file):
        return
    part, mark = file + ".part", file + ".rows"
    n = len(photos)
    done = int(open(mark).read()) if os.path.exists(mark) and os.path.exists(part) else 0
    mode = "r+" if done else "w+"
    out = np.lib.format.open_memmap(part, mode=mode, dtype=np.float16, shape=None if done else (n, 196, vit.WIDTH))
    for i in range(done, n, batch):
        x = vit.pixels(photos.pixels[i : i + batch])
        out[i : i + batch] = tower(x.flip(-1) if mirrored else x).numpy().astype(np.float16)
        if i // batch % 20 == 19:
            out.flush()
            with open(mark, "w") as f:
                f.write(str(i + batch))
    out.flush()
    os.replace(part, file)
    if os.path.exists(mark):
        os.remove(mark)


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


def kept_counts(frames, ratio):
    """Visual tokens of each frame after temporal merging: the first of four whole, the others 1 - ratio of it."""
    keep = int((1 - ratio) * TOKENS + 1e-9)
    return tuple(TOKENS if i % 4 == 0 else keep for i in range(frames))


def merge(tokens, kept):
    """DyCoke's choice. tokens [N, frames, 49, 256] -> [N, sum(kept), 256], raster order within a frame.

    In a group a, b, c, d: b is compared with a, c with a, d with c as it was; the least similar tokens stay.
    """
    n, frames = tokens.shape[:2]
    unit = F.normalize(tokens.detach(), dim=-1)
    out = []
    for i in range(frames):
        if kept[i] == TOKENS:
            out.append(tokens[:, i])
            continue
        like = (unit[:, i] * unit[:, {1: i - 1, 2: i - 2, 3: i - 1}[i % 4]]).sum(-1)
        chosen = like.topk(kept[i], largest=False, sorted=False).indices.sort(-1).values
        out.append(tokens[:, i].gather(1, chosen[..., None].expand(-1, -1, tokens.shape[-1])))
    return torch.cat(out, 1)
