# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ternary weights and int8 activations (BitNet b1.58), as seen by training: rounded forward, straight through back.

Forward, the product is one of integers, and exact as the engine's is. Back, the gradients are rounded to bf16 where this
CPU multiplies those faster than f32: the rounded operands themselves, trits and int8, lose nothing by it.
"""

import functools
import time

import torch
from torch import nn


def trits(weight):
    """t = clamp(round(W / mean|W|), -1, 1) and the scale, for one tensor."""
    scale = weight.abs().mean().clamp_min(1e-5)
    return (weight / scale).round().clamp(-1, 1), scale


def int8(x):
    """Every row to the grid of 255 steps that its largest value spans, round half to even; and the step of each row."""
    step = x.abs().amax(-1, keepdim=True).clamp_min(1e-5) / 127.0
    return (x / step).round().clamp(-128, 127).to(torch.int8), step


def ternary(weight, rows):
    """int8 trits and the scale of each row; `rows` cuts a fused matrix into the tensors of the file, each with its own."""
    parts = [trits(part) for part in weight.split(rows)]
    scales = torch.cat([scale.expand(n) for (_, scale), n in zip(parts, rows)])
    return torch.cat([t for t, _ in parts]).to(torch.int8), scales


def product(x, step, t, scales):
    return torch._int_mm(x, t.t()).float() * step * scales


@functools.lru_cache(maxsize=None)
def fast_type():
    """The type of the gradients' products: bf16 where it is faster here (it takes an instruction of its own), else f32."""

    def seconds(kind):
        a, b = torch.ones(1024, 256, dtype=kind), torch.ones(256, 512, dtype=kind)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
        return min(times)

    return torch.bfloat16 if seconds(torch.bfloat16) < seconds(torch.float32) else torch.float32


class _Product(torch.autograd.Function):
    """Both gradients use the rounded operands; the rounding itself counts as identity."""

    @staticmethod
    def forward(ctx, x, weight, rows, rough):
        x, step = int8(x)
        t, scales = ternary(weight, rows)
        ctx.save_for_backward(x, step, t, scales)
        ctx.rough = rough
        return product(x, step, t, scales)

    @staticmethod
    def backward(ctx, grad):
        x, step, t, scales = ctx.saved_tensors
        rough = ctx.rough
        to_x = (grad * scales).to(rough) @ t.to(rough)
        to_weight = (grad * step).to(rough).t() @ x.to(rough)
        return to_x.float(), to_weight.float(), None, None


class _Through(torch.autograd.Function):
    """A matrix that learns nothing: what lies before it may."""

    @staticmethod
    def forward(ctx, x, t, scales, rough):
        ctx.save_for_backward(t, scales)
        ctx.rough = rough
        return product(*int8(x), t, scales)

    @staticmethod
    def backward(ctx, grad):
        t, scales = ctx.saved_tensors
        return ((grad * scales).to(ctx.rough) @ t.to(ctx.rough)).float(), None, None, None


class BitLinear(nn.Module):
    """A ternary matrix, or several that read the same activations, fused: `rows` lists their heights.

    Switched to `plain` it is an ordinary linear layer: the full-precision twin.
    """

    def __init__(self, inputs, rows, gain=1.0, plain=False):
        super().__init__()
        self.rows = list(rows)
        self.plain = plain
        self.frozen = None  # (trits, scales)
        self.weight = nn.Parameter(torch.randn(sum(rows), inputs) * gain / inputs**0.5)
        self.rough = fast_type()

    def forward(self, x):
        if self.plain:
            return x @ self.weight.t()
        if self.frozen is not None:
            return _Through.apply(x, *self.frozen, self.rough)
        return _Product.apply(x, self.weight, self.rows, self.rough)

    def freeze(self, on):
        """Round the weights once before decoding instead of at every word."""
        self.frozen = ternary(self.weight.detach(), self.rows) if on and not self.plain else None

    def set_frozen(self, matrix):
        """Trits times a scale for each of `rows`, as they stand in a file."""
        scales = torch.cat([part.abs().max().expand(len(part)) for part in matrix.split(self.rows)])
        self.frozen = (matrix / scales[:, None]).round().to(torch.int8), scales
