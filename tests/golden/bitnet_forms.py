# SPDX-License-Identifier: LGPL-2.1-or-later
"""BitNet's forms in numpy: how inputs are rounded and weights are made, and what a small model of them computes, in float64 but
for the rounding, which is f32 as in the released code. Written from the papers, for make-bitnet-forms.py and by hand; knows
nothing of the engine.

usage: python3 bitnet_forms.py      checks the numbers that are worked out by hand below

  w1a8   arXiv:2310.11453      a4.8   arXiv:2411.04965      v2, v2-a8   arXiv:2504.18415      int8   arXiv:2402.17764
"""
import numpy as np


# ---- Rows and matrices -----------------------------------------------------------------------------------------------

def int8(x):
    """Integers and their scale, by the largest magnitude of a row; ties to even."""
    most = np.maximum(np.abs(x).max(-1, keepdims=True), np.float32(1e-5)).astype(np.float32)
    return np.clip(np.rint(x.astype(np.float32) * (np.float32(127) / most)), -128, 127), most / np.float32(127)


def int4(x):
    """The same in four bits by the mean magnitude."""
    root = np.sqrt(np.float32(7))
    mean = np.maximum(np.abs(x).mean(-1, keepdims=True), 1e-5).astype(np.float32)
    return np.clip(np.rint(x.astype(np.float32) * (root / mean)), -8, 7), mean / root


def top(x, share=0.5):
    """The largest magnitudes of each row, of equal ones the first; the others 0."""
    keep = int(x.shape[-1] * share)
    order = np.argsort(-np.abs(x), axis=-1, kind="stable")[..., :keep]
    mask = np.zeros(x.shape, bool)
    np.put_along_axis(mask, order, True, -1)
    return np.where(mask, x, 0)


