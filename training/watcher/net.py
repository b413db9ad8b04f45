# SPDX-License-Identifier: LGPL-2.1-or-later
"""The watcher: a small tower of its own and a ternary LFM2-type language model, trained together from nothing.

Pictures have any size of whole visual tokens (32 pixels a side); the position table of 16 x 16 patches is resized to
theirs as the engine does it. A picture of a video is two frames: the tower sees the first one, and what vision/motion.c
measures from it to the second, and to it from the frame before (the second one of the picture before), comes to every visual token
through a small network of its own. A still brings nothing there.
"""

import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import model as lm      # noqa: E402
import movement         # noqa: E402
import quant            # noqa: E402

WIDTH, DEPTH, HEADS, MLP, PATCH, TABLE = 128, 6, 2, 512, 16, 16
HIDDEN, MOVES = 512, 256        # between the two layers of the projector, and of what reads movement
SHAPE = lm.SHAPES["small"]
EPS = 1e-6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH, eps=EPS), nn.LayerNorm(WIDTH, eps=EPS)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, MLP), nn.Linear(MLP, WIDTH)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, n, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(a.transpose(1, 2).reshape(b, n, WIDTH))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate="tanh"))


class Tower(nn.Module):
    """uint8 pictures [N, H, W, 3] -> [N, H/32 * W/32, 4 * WIDTH]: the four patches of a token, row by row."""

    heads = HEADS

    def __init__(self):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, WIDTH)
        self.position = nn.Parameter(torch.randn(TABLE * TABLE, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)

    def positions(self, h, w):
        table = self.position.t().view(1, WIDTH, TABLE, TABLE)
        if (h, w) != (TABLE, TABLE):
            table = F.interpolate(table, (h, w), mode="bilinear", align_corners=False, antialias=True)
        return table.flatten(2).transpose(1, 2)

    def forward(self, pictures):
        n, height, width, _ = pictures.shape
        h, w = height // PATCH, width // PATCH
        x = pictures.float().div(127.5).sub(1)
        x = x.view(n, h, PATCH, w, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, h * w, -1)
        x = self.patch(x) + self.positions(h, w)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).view(n, h // 2, 2, w // 2, 2, WIDTH).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(n, h * w // 4, 4 * WIDTH)


class Projector(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4 * WIDTH, eps=1e-5)
        self.up, self.down = nn.Linear(4 * WIDTH, HIDDEN), nn.Linear(HIDDEN, SHAPE.width)

    def forward(self, x):
        return self.down(F.gelu(self.up(self.norm(x))))


class Watcher(nn.Module):
    def __init__(self, vocabulary, plain=False):
        super().__init__()
        self.shape = SHAPE
        self.tower, self.projector, self.motion = Tower(), Projector(), movement.Motion(SHAPE.width, 2, MOVES)
        self.embedding = nn.Parameter(torch.randn(vocabulary, SHAPE.width) * 0.05)
        self.layers = nn.ModuleList(lm.Layer(SHAPE, i, plain) for i in range(SHAPE.layers))
        self.norm = nn.Parameter(torch.ones(SHAPE.width))
        self.rough = quant.fast_type() == torch.bfloat16

    def look(self, pictures, moves, teach=True):
        """uint8 [n, H, W, 3], or f16 what the tower has made of such, and what was measured [n, tokens, 2 * movement.FEATURES] or
        None -> visual tokens [n, tokens, width]. In bf16 where this CPU multiplies that faster: the tower is most of a step, and is
        not taught without `teach`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough), torch.set_grad_enabled(teach and torch.is_grad_enabled()):
            tokens = pictures.float() if pictures.dtype == torch.float16 else self.tower(pictures)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough):
            tokens = self.projector(tokens).float()
        return tokens if moves is None else tokens + self.motion(moves)

    def see(self, pictures, moves, count, merged):
        """The same of pictures [N * count], merged: [N * sum(merged.kept), width]."""
        return merged(self.look(pictures, moves).unflatten(0, (-1, count))).flatten(0, 1)

    def read(self, visual, batch, drop=None):
        """What the language model makes of every row."""
        x = F.embedding(batch.ids, self.embedding).index_copy(0, batch.visual, visual)
        for layer in self.layers:
            x = layer(x, batch, *((drop(x.shape), drop(x.shape)) if drop else ()))
        return x

    def forward(self, visual, batch, drop=None):
        """Logits of the rows that say something."""
        return self.say(self.read(visual, batch, drop), batch)

    def say(self, read, batch):
        return lm.rms(read[batch.said], self.norm) @ self.embedding.t()


def widened(state):
    """Weights of before the frame before was measured, and of when less stood between the two layers that read movement: what is
    new begins with no say."""
    state = {name: value.float() for name, value in state.items()}
    up, hidden = state["motion.up.weight"], len(state["motion.up.bias"])
    if up.shape[1] == movement.FEATURES:
        state["motion.up.weight"] = torch.cat((torch.zeros_like(up), up), 1)
    if hidden < MOVES:
        narrow = movement.Motion(SHAPE.width, 2, hidden)
        narrow.load_state_dict({k.removeprefix("motion."): v for k, v in state.items() if k.startswith("motion.")})
        state.update({"motion." + k: v for k, v in narrow.widened(MOVES).state_dict().items()})
    return state
