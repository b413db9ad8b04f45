# SPDX-License-Identifier: LGPL-2.1-or-later
"""The vision tower: ViT-Tiny/16 as shipped (teacher, class token) and the tower of the product (none)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, DEPTH, HEADS, MLP, PATCH, GRID = 192, 12, 3, 768, 16, 14
EPS = 1e-6


class Block(nn.Module):
    def __init__(self, gelu):
        super().__init__()
        self.ln1 = nn.LayerNorm(WIDTH, eps=EPS)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.ln2 = nn.LayerNorm(WIDTH, eps=EPS)
        self.fc1 = nn.Linear(WIDTH, MLP)
        self.fc2 = nn.Linear(MLP, WIDTH)
        self.gelu = gelu

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, n, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(a.transpose(1, 2).reshape(b, n, WIDTH))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate=self.gelu))


class Tower(nn.Module):
    """Images in [-1, 1] -> features [B, 196, 192] after the last norm; with a class token, that one first."""

    heads = HEADS

    def __init__(self, class_token, gelu):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, WIDTH)
        self.position = nn.Parameter(torch.zeros(GRID * GRID + class_token, WIDTH))
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH)) if class_token else None
        self.blocks = nn.ModuleList(Block(gelu) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, images):
        b = images.shape[0]
        x = images.view(b, 3, GRID, PATCH, GRID, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(b, GRID * GRID, -1)
        x = self.patch(x)
        if self.class_token is not None:
            x = torch.cat((self.class_token.expand(b, -1, -1), x), 1)
        x = x + self.position
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def shipped(path, class_token):
    """The npz into a teacher (class token, exact GELU) or into the student's starting point (neither)."""
    z = {k: torch.from_numpy(v.astype(np.float32)) for k, v in np.load(path).items()}
    tower = Tower(class_token, "none" if class_token else "tanh")
    state = {
        "patch.weight": z["patch_embed_proj_weight"].reshape(WIDTH, -1),
        "patch.bias": z["patch_embed_proj_bias"],
        "position": z["pos_embed"][0] if class_token else z["pos_embed"][0, 1:],
        "norm.weight": z["norm_weight"],
        "norm.bias": z["norm_bias"],
    }
    if class_token:
        state["class_token"] = z["cls_token"]
    names = {"ln1": "norm1", "qkv": "attn_qkv", "proj": "attn_proj", "ln2": "norm2", "fc1": "mlp_fc1", "fc2": "mlp_fc2"}
    for i in range(DEPTH):
        for ours, theirs in names.items():
            for part in ("weight", "bias"):
                state[f"blocks.{i}.{ours}.{part}"] = z[f"blocks_{i}_{theirs}_{part}"]
    tower.load_state_dict(state)
    return tower


def pixels(array):
    """uint8 numpy [B, 3, H, W] -> f32 in [-1, 1]: mean and deviation 0.5."""
    return torch.from_numpy(np.array(array)).float().div_(127.5).sub_(1)
