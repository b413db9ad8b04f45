# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ternary weights and int8 activations (BitNet b1.58), as seen by training: rounded forward, straight through back."""

import torch
from torch import nn


def trits(weight):
    """t = clamp(round(W / mean|W|), -1, 1) and the scale, for one tensor."""
    scale = weight.abs().mean().clamp_min(1e-5)
    return (weight / scale).round().clamp(-1, 1), scale


def ternary(weight, rows):
    """`rows` cuts a fused matrix into the tensors of the file, each with a scale of its own."""
    parts = []
    for part in weight.split(rows):
        t, scale = trits(part)
        parts.append(t * scale)
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def int8(x):
    """Every row to the grid of 255 steps that its largest value spans; round half to even."""
    scale = 127.0 / x.abs().amax(-1, keepdim=True).clamp_min(1e-5)
    return (x * scale).round().clamp(-128, 127) / scale


class _Product(torch.autograd.Function):
    """Both gradients use the rounded operands; the rounding itself counts as identity."""

    @staticmethod
    def forward(ctx, x, weight, rows):
        x, weight = int8(x), ternary(weight, rows)
        ctx.save_for_backward(x, weight)
        return x @ weight.t()

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return grad @ weight, grad.t() @ x, None


class BitLinear(nn.Module):
    """A ternary matrix, or several that read the same activations, fused: `rows` lists their heights.

    Switched to `plain` it is an ordinary linear layer: the full-precision twin.
    """

    def __init__(self, inputs, rows, gain=1.0, plain=False):
        super().__init__()
        self.rows = list(rows)
        self.plain = plain
        self.frozen = None
        self.weight = nn.Parameter(torch.randn(sum(rows), inputs) * gain / inputs**0.5)

    def forward(self, x):
        if self.plain:
            return x @ self.weight.t()
        if self.frozen is not None:
            return int8(x) @ self.frozen.t()
        return _Product.apply(x, self.weight, self.rows)

    def freeze(self, on):
        """Round the weights once before decoding instead of at every word."""
        self.frozen = ternary(self.weight.detach(), self.rows) if on and not self.plain else None
