# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes data/type-vectors.bin: blocks of every type that Tern converts, and their values by an implementation that is
not ours (PyPI gguf, gguf.quants). Needed only to make the file anew.

usage: make-type-vectors.py OUT          (with numpy and gguf 0.19 installed)

Records: u32 type id, u32 values, u32 bytes, the bytes, the values as f32; all little-endian.
"""
import struct
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

BLOCKS = 3
rng = np.random.default_rng(20251)


def halves(n):
    """Scales as they occur: both signs, subnormal and large ones among them."""
    return np.concatenate([[6e-8, -1e-5, 0.5, 1000.0], rng.normal(0, 0.1, n)])[rng.permutation(n + 4)][:n].astype("<f2")


def random_blocks(kind, scale_offsets):
    """Blocks whose bits may be anything, but whose f16 scales are finite."""
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for offset in scale_offsets:
        blocks[:, offset:offset + 2] = halves(BLOCKS).view(np.uint8).reshape(BLOCKS, 2)
    return blocks


def ternary_blocks(kind):
    """What its own quantiser writes: any base-3 number, but no unused code."""
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    trits = rng.integers(-1, 2, (BLOCKS, block)).astype(np.float32)
    trits[:, 0] = 1
    return quants.quantize(trits * np.array([[0.02], [1.5], [300]], dtype=np.float32), kind)


MAKE = {
    Type.F32: lambda k: rng.normal(0, 1, (BLOCKS, 32)).astype("<f4").view(np.uint8),
    Type.F16: lambda k: halves(BLOCKS * 32).reshape(BLOCKS, 32).view(np.uint8),
    Type.BF16: lambda k: quants.quantize(rng.normal(0, 1, (BLOCKS, 32)).astype("<f4"), k),
    Type.Q8_0: lambda k: random_blocks(k, [0]),
    Type.Q4_0: lambda k: random_blocks(k, [0]),
    Type.Q4_K: lambda k: random_blocks(k, [0, 2]),
    Type.Q6_K: lambda k: random_blocks(k, [208]),
    Type.TQ1_0: ternary_blocks,
    Type.TQ2_0: ternary_blocks,
}

with open(sys.argv[1], "wb") as out:
    for kind, make in MAKE.items():
        blocks = np.ascontiguousarray(make(kind))
        values = quants.dequantize(blocks, kind).astype("<f4")
        out.write(struct.pack("<III", kind, values.size, blocks.nbytes) + blocks.tobytes() + values.tobytes())
