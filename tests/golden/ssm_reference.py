# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a GGUF of a state-space model or hybrid computes, in numpy and float64, position by position: jamba, nemotron_h,
nemotron_h_moe, granitehybrid, falcon-h1, mamba, mamba2. Written from the papers (arXiv:2312.00752, arXiv:2405.21060) and the
files' keys, for make-ssm.py and by hand; knows nothing of the engine.

usage: python3 ssm_reference.py FILE.json...      compares with the logits that golden files name

Needs gguf. Mamba-2 goes in its recurrent form; nothing here is in chunks.
"""
import json
import pathlib
import sys

import gguf
import numpy as np


def read(path):
    """Keys without the architecture's prefix, and tensors as float64 with the contiguous dimension last."""
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    keys = {name.removeprefix(arch + "."): field.contents() for name, field in reader.fields.items()
            if name.startswith(arch + ".")}
    tensors = {}
    for tensor in reader.tensors:
        shape = tuple(int(n) for n in reversed(tensor.shape))
        tensors[tensor.name] = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float64)
    return arch, keys, tensors


def rms(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.logaddexp(0, x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def int8(x):
    """BitNet's rule of activations, per position."""
    x32 = x.astype(np.float32)
    scale = np.float32(127) / np.maximum(np.abs(x32).max(-1, keepdims=True), np.float32(1e-5))
    return np.clip(np.rint(x32 * scale), -128, 127).astype(np.float64) / scale.astype(np.float64)


class Model:
    def __init__(self, path, a8=()):
        """a8: tensors whose input is rounded to int8."""
        self.arch, self.keys, self.tensors = read(path)
        self.a8 = set(a8)
        k = self.keys
        self.eps = k.get("attention.layer_norm_rms_epsilon", k.get("attention.layer_norm_epsilon"))
        self.layers = k["block_count"] - k.get("nextn_predict_layers", 0)

    def each(self, name, layer, default=0):
        value = self.keys.get(name, default)
        return value[layer] if isinstance(value, list) else value

    def linear(self, name, x):
        y = (int8(x) if name in self.a8 else x) @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if name + ".bias" in self.tensors else y

    # ---- blocks ------------------------------------------------------------------------------------------------------

    def convolution(self, p, x):
        """x [n, channels]."""
        weight = self.tensors[p + "ssm_conv1d.weight"]          # [channels, taps]
        taps = weight.shape[1]
        padded = np.concatenate([np.zeros((taps - 1, x.shape[1])), x])
        y = sum(padded[j:j + len(x)] * weight[:, j] for j in range(taps))
        bias = self.tensors.get(p + "ssm_conv1d.bias")
        return silu(y if bias is None else y + bias)

    def mamba1(self, p, u):
        t, k = self.tensors, self.keys
        inner, states, rank = k["ssm.inner_size"], k["ssm.state_size"], k["ssm.time_step_rank"]
        x, z = np.split(self.linear(p + "ssm_in", u), 2, axis=1)
        x = self.convolution(p, x)
        d, b, c = np.split(self.linear(p + "ssm_x", x), [rank, rank + states], axis=1)
        if k.get("ssm.dt_b_c_rms"):
            d, b, c = (rms(v, 1, self.eps) for v in (d, b, c))
        if p + "ssm_dt_norm.weight" in t:
            d, b, c = (rms(v, t[p + f"ssm_{n}_norm.weight"], self.eps) for v, n in ((d, "dt"), (b, "b"), (c, "c")))
        step = softplus(d @ t[p + "ssm_dt.weight"].T + t[p + "ssm_dt.bias"])
        a, h, y = t[p + "ssm_a"], np.zeros((inner, states)), np.empty_like(x)
        for i in range(len(u)):
            h = np.exp(step[i][:, None] * a) * h + (step[i] * x[i])[:, None] * b[i]
            y[i] = h @ c[i] + t[p + "ssm_d"] * x[i]
        return self.linear(p + "ssm_out", y * silu(z))

    def mamba2(self, p, u):
        t, k = self.tensors, self.keys
        inner, states, heads, groups = (k["ssm." + n] for n in ("inner_size", "state_size", "time_step_rank", "group_count"))
        width, n = inner // heads, len(u)
        z, xbc, d = np.split(self.linear(p + "ssm_in", u), [inner, 2 * inner + 2 * groups * states], axis=1)
        x, b, c = np.split(self.convolution(p, xbc), [inner, inner + groups * states], axis=1)
        step = softplus(d + t[p + "ssm_dt.bias"])
        of_head = np.arange(heads) // (heads // groups)
        x, b, c = x.reshape(n, heads, width), b.reshape(n, groups, states)[:, of_head], c.reshape(n, groups, states)[:, of_head]
        a, skip = t[p + "ssm_a"].reshape(heads), t[p + "ssm_d"].reshape(heads)
        h, y = np.zeros((heads, width, states)), np.empty_like(x)
        for i in range(n):
            h = np.exp(step[i] * a)[:, None, None] * h + (step[i][:, None] * x[i])[:, :, None] * b[i][:, None]
            y[i] = (h * c[i][:, None]).sum(-1) + skip[:, None] * x[i]
        y = y.reshape(n, inner) * silu(z)
        if p + "ssm_norm.weight" in t:
            y = rms(y.reshape(n, groups, -1), t[p + "ssm_norm.weight"].reshape(groups, -1), self.eps).reshape(n, inner)
        return self.linear(p + "ssm_out", y)

    def rotate(self, x):
        """x [n, heads, dim]."""
        k, dim = self.keys, x.shape[2]
        if self.arch == "falcon-h1":
            turning, pairs = dim, False
        elif self.arch == "granitehybrid" and k.get("rope.scaling.finetuned", True):
            turning, pairs = k["rope.dimension_count"], True
        else:
            return x
        angle = np.arange(len(x))[:, None] * np.float32(k.get("rope.freq_base", 1e4)) ** (-np.arange(0, turning, 2) / turning)
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        first, second = ((slice(0, turning, 2), slice(1, turning, 2)) if pairs
                         else (slice(0, turning // 2), slice(turning // 2, turning)))
        y = x.copy()
        y[..., first] = x[..., first] * cos - x[..., second] * sin
        y[..., second] = x[..., second] * cos + x[..., first] * sin
        return y

    def attention(self, p, u, layer):
        n, heads, kv = len(u), self.each("attention.head_count", layer), self.each("attention.head_count_kv", layer)
        q, k, v = (self.linear(p + "attn_" + name, u).reshape(n, count, -1)
                   for name, count in (("q", heads), ("k", kv), ("v", kv)))
        q, k = self.rotate(q), self.rotate(k)
        k, v = (np.repeat(m, heads // kv, axis=1) for m in (k, v))
        scale = self.keys.get("attention.scale", 0) or q.shape[2] ** -0.5
        scores = np.einsum("ihd,jhd->hij", q, k) * scale
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        return self.linear(p + "attn_output", np.einsum("hij,jhd->ihd", softmax(scores), v).reshape(n, -1))

    def ffn(self, p, u, suffix=""):
        up = self.linear(p + "ffn_up" + suffix, u)
        if p + f"ffn_gate{suffix}.weight" in self.tensors:
            up = silu(self.linear(p + "ffn_gate" + suffix, u)) * up
        else:
            up = np.maximum(up, 0) ** 2
        return self.linear(p + "ffn_down" + suffix, up)

    def route(self, p, u):
        """Weights [n, experts], 0 for those that are not chosen; the least gap between chosen and not chosen."""
        k, logits = self.keys, u @ self.tensors[p + "ffn_gate_inp.weight"].T
        used, experts = k["expert_used_count"], logits.shape[1]
        probability = {"jamba": softmax, "granitehybrid": lambda x: x}.get(self.arch, sigmoid)(logits)
        choice = probability + self.tensors.get(p + "exp_probs_b.bias", 0)
        groups = k.get("expert_group_count", 1) or 1
        if groups > 1:
            by_group = np.sort(choice.reshape(len(u), groups, -1), axis=2)[:, :, -2:].sum(-1)
            best = np.argsort(-by_group, axis=1, kind="stable")[:, :k["expert_group_used_count"]]
            keep = np.zeros((len(u), groups), bool)
            np.put_along_axis(keep, best, True, 1)
            choice = np.where(np.repeat(keep, experts // groups, axis=1), choice, -np.inf)
        order = np.argsort(-choice, axis=1, kind="stable")
        weight = np.take_along_axis(probability, order[:, :used], 1)
        if self.arch == "granitehybrid":
            weight = softmax(weight)
        elif self.arch != "jamba":
            if k.get("expert_weights_norm"):
                weight = weight / (weight.sum(1, keepdims=True) + 1e-20)
            weight = weight * (k.get("expert_weights_scale", 0) or 1)
        all_weights = np.zeros_like(logits)
        np.put_along_axis(all_weights, order[:, :used], weight, 1)
        ranked = np.take_along_axis(choice, order, 1)
        gap = (ranked[:, used - 1] - ranked[:, used]).min() if used < experts else np.inf
        return all_weights, gap

    def moe(self, p, u):
        t = self.tensors
        weights, gap = self.route(p, u)
        self.margin = min(self.margin, gap)
        seen = self.linear(p + "ffn_latent_down", u) if p + "ffn_latent_down.weight" in t else u
        y = np.zeros_like(seen)
        for e in range(weights.shape[1]):
            up = seen @ t[p + "ffn_up_exps.weight"][e].T
            if p + "ffn_gate_exps.weight" in t:
                up = silu(seen @ t[p + "ffn_gate_exps.weight"][e].T) * up
            else:
                up = np.maximum(up, 0) ** 2
            y += weights[:, e:e + 1] * (up @ t[p + "ffn_down_exps.weight"][e].T)
        if p + "ffn_latent_up.weight" in t:
            y = self.linear(p + "ffn_latent_up", y)
        return y + self.ffn(p, u, "_shexp") if p + "ffn_up_shexp.weight" in t else y

    # ---- the model ---------------------------------------------------------------------------------------------------

    def mixer(self, p, layer, u):
        if self.arch == "mamba":
            return self.mamba1(p, u)
        if self.arch == "mamba2":
            return self.mamba2(p, u)
        if self.arch == "falcon-h1":
            return self.attention(p, u, layer) + self.mamba2(p, u)
        if self.arch.startswith("nemotron_h") and self.each("feed_forward_length", layer):
            return self.feed_forward(p, u)
        if self.each("attention.head_count_kv", layer):
            return self.attention(p, u, layer)
        return self.mamba1(p, u) if self.arch == "jamba" else self.mamba2(p, u)

    def feed_forward(self, p, u):
        return self.moe(p, u) if p + "ffn_gate_inp.weight" in self.tensors else self.ffn(p, u)

    def logits(self, tokens):
        """[n, vocabulary]; self.margin: the least gap of a choice between experts."""
        t, k = self.tensors, self.keys
        self.margin = np.inf
        residual = k.get("residual_scale", 0) or 1
        h = t["token_embd.weight"][tokens] * (k.get("embedding_scale", 0) or 1)
        for i in range(self.layers):
            p = f"blk.{i}."
            h = h + residual * self.mixer(p, i, rms(h, t[p + "attn_norm.weight"], self.eps))
            norm = t.get(p + "ffn_norm.weight", t.get(p + "ffn_norm"))
            if norm is not None:
                h = h + residual * self.feed_forward(p, rms(h, norm, self.eps))
        h = rms(h, t["output_norm.weight"], self.eps)
        return h @ t.get("output.weight", t["token_embd.weight"]).T / (k.get("logit_scale", 0) or 1)


TERNARY = ("ssm_in", "ssm_out", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def compare(path):
    golden = json.loads(path.read_text())
    for mode in ("cases", "cases_a8"):
        model = Model(path.parent / golden["gguf"])
        if mode == "cases_a8":
            model.a8 = {name.removesuffix(".weight") for name in model.tensors
                        if name.removesuffix(".weight").split(".")[-1] in TERNARY}
        for case in golden.get(mode, []):
            expected = np.load(path.parent / case["logits"]).astype(np.float64)
            found = model.logits(case["tokens"])
            print(f"{path.stem} {mode} {case['name']}: nmse {((found - expected) ** 2).sum() / (expected ** 2).sum():.3g} "
                  f"max {np.abs(found - expected).max():.3g}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        compare(pathlib.Path(argument))
