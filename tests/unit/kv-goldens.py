# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes kv-goldens.h: rows of keys and values as int8, int4 and int3 caches hold them, plain and rotated, and what attention makes
of them, by numpy in float64 from the definitions: H[i][j] = (-1)^popcount(i & j) / sqrt(block), in blocks of the largest power of
two that divides the head; int8: scale max|x| / 127, round half to even; int4: scale max|x| / 7.5, value scale * (digit - 7.5);
int3: scale max|x| / 3.5, value scale * (digit - 3.5), the digit plus 4 where an int4 row has its digits.

usage: kv-goldens.py > kv-goldens.h
"""
import numpy as np

DIMS = 64, 80, 20, 6
KEYS = 3
TYPES = "int8", "int8-rotated", "int4", "int4-rotated", "int3", "int3-rotated"
HALF = {8: 127, 4: 7.5, 3: 3.5}      # steps on either side of zero


def matrix(dim):
    block = dim & -dim
    sign = np.array([[(-1) ** bin(i & j).count("1") for j in range(block)] for i in range(block)])
    return np.kron(np.eye(dim // block), sign / np.sqrt(block))


def quantise(x, bits):
    """Steps, scale, and how near a value is to where it would be rounded to another step."""
    top = np.abs(x).max()
    place = x * HALF[bits] / top + (0 if bits == 8 else HALF[bits])
    steps = np.rint(place)
    return steps, top / HALF[bits], np.abs(np.abs(place - np.floor(place)) - .5).min()


def stored(x, kind):
    """Bytes, scale, and the row that they stand for, rotated back."""
    bits, dim = int(kind[3]), x.size
    h = matrix(dim) if "rotated" in kind else np.eye(dim)
    steps, scale, margin = quantise(h @ x, bits)
    assert margin > 1e-4, margin
    if bits == 8:
        return steps.astype(np.int8).view(np.uint8), scale, h.T @ (steps * scale)
    digits = np.full((dim + 31) // 32 * 32, 8, np.uint8)
    digits[:dim] = steps + (4 if bits == 3 else 0)
    halves = digits.reshape(-1, 2, 16)
    return (halves[:, 0] | halves[:, 1] << 4).reshape(-1), scale, h.T @ ((steps - HALF[bits]) * scale)


def attend(q, k, v):
    weights = np.exp(k @ q / np.sqrt(q.size))
    return weights @ v / weights.sum()


def row(values):
    text = ""
    for v in values:
        if len(text) + len(v) > 116:
            yield "  " + text.rstrip()
            text = ""
        text += v + ", "
    yield "  " + text.rstrip()


def array(kind, name, values):
    text = [str(int(v)) if kind == "guint8" else f"{v:.9g}" + ("" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else ".0") + "f"
            for v in values]
    print(f"static const {kind} {name}[] = {{\n" + "\n".join(row(text)) + "\n};")


def draw(random, dim):
    """A row with an outlier, none of whose values, in any type, is about to be rounded to another step."""
    while True:
        x = random.normal(size=dim) * np.where(np.arange(dim) == dim // 3, 6, 1)
        x = x.astype(np.float32).astype(np.float64)
        h = matrix(dim)
        if min(quantise(r, bits)[2] for r in (x, h @ x) for bits in HALF) > 1e-4:
            return x


def main():
    random = np.random.default_rng(17)
    print("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by kv-goldens.py with numpy. */\n")
    rows = []
    for dim in DIMS:
        q = random.normal(size=dim).astype(np.float32).astype(np.float64)
        k, v = (np.stack([draw(random, dim) for _ in range(KEYS)]) for _ in range(2))
        for name, x in ("q", q), ("k", k), ("v", v):
            array("float", f"{name}_{dim}", x.reshape(-1))
        for kind in TYPES:
            held = [[stored(x, kind) for x in part] for part in (k, v)]
            at = f"{kind.replace('-', '_')}_{dim}"
            array("guint8", f"bytes_{at}", np.concatenate([h[0] for part in held for h in part]))
            array("float", f"scales_{at}", [h[1] for part in held for h in part])
            array("float", f"o_{at}", attend(q, *(np.stack([h[2] for h in part]) for part in held)))
            rows.append(f"  {{ {dim}, \"{kind}\", q_{dim}, k_{dim}, v_{dim}, bytes_{at}, scales_{at}, o_{at} }},")
    print(f"\n#define KV_KEYS {KEYS}\n\nstatic const struct {{\n  guint dim;\n  const char *type;\n  const float *q, *k, *v;\n"
          "  const guint8 *bytes;          /* keys, then values */\n  const float *scales, *o;\n} kv_goldens[] = {")
    print("\n".join(rows) + "\n};")


main()
