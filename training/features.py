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


def kept_counts(frames, ratio, tokens=TOKENS):
    """Visual tokens of each frame after temporal merging: the first of four whole, the others 1 - ratio of it."""
    keep = int((1 - ratio) * tokens + 1e-9)
    return tuple(tokens if i % 4 == 0 else keep for i in range(frames))


def choice(tokens, kept):
    """DyCoke's choice. tokens [N, frames, each, width] -> places [N, sum(kept)] in [frames * each], in order.

    In a group a, b, c, d: b is compared with a, c with a, d with c as it was; the least similar tokens stay.
    """
    n, frames, each = tokens.shape[:3]
    unit = F.normalize(tokens.detach(), dim=-1)
    out = []
    for i in range(frames):
        if kept[i] == each:
            chosen = torch.arange(each).expand(n, -1)
        else:
            like = (unit[:, i] * unit[:, {1: i - 1, 2: i - 2, 3: i - 1}[i % 4]]).sum(-1)
            chosen = like.topk(kept[i], largest=False, sorted=False).indices.sort(-1).values
        out.append(i * each + chosen)
    return torch.cat(out, 1)


def any_counts(frames, ratio, rng, tokens=TOKENS):
    """As many in all as kept_counts() has, spread over the frames at random, at least one of each."""
    total, kept = sum(kept_counts(frames, ratio, tokens)), np.ones(frames, int)
    room = rng.permutation(np.repeat(np.arange(frames), tokens - 1))[: total - frames]
    np.add.at(kept, room, 1)
    return tuple(kept.tolist())


def any_choice(count, kept, rng, each=TOKENS):
    """Places [count, sum(kept)] as choice() gives, drawn."""
    return torch.from_numpy(np.stack([
        np.concatenate([i * each + np.sort(rng.permutation(each)[:k]) for i, k in enumerate(kept)]) for _ in range(count)]))


def equal_counts(frames, ratio, tokens=TOKENS):
    """As many in each group of four as kept_counts() has, the same of each frame; what is left over goes to the first ones."""
    out = []
    for first in range(0, frames, 4):
        n = min(4, frames - first)
        whole, rest = divmod(sum(kept_counts(n, ratio, tokens)), n)
        out += [whole + (i < rest) for i in range(n)]
    return tuple(out)


def zipped(tokens, kept):
    """VisionZip, as compress/visionzip.c does it: tokens [N, frames, each, width] -> [N, sum(kept), width].

    Of a frame the tokens that are attended to most by all, and means of the others, by likeness to every so many of them.
    """
    plain = tokens.detach()
    attended = (plain @ plain.transpose(-1, -2) / tokens.shape[-1] ** 0.5).softmax(-1).mean(-2)
    return torch.cat([_zip_frame(tokens[:, i], attended[:, i], k) for i, k in enumerate(kept)], 1)


def _zip_frame(tokens, attended, k):
    targets = 0 if k < 2 else max(k * 10 // 64, 1)
    order = attended.argsort(dim=-1, descending=True, stable=True)
    dominant, others = order[:, : k - targets].sort(-1).values, order[:, k - targets :].sort(-1).values

    def rows_of(places):
        return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))

    if not targets:
        return rows_of(dominant)
    every = torch.arange(targets) * max(others.shape[1] // targets, 1)
    unit = F.normalize(rows_of(others).detach(), dim=-1)
    joined = (unit @ unit[:, every].transpose(1, 2)).argmax(-1)
    joined[:, every] = torch.arange(targets)
    share = F.one_hot(joined, targets).float()
    means = (share / share.sum(1, keepdim=True)).transpose(1, 2) @ rows_of(others)
    order = torch.cat((dominant, others[:, every]), 1).argsort(-1)
    return torch.cat((rows_of(dominant), means), 1).gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))


def merge(tokens, kept, places=None):
    """Temporal merging: tokens [N, frames, each, width] -> [N, sum(kept), width]. `places`: kept instead of DyCoke's choice."""
    places = choice(tokens, kept) if places is None else places
    return tokens.flatten(1, 2).gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
