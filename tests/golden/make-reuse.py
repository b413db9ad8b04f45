#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What towers make of a stream when patches that did not change keep their features: numpy in float64, from the description in
vision/reuse.h alone. Writes data/reuse. Needs numpy and gguf (0.19).

usage: make-reuse.py [DATA]

Three pictures for each tower of data: the second and the third differ from the first in a rectangle each, and everywhere by
noise. Whole at first, then in part, in part; no picture is computed whole for its drift.
"""
import json
import math
import pathlib
import sys

import gguf
import numpy as np

DATA = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
TOWERS = {"lfm2": ("lfm2vl/mmproj-ship-q8_0.gguf", 224), "idefics3": ("vision-own/mmproj-smolvlm-odd.gguf", 88)}
THRESHOLD, PROBE = 4, 16
ERF = np.vectorize(math.erf)


def picture(side, t):
    """Formulas that C has too. Noise is -1, 0 or 1."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    value = 60 + (x * 3 + y * 2 + c * 40) % 97 + (x * y >> 4) % 23
    for k, (left, top, size) in enumerate(((side // 8, side // 4, side // 5), (side // 2, side // 2, side // 4))):
        if k < t:
            inside = (x >= left) & (x < left + size) & (y >= top) & (y < top + size)
            value = np.where(inside, (x * 11 + y * 5 + c * 70 + k * 31) % 254 + 1, value)
    return value + (x * 7 + y * 13 + c * 5 + t * 17) % 3 - 1


def gelu_tanh(x):
    return .5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + .044715 * x ** 3)))