def hadamard(n):
    """The orthonormal Sylvester matrix."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h / np.sqrt(n)


def turn(x, block):
    return (x.reshape(*x.shape[:-1], -1, block) @ hadamard(block)).reshape(x.shape)


def binary(w):
    """sign (w - mean w) times mean |w|."""
    return np.where(w > w.mean(), 1.0, -1.0) * np.abs(w).mean()


def ternary(w):
    """absmean, b1.58."""
    scale = max(np.abs(w).mean(), 1e-5)
    return np.clip(np.rint(w / scale), -1, 1) * scale


# ---- A policy --------------------------------------------------------------------------------------------------------

FIRST, MIXER, FFN = range(3)    # the matrices that a block begins with, and those that end one


def place(name):
    return (MIXER if name in ("attn_output", "shortconv.out_proj") else FFN if name == "ffn_down" else FIRST)


def prepare(x, policy, where, rounds, block=0):
    """What a matrix is multiplied with. rounds False: what a policy leaves out and turns, without rounding."""
    kind = int8
    if policy == "a4.8":
        kind = int4 if where == FIRST else int8
        x = top(x) if where == MIXER else x
    elif policy.startswith("v2"):
        kind = int4 if policy == "v2" else int8
        x = turn(x, block or x.shape[-1]) if where != FIRST else x
    if not rounds:
        return x
    q, scale = kind(x)
    return q * scale.astype(np.float64)


# ---- A model ---------------------------------------------------------------------------------------------------------

def rms(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def silu(x):
    return x * 0.5 * (1 + np.tanh(x / 2))


def relu2(x):
    return np.maximum(x, 0) ** 2


class Model:
    """bitnet (a norm before every matrix) and lfm2 (short convolutions, norms of heads), by the files' tensors as float64."""

    def __init__(self, c, tensors):
        self.c, self.t = c, tensors

    def linear(self, layer, name, x, rounds):
        c = self.c
        return prepare(x, c["policy"], place(name), rounds, c["block"]) @ self.t[f"blk.{layer}.{name}.weight"].T

    def norm(self, layer, name, x):
        weight = self.t.get(f"blk.{layer}.{name}.weight")
        return x if weight is None else rms(x, weight, self.c["eps"])

    def rope(self, x):
        half = x.shape[-1] // 2
        angles = np.arange(len(x))[:, None] / self.c["theta"] ** (np.arange(half) / half)
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, i, x, rounds):
        c, n = self.c, len(x)
        head = c["width"] // c["heads"]
        q, k, v = (self.linear(i, "attn_" + p, x, rounds).reshape(n, -1, head) for p in "qkv")
        q, k = self.rope(self.norm(i, "attn_q_norm", q)), self.rope(self.norm(i, "attn_k_norm", k))
        k, v = (np.repeat(m, c["heads"] // c["kv"], 1) for m in (k, v))
        scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(head)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        o = np.einsum("hts,shd->thd", weights, v).reshape(n, -1)
        return self.linear(i, "attn_output", self.norm(i, "attn_sub_norm", o), rounds)

    def convolution(self, i, x, rounds):
        taps = self.t[f"blk.{i}.shortconv.conv.weight"]         # [width, taps], the last one for the row itself
        b, c, z = np.split(self.linear(i, "shortconv.in_proj", x, rounds), 3, -1)
        u = np.concatenate([np.zeros((taps.shape[1] - 1, x.shape[1])), b * z])
        y = sum(u[k:k + len(x)] * taps[:, k] for k in range(taps.shape[1]))
        return self.linear(i, "shortconv.out_proj", c * y, rounds)

    def ffn(self, i, x, rounds):
        act = relu2 if self.c["arch"] == "bitnet-b1.58" else silu
        g = act(self.linear(i, "ffn_gate", x, rounds)) * self.linear(i, "ffn_up", x, rounds)
        return self.linear(i, "ffn_down", self.norm(i, "ffn_sub_norm", g), rounds)

    def logits(self, ids, rounds):
        h, t = self.t["token_embd.weight"][ids], self.t
        for i in range(self.c["layers"]):
            mixer = self.convolution if f"blk.{i}.shortconv.conv.weight" in t else self.attention
            h = h + mixer(i, self.norm(i, "attn_norm", h), rounds)
            h = h + self.ffn(i, self.norm(i, "ffn_norm", h), rounds)
        last = t.get("output_norm.weight", t.get("token_embd_norm.weight"))
        return rms(h, last, self.c["eps"]) @ t["token_embd.weight"].T


# ---- Worked out by hand ----------------------------------------------------------------------------------------------

def check():
    x = np.array([1, -.5, .25, 2])
    q, scale = int4(x)                                  # mean 15/16
    assert q.tolist() == [3, -1, 1, 6] and np.allclose(q * scale, [1.0630, -.3543, .3543, 2.1261], atol=1e-4)
    q, scale = int8(x)                                  # 63.5 and 15.875 to 64 and 16, -31.75 to -32
    assert q.tolist() == [64, -32, 16, 127] and np.isclose(scale[0], 2 / 127)
    assert turn(x, 4).tolist() == [1.375, -.125, -.875, 1.625] and np.allclose(turn(turn(x, 4), 4), x)
    assert np.isclose((turn(x, 4) ** 2).sum(), 5.3125) and np.isclose((x ** 2).sum(), 5.3125)
    q, scale = int4(turn(x, 4))                         # mean 1: 3.638, -.331, -2.315, 4.299
    assert q.tolist() == [4, 0, -2, 4] and np.isclose(scale[0], 1 / np.sqrt(7))
    assert top(x).tolist() == [1, 0, 0, 2] and top(np.array([1., -1, 1, 0])).tolist() == [1, -1, 0, 0]
    w = np.array([[.5, -.2, .05, -.9]])
    assert np.allclose(binary(w), .4125 * np.array([[1, -1, 1, -1]]))   # mean -.1375: all above it are +1
    assert np.allclose(binary(w) @ x, .4125 * -.25)                     # 1 + .5 + .25 - 2
    assert np.allclose(ternary(w), .4125 * np.array([[1, 0, 0, -1]]))


if __name__ == "__main__":
    check()
    print("as worked out by hand")
