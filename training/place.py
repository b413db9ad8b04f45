# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a token is: the tower forgets it, and without it nobody can say which way a camera turns.

ViT-Tiny was trained with mirrored photographs: from its sixth block on nothing in a patch's features tells left from right
(a linear reader explains .87 of the column before that block and nothing behind it), and after temporal merging the order
of the tokens does not tell it either. Two of the 192 channels are taken out of use: those directions of the residual stream
that carry least and are read least. No block reads or writes them any more, so what the position embedding puts there,
column and row, arrives behind the last norm. No training; the features keep a cosine of .975 to what they were.
"""

import copy

import torch

import vit

STRENGTH = 1.5  # of column and row at the picture's edge, in deviations of the first block's input


def grid():
    """[196, 2]: column and row of each patch, -1 to 1."""
    g = torch.arange(vit.GRID * vit.GRID)
    half = (vit.GRID - 1) / 2
    return torch.stack((g % vit.GRID - half, g // vit.GRID - half), 1) / half


def _unit(h):
    """As a layer norm sees it, without gain: [rows, 192]."""
    h = h - h.mean(-1, keepdim=True)
    return (h / h.std(-1, keepdim=True)).flatten(0, -2)


@torch.inference_mode()
def free_channels(tower, images):
    """[192, 2], orthonormal, without mean; and the deviation of the first block's input."""
    seen = []
    hooks = [b.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for b in tower.blocks]
    hooks.append(tower.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])))
    tower(images)
    for hook in hooks:
        hook.remove()
    carried = sum(_unit(h).t() @ _unit(h) / len(_unit(h)) for h in seen[:-1]) / vit.DEPTH
    carried += _unit(seen[-1]).t() @ _unit(seen[-1]) / len(_unit(seen[-1]))
    reading = [linear.weight * norm.weight for b in tower.blocks for norm, linear in ((b.ln1, b.qkv), (b.ln2, b.fc1))]
    read = sum(r.t() @ r for r in reading)
    use = carried / carried.trace() + read / read.trace()
    # A norm takes the mean away, so nothing can arrive in that direction.
    even = torch.full((vit.WIDTH, 1), vit.WIDTH**-0.5)
    outside = torch.eye(vit.WIDTH) - even @ even.t()
    _, directions = torch.linalg.eigh(outside @ use @ outside + 1e3 * even @ even.t())
    return directions[:, :2].clone(), float(seen[0].std(-1).mean())


@torch.no_grad()
def mark(tower, images):
    """A copy of the tower (without class token) that keeps column and row. `images`: some thirty photographs."""
    channels, deviation = free_channels(tower, images)
    out = copy.deepcopy(tower)
    inside = channels @ channels.t()
    for block in out.blocks:
        for norm, linear in ((block.ln1, block.qkv), (block.ln2, block.fc1)):
            read = linear.weight * norm.weight
            blind = (read - read @ inside) / norm.weight
            linear.bias += (linear.weight - blind) @ norm.bias
            linear.weight.copy_(blind)
    for linear in [out.patch] + [linear for b in out.blocks for linear in (b.proj, b.fc2)]:
        linear.weight -= inside @ linear.weight
        linear.bias -= inside @ linear.bias
    out.position -= out.position @ inside
    out.position += STRENGTH * deviation * grid() @ channels.t()
    return out


def main():
    """For a folder whose tower was adapted before: its features have to be made anew, and the captioner gets used to them
    in the stage of tasks."""
    import argparse
    import os

    import common
    import features
    import numpy as np

    a = argparse.ArgumentParser(description="Give the tower of one training folder its places, for another folder.")
    a.add_argument("--work", required=True, help="folder with tower.pt and pixels-train.npy")
    a.add_argument("--output", required=True, help="folder that gets the marked tower.pt")
    options = a.parse_args()
    photographs = np.load(os.path.join(options.work, "pixels-train.npy"), mmap_mode="r")[:48]
    tower = mark(features.adapted(options.work), vit.pixels(photographs))
    common.save(os.path.join(options.output, "tower.pt"), common.half(tower.state_dict()))


if __name__ == "__main__":
    main()