class Tower:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        key = lambda name: reader.fields["clip." + name].contents()    # noqa: E731
        self.t = {t.name: gguf.dequantize(t.data, t.tensor_type).reshape([int(n) for n in t.shape[::-1]]).astype(float)
                  for t in reader.tensors}
        self.kind, self.patch, self.hidden = key("projector_type"), key("vision.patch_size"), key("vision.embedding_length")
        self.heads, self.blocks = key("vision.attention.head_count"), key("vision.block_count")
        self.factor, self.eps = key("vision.projector.scale_factor"), key("vision.attention.layer_norm_epsilon")
        self.mean, self.std = np.array(key("vision.image_mean")), np.array(key("vision.image_std"))
        if not key("use_gelu"):
            raise SystemExit(f"{path}: expected clip.use_gelu")
        self.kept = None
        self.pictures = 0

    def linear(self, x, name):
        return x @ self.t[name + ".weight"].T + self.t.get(name + ".bias", 0)

    def norm(self, x, name, eps=None):
        if name + ".weight" not in self.t:
            return x
        d = x - x.mean(-1, keepdims=True)
        return d / np.sqrt((d * d).mean(-1, keepdims=True) + (eps or self.eps)) * self.t[name + ".weight"] + self.t[name + ".bias"]

    def patches(self, pixels):
        p, n = self.patch, len(pixels) // self.patch
        return pixels[:n * p, :n * p].reshape(n, p, n, p, 3).transpose(0, 2, 4, 1, 3).reshape(n * n, 3, p, p)

    def choose(self, patches, side):
        """Patches to compute, and probes."""
        parts = np.arange(self.patch) * 4 // self.patch
        change = np.zeros(len(patches))
        for i in range(4):
            for k in range(4):
                part = np.ix_(range(len(patches)), range(3), parts == i, parts == k)
                d = np.abs((patches - self.kept["pixels"])[part].mean((2, 3)))
                change = np.maximum(change, d @ [.25, .5, .25])
        median = np.sort(change)[len(change) // 2]
        grid = (change > min(max(THRESHOLD, 2 * median), 3 * THRESHOLD)).reshape(side, side)
        padded = np.pad(grid, 1)
        grid = sum(padded[y:y + side, x:x + side] for y in range(3) for x in range(3)) > 0
        if grid.sum() > len(patches) // 2:
            raise SystemExit("too much changes")
        tokens = grid.reshape(side // self.factor, self.factor, -1, self.factor).any((1, 3))
        y, x = np.indices(tokens.shape)
        probes = ((x + 5 * y) % PROBE == 3 * self.pictures % PROBE) & ~tokens
        return (grid | np.kron(probes, np.ones((self.factor, self.factor), bool))).ravel(), probes.ravel()

    def attend(self, q, k, v):
        out, d = np.empty_like(q), self.hidden // self.heads
        for head in range(self.heads):
            c = slice(head * d, head * d + d)
            score = q[:, c] @ k[:, c].T / math.sqrt(d)
            weight = np.exp(score - score.max(1, keepdims=True))
            out[:, c] = weight / weight.sum(1, keepdims=True) @ v[:, c]
        return out

    def layer(self, i, x, rows):
        name = f"v.blk.{i}."
        h = self.norm(x, name + "ln1")
        for what in "kv":
            self.kept[what][i, rows] = self.linear(h, name + "attn_" + what)
        x = x + self.linear(self.attend(self.linear(h, name + "attn_q"), self.kept["k"][i], self.kept["v"][i]), name + "attn_out")
        return x + self.linear(gelu_tanh(self.linear(self.norm(x, name + "ln2"), name + "ffn_up")), name + "ffn_down")

    def project(self, x):
        if self.kind == "idefics3":
            return self.linear(x, "mm.model.fc")
        x = self.linear(self.norm(x, "mm.input_norm", 1e-5), "mm.1")
        return self.linear(x * .5 * (1 + ERF(x / math.sqrt(2))), "mm.2")

    def encode(self, pixels):
        patches = self.patches(pixels)
        n, side = len(patches), len(pixels) // self.patch
        if self.kept is None:
            self.kept = {"pixels": patches.astype(float), "features": np.zeros((n, self.hidden))}
            self.kept |= {what: np.zeros((self.blocks, n, self.hidden)) for what in "kv"}
            rows, probes = np.ones(n, bool), np.zeros(0, bool)
        else:
            self.pictures += 1
            rows, probes = self.choose(patches, side)
            self.kept["pixels"][rows] = patches[rows]
        x = (patches / 255 - self.mean[:, None, None]) / self.std[:, None, None]
        x = self.linear(x.reshape(n, -1), "v.patch_embd_matrix") + self.t["v.position_embd.weight"]
        x = x[rows]
        for i in range(self.blocks):
            x = self.layer(i, x, rows)
        self.kept["features"][rows] = self.norm(x, "v.post_ln")
        f, g = self.factor, side // self.factor
        fresh = rows.reshape(g, f, g, f).any((1, 3)).ravel()
        wide = self.kept["features"].reshape(g, f, g, f, -1).transpose(0, 2, 1, 3, 4).reshape(g * g, -1)
        tokens = self.project(wide[fresh])
        drift = 0.
        if probes.any():
            wrong = ((tokens[probes[fresh]] - self.kept["tokens"][probes]) ** 2).sum()
            drift = (~fresh).mean() * wrong / 2 / (tokens[probes[fresh]] ** 2).sum()
        self.kept.setdefault("tokens", np.zeros((g * g, tokens.shape[1])))[fresh] = tokens
        return self.kept["tokens"].copy(), int(rows.sum()), drift


def main():
    folder = DATA / "reuse"
    folder.mkdir(exist_ok=True)
    cases = []
    for name, (file, side) in TOWERS.items():
        tower = Tower(DATA / file)
        tower.t["v.patch_embd_matrix.weight"] = tower.t["v.patch_embd.weight"].reshape(tower.hidden, -1)
        if "v.patch_embd.bias" in tower.t:
            tower.t["v.patch_embd_matrix.bias"] = tower.t["v.patch_embd.bias"]
        case = {"name": name, "mmproj": file, "side": side, "visual": [], "rows": [], "drift": []}
        for t in range(3):
            tokens, rows, drift = tower.encode(picture(side, t))
            np.save(folder / f"{name}.{t}.npy", tokens.astype("<f4"))
            case["visual"].append(f"{name}.{t}.npy")
            case["rows"].append(rows)
            case["drift"].append(drift)
            print(name, t, rows, "patches of", (side // tower.patch) ** 2, "drift", drift)
        cases.append(case)
    (folder / "reuse.json").write_text(json.dumps({"threshold": THRESHOLD, "cases": cases}, indent=1) + "\n")


main()
