# SPDX-License-Identifier: LGPL-2.1-or-later
"""The captioner: projector and LFM2-type language model, on flat rows without padding.

Training reads a batch as one matrix: for each photograph the rows of its prefix (chat, visual tokens,
instruction), then those of its five captions. The captions share the prefix: 135 rows instead of 415.
`Rows` (rows.py) says which row is where; the result equals token-by-token decoding.
"""

import collections

import torch
import torch.nn.functional as F
from torch import nn

import movement
import quant

HEAD, EPS, THETA, TAPS = 64, 1e-5, 1e4, 3
VISION, HIDDEN, TOKENS = 768, 512, 49


class Shape(collections.namedtuple("Shape", "width layers attention kv_heads ffn")):
    """`attention`: the layers that attend; the others are short convolutions. Heads of 64 fill the width."""

    @property
    def heads(self):
        return self.width // HEAD

    @staticmethod
    def of(state):
        """The shape of a checkpoint, by its tensors."""
        layers = [k[: -len("down.weight")] for k in state if k.startswith("layers.") and k.endswith(".down.weight")]
        width = state["embedding"].shape[1]
        attention = tuple(i for i in range(len(layers)) if f"layers.{i}.mix.qkv.weight" in state)
        side = state[f"layers.{attention[0]}.mix.qkv.weight"].shape[0] - width
        return Shape(width, len(layers), attention, side // 2 // HEAD, state["layers.0.down.weight"].shape[1])


SHAPES = {
    "small": Shape(256, 6, (1, 3, 5), 2, 512),  # 3.7 M weights in the layers
    "wide": Shape(256, 8, (1, 3, 5, 7), 2, 768),  # 6.6 M
    "large": Shape(512, 6, (1, 3, 5), 4, 1024),  # 14.6 M
}


def rms(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    """NEOX: the two halves of a head are the two coordinates."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def angles(positions):
    frequency = THETA ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
    phase = positions.float()[:, None] * frequency
    return phase.cos(), phase.sin()


class Projector(nn.Module):
    """14 x 14 features -> pixel unshuffle -> 7 x 7 visual tokens of the language model's width."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(VISION, eps=1e-5)
        self.up = nn.Linear(VISION, HIDDEN)
        self.down = nn.Linear(HIDDEN, width)

    @staticmethod
    def unshuffle(features):
        """[N, 196, 192] -> [N, 49, 768]: the four neighbours of a token, row by row."""
        n = features.shape[0]
        x = features.view(n, 7, 2, 7, 2, -1).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(n, TOKENS, VISION)

    def forward(self, tokens, mask=None):
        x = self.norm(tokens)
        if mask is not None:
            x = x * mask
        return self.down(F.gelu(self.up(x)))


class Attention(nn.Module):
    def __init__(self, shape, plain):
        super().__init__()
        width, side = shape.width, shape.kv_heads * HEAD
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        self.qkv = quant.BitLinear(width, (width, side, side), plain=plain)
        self.out = quant.BitLinear(width, (width,), gain=(2 * shape.layers) ** -0.5, plain=plain)
        self.q_norm, self.k_norm = nn.Parameter(torch.ones(HEAD)), nn.Parameter(torch.ones(HEAD))

    def look(self, x, cos, sin):
        """Rotated queries and keys, values; each [rows, heads, 64]."""
        q, k, v = (t.view(len(x), -1, HEAD) for t in self.qkv(x).split(self.qkv.rows, -1))
        q, k = rms(q, self.q_norm), rms(k, self.k_norm)
        return rotate(q, cos[:, None], sin[:, None]), rotate(k, cos[:, None], sin[:, None]), v

    def forward(self, x, rows):
        """`rows.pad` lays the flat rows out as [photograph, place]; the mask knows who may see whom."""
        q, k, v = self.look(x, rows.cos, rows.sin)
        b, n = rows.pad.shape
        flat = torch.cat((q.flatten(1), k.flatten(1), v.flatten(1)), 1)
        padded = rows.spread(flat).view(b, n, -1, HEAD).transpose(1, 2)
        q, k, v = padded.split((self.heads, self.kv_heads, self.kv_heads), 1)
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=rows.mask)
        return self.out(rows.gather(out.transpose(1, 2).reshape(b * n, -1)))


class ShortConv(nn.Module):
    def __init__(self, shape, plain):
        super().__init__()
        width = shape.width
        self.inward = quant.BitLinear(width, (3 * width,), plain=plain)
        self.out = quant.BitLinear(width, (width,), gain=(2 * shape.layers) ** -0.5, plain=plain)
        taps = torch.randn(TAPS, width) * 0.3
        taps[-1] += 0.5
        self.taps = nn.Parameter(taps)

    def forward(self, x, rows):
        b, c, u = self.inward(x).chunk(3, -1)
        z = b * u
        return self.out(c * (self.taps[2] * z + self.taps[1] * rows.before(z, 0) + self.taps[0] * rows.before(z, 1)))


class Layer(nn.Module):
    def __init__(self, shape, index, plain):
        super().__init__()
        width, ffn = shape.width, shape.ffn
        self.attends = index in shape.attention
        self.norm1, self.norm2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.mix = (Attention if self.attends else ShortConv)(shape, plain)
        self.gate_up = quant.BitLinear(width, (ffn, ffn), plain=plain)
        self.down = quant.BitLinear(ffn, (width,), gain=(2 * shape.layers) ** -0.5, plain=plain)

    def ffn(self, x):
        gate, up = self.gate_up(rms(x, self.norm2)).chunk(2, -1)
        return self.down(F.silu(gate) * up)

    def forward(self, x, rows, mask1=None, mask2=None):
        y = self.mix(rms(x, self.norm1), rows)
        x = x + (y if mask1 is None else y * mask1)
        y = self.ffn(x)
        return x + (y if mask2 is None else y * mask2)


class Captioner(nn.Module):
    def __init__(self, vocabulary, plain=False, shape=SHAPES["small"]):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(vocabulary, shape.width) * 0.05)
        self.projector = Projector(shape.width)
        self.layers = nn.ModuleList(Layer(shape, i, plain) for i in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        self.motion = None  # movement.Motion, of a model that was taught what moves
        self.lean = None  # what is added to the logits (replay.py); in no checkpoint

    @classmethod
    def loaded(cls, state, plain=False):
        """The model of a checkpoint, in its shape."""
        model = cls(state["embedding"].shape[0], plain, Shape.of(state))
        if "motion.up.weight" in state:
            hidden, measured = state["motion.up.weight"].shape
            model.motion = movement.Motion(model.shape.width, measured // movement.FEATURES, hidden)
        model.load_state_dict({k: v.float() for k, v in state.items()})
        return model

    def freeze(self, on=True):
        for module in self.modules():
            if isinstance(module, quant.BitLinear):
                module.freeze(on)

    def head(self, x):
        logits = rms(x, self.norm) @ self.embedding.t()
        return logits if self.lean is None else logits + self.lean

    def hidden(self, visual, rows):
        """What the output head reads at the caption rows: [rows, width]."""
        return rms(self._through(visual, rows)[rows.said], self.norm)

    def forward(self, visual, rows, drop=None):
        """Logits of the caption rows. `visual`: projected tokens, one row each, in the order of rows.visual."""
        return self.head(self._through(visual, rows, drop)[rows.said])

    def _through(self, visual, rows, drop=None):
        x = F.embedding(rows.ids, self.embedding)
        x = x.index_copy(0, rows.visual, visual)
        if drop:
            x = x * drop(x.shape)
        for layer in self.layers:
            x = layer(x, rows, *((drop(x.shape), drop(x.shape)) if drop else ()))
        return x


class Dropout:
    """Masks are slices at random places of one pool: drawing numbers for every tensor costs more than the rest."""

    def __init__(self, share, generator, size=1 << 24):
        self.pool = (torch.rand(size, generator=generator) >= share).float() / (1 - share)
        self.generator = generator

    def __call__(self, shape):
        n = shape.numel()
        at = int(torch.randint(self.pool.numel() - n, (1,), generator=self.generator))
        return self.pool[at : at + n].view(shape)
