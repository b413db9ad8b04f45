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


# ---- Through the projector ----

UNITS, AMOUNT, MIDDLE = 2, 6.0, 6.0  # hidden units; size of the two directions; where GELU is a straight line


@torch.no_grad()
def _unread(model, tokens):
    """[width, 2]: directions of the language model's stream that the visual tokens [rows, width] use least and its layers
    read least."""
    carried = tokens.t() @ tokens
    reading = []
    for layer in model.layers:
        inward = layer.mix.qkv if layer.attends else layer.mix.inward
        reading += [inward.weight * layer.norm1, layer.gate_up.weight * layer.norm2]
    read = sum(r.t() @ r for r in reading)
    return torch.linalg.eigh(carried / carried.trace() + read / read.trace())[1][:, :2].clone()


@torch.no_grad()
def carry(model, features):
    """A linear reader of a token's four patches knows its column and row to a fifth of a cell; the projector, trained
    without a use for them, lets hardly anything through, and learning to takes longer than all the rest. So its two least
    used hidden units become that reader, and write into two directions that the language model does not use.

    `features`: f32 [photographs, 196, 192] of a tower with places.
    """
    projector = model.projector
    inputs = projector.norm(projector.unshuffle(features))
    flat = torch.nn.functional.pad(inputs.flatten(0, 1), (0, 1), value=1.0)
    side = round(inputs.shape[1] ** 0.5)
    cell = torch.arange(side * side)
    where = torch.stack((cell % side, cell // side), 1).float() - (side - 1) / 2
    where = (where / 2).repeat(len(inputs), 1)
    reader = torch.linalg.solve(flat.t() @ flat + torch.eye(flat.shape[1]), flat.t() @ where)
    hidden = torch.nn.functional.gelu(projector.up(inputs)).flatten(0, 1)
    units = (hidden.var(0) * projector.down.weight.square().sum(0)).topk(UNITS, largest=False).indices
    directions = _unread(model, projector(projector.unshuffle(features)).flatten(0, 1))
    for k, unit in enumerate(units):
        projector.down.bias += hidden[:, unit].mean() * projector.down.weight[:, unit] - AMOUNT * MIDDLE * directions[:, k]
        projector.up.weight[unit] = reader[:-1, k]
        projector.up.bias[unit] = reader[-1, k] + MIDDLE
        projector.down.weight[:, unit] = AMOUNT * directions[:, k]


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
