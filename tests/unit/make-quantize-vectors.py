# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes data/quantize-vectors.bin: rows of floats and what other quantisers make of them: PyPI gguf (gguf.quants)
where the blocks must be equal, ggml (in the wheel xllamacpp) where the error must be comparable; for Q1_0 ggml's rule (signs, the
mean magnitude of a block summed in order, as f32), for Q2_0, PQ2_0 and PTQ1_0 the best scale of each block by trying every number
of nonzero values (TWN, arXiv:1605.04711), in numpy. Needed only to make the file anew.

usage: make-quantize-vectors.py LIBRARY OUT    (numpy and gguf 0.19 installed; LIBRARY: a shared library with ggml)

Records, all little-endian: u32 type id, u32 values, u32 bytes, the values as f32, the blocks;
or, for K types, bytes = 8 and instead of blocks the squared error of ggml's ones, summed, as f64.
"""
import ctypes
import struct
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

rng = np.random.default_rng(20252)
ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = ([ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3
                                     + [ctypes.c_void_p])


def rows():
    """Ordinary weights, and what is hard: outliers, one side of zero, zeros of both signs, ties, tiny and huge."""
    yield rng.normal(0, 0.05, 512)
    yield rng.laplace(0, 0.02, 512)
    outliers = rng.normal(0, 0.02, 512)
    outliers[::97] *= 30
    yield outliers
    yield rng.uniform(0.5, 1.5, 512)
    yield rng.uniform(-3, -2.9, 512)
    mixed = np.zeros(512)
    mixed[64:128] = -0.0
    mixed[128:192] = 1e-30
    mixed[224:256] = np.arange(32) - 16
    mixed[256:384] = np.repeat([1, -1, 0, 0.5], 32)
    mixed[384:] = rng.integers(-254, 255, 128) / 2      # ties
    yield mixed
    yield rng.uniform(-60000, 60000, 512)


def ternary_rows():
    for scale in 0.0371, 1.5, 300:
        row = rng.integers(-1, 2, 512) * scale
        row[256:512] *= scale != 1.5
        yield row


def squared_error(kind, row):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros(row.size // block * size, np.uint8)
    ggml.ggml_quantize_chunk(int(kind), row.ctypes.data, out.ctypes.data, 0, 1, row.size, None)
    return ((quants.dequantize(out.reshape(1, -1), kind)[0].astype("f8") - row) ** 2).sum()


def best_block(x, pack):
    """What has the least squared error among all x = d {-1, 0, 1}, d as f16."""
    order = np.sort(np.abs(x.astype("f8")))[::-1]
    means = np.cumsum(order) / np.arange(1, x.size + 1)
    d = np.float16(means[np.argmax(means ** 2 * np.arange(1, x.size + 1))])
    return pack(np.where(np.abs(x) > np.float32(d) / 2, np.sign(x), 0).astype(int) + 1, d)


def two_bits(digits, d):
    return d.tobytes() + bytes(int(a) | int(b) << 2 | int(c) << 4 | int(e) << 6 for a, b, c, e in digits.reshape(-1, 4))


def five_trits(digits):
    number = 0
    for digit in list(digits) + [0] * (5 - len(digits)):
        number = 3 * number + int(digit)
    return -(-number * 256 // 243)


def ptq1_0(digits, d):
    return (bytes(five_trits(digits[j:80:16]) for j in range(16)) + bytes(five_trits(digits[80 + j:120:8]) for j in range(8))
            + bytes(five_trits(digits[120 + j::2]) for j in range(2)) + d.tobytes())


def scaled(record):
    own = np.random.default_rng(20254)
    exact = own.integers(-1, 2, 512) * np.repeat(np.float16([.03, 1.5, .002, 300]), 128)
    hard = own.normal(0, .05, 512)
    hard[64:128] = 0
    for row in own.normal(0, 0.05, 512), own.laplace(0, 0.02, 512), hard, exact:
        row = row.astype("<f4")
        for kind, block, pack in (42, 64, two_bits), (142, 128, two_bits), (143, 128, ptq1_0):
            record(kind, row, b"".join(best_block(x, pack) for x in row.reshape(-1, block)))


def binary(record):
    own = np.random.default_rng(20256)
    for row in own.normal(0, 0.05, 512), own.laplace(0, 0.02, 512), np.repeat([.03, -.03, 0., -2.], 128):
        row = row.astype("<f4")
        record(41, row, b"".join(np.float16(np.cumsum(np.abs(x), dtype="f4")[-1] / np.float32(128)).tobytes()
                                 + np.packbits(x >= 0, bitorder="little").tobytes() for x in row.reshape(-1, 128)))


with open(sys.argv[2], "wb") as out:
    def record(kind, row, data):
        out.write(struct.pack("<III", kind, row.size, len(data)) + row.tobytes() + data)

    for row in rows():
        row = row.astype("<f4")
        for kind in Type.F16, Type.Q8_0, Type.Q4_0, Type.Q5_0:
            record(kind, row, quants.quantize(row.reshape(1, -1), kind).tobytes())
        for kind in Type.Q4_K, Type.Q6_K:
            record(kind, row, struct.pack("<d", squared_error(kind, row)))
    for row in ternary_rows():
        row = row.astype("<f4")
        for kind in Type.TQ1_0, Type.TQ2_0:
            record(kind, row, quants.quantize(row.reshape(1, -1), kind).tobytes())
    scaled(record)
    binary(record)
