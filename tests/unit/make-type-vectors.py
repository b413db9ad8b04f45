# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes data/type-vectors.bin: blocks of every type that Tern converts, and their values by an implementation that is
not ours: PyPI gguf (gguf.quants), and for I2_S, IQ1_BN, IQ2_BN, Q1_0, Q2_0, PQ2_0 and PTQ1_0, which it does not know, packers
that were written here from the description of the formats (values -> bytes; Tern goes the other way). Needed only to make the file
anew.

usage: make-type-vectors.py OUT          (with numpy and gguf 0.19 installed)

Records: u32 type id, u32 rows, u32 values of a row, u32 bytes, the bytes, the values as f32; all little-endian.
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
    Type.Q4_1: lambda k: random_blocks(k, [0, 2]),
    Type.Q5_0: lambda k: random_blocks(k, [0]),
    Type.Q5_1: lambda k: random_blocks(k, [0, 2]),
    Type.Q2_K: lambda k: random_blocks(k, [80, 82]),
    Type.Q3_K: lambda k: random_blocks(k, [108]),
    Type.Q4_K: lambda k: random_blocks(k, [0, 2]),
    Type.Q5_K: lambda k: random_blocks(k, [0, 2]),
    Type.Q6_K: lambda k: random_blocks(k, [208]),
    Type.IQ4_NL: lambda k: random_blocks(k, [0]),
    Type.IQ4_XS: lambda k: random_blocks(k, [0]),
    Type.TQ1_0: ternary_blocks,
    Type.TQ2_0: ternary_blocks,
}



def five_trits(digits):
    """One byte of base-3 digits, the most significant first: the number as a fraction of 243, rounded up in 256ths."""
    number = 0
    for digit in digits:
        number = 3 * number + int(digit)
    return -(-number * 256 // 243)


def pack_i2_s(values, scale):
    """Groups of 128 values in 32 bytes, the first 32 in the uppermost bits; one scale behind all rows."""
    out = bytearray()
    for group in (values + 1).astype(np.uint8).reshape(-1, 4, 32):
        out += bytes(int(a) << 6 | int(b) << 4 | int(c) << 2 | int(d) for a, b, c, d in zip(*group))
    return bytes(out) + struct.pack("<f", scale) + bytes(rng.integers(0, 256, 28, dtype=np.uint8))


def pack_iq1_bn(values, scales):
    """Rows of an f16 scale, then 13 bytes for 64 values; the first digit of a byte is the least significant."""
    out = bytearray()
    for row, scale in zip(values + 1, scales):
        out += np.float16(scale).tobytes()
        for block in row.reshape(-1, 4, 16):
            for group in block:
                out += bytes(five_trits(group[i:i + 5][::-1]) for i in (0, 5, 10))
            out.append(five_trits([0] + [block[g][15] for g in (3, 2, 1, 0)]))
    return bytes(out)


def pack_iq2_bn(values, scales):
    """Rows of an f32 scale, then 16 bytes for 64 values, the first 16 in the lowest bits."""
    out = bytearray()
    for row, scale in zip(values + 1, scales):
        out += struct.pack("<f", scale)
        for block in row.astype(np.uint8).reshape(-1, 4, 16):
            out += bytes(int(a) | int(b) << 2 | int(c) << 4 | int(d) << 6 for a, b, c, d in zip(*block))
    return bytes(out)


def ternary_rows():
    """id, values, bytes of the types that gguf does not know."""
    scales = np.float32([0.019989014, -2, 1000])        # exact in f16
    trits = rng.integers(-1, 2, (BLOCKS, 256))
    yield 36, trits * np.float32(0.0123), pack_i2_s(trits, 0.0123)
    yield 134, trits * scales[:, None], pack_iq1_bn(trits, scales)
    scales = np.float32([0.0123, -1e30, 6e-8])
    yield 135, trits * scales[:, None], pack_iq2_bn(trits, scales)


def pack_two_bits(digits, scales, block):
    """Blocks of an f16 scale and four neighbours in a byte, the first in the lowest bits; digits -1 to 2."""
    out = bytearray()
    for row, scale in zip((digits + 1).reshape(-1, block), scales):
        out += np.float16(scale).tobytes() + bytes(int(a) | int(b) << 2 | int(c) << 4 | int(d) << 6
                                                   for a, b, c, d in row.reshape(-1, 4))
    return bytes(out)


def pack_ptq1_0(digits, scales):
    """Blocks of 128: five digits of every 16th value, five of every 8th, four of every 2nd; the scale last."""
    out = bytearray()
    for row, scale in zip((digits + 1).reshape(-1, 128), scales):
        out += bytes(five_trits(row[j:80:16]) for j in range(16))
        out += bytes(five_trits(row[80 + j:120:8]) for j in range(8))
        out += bytes(five_trits(list(row[120 + j::2]) + [0]) for j in range(2)) + np.float16(scale).tobytes()
    return bytes(out)


def scaled_rows():
    """The same of types whose blocks have scales."""
    own = np.random.default_rng(20253)
    scales = own.permutation(np.float16([6e-8, -1e-5, .5, 1000, .03, -.02, .7, 1, .01, .02, .04, .08])).astype("f4")
    for kind, block in (42, 64), (142, 128):
        digits = own.integers(-1, 3, (BLOCKS, 256 // block * block))
        per = np.repeat(scales[:digits.size // block], block).reshape(digits.shape)
        yield kind, digits * per, pack_two_bits(digits, scales, block)
    digits = own.integers(-1, 2, (BLOCKS, 256))
    yield 143, digits * np.repeat(scales[:digits.size // 128], 128).reshape(digits.shape), pack_ptq1_0(digits, scales)


def binary_rows():
    """Blocks of 128 of an f16 scale and a sign a bit, the first value in the lowest one."""
    own = np.random.default_rng(20255)
    bits = own.integers(0, 2, (BLOCKS, 256))
    scales = np.float16([6e-8, -1e-5, .5, 1000, .03, -.02])
    data = b"".join(d.tobytes() + np.packbits(row, bitorder="little").tobytes() for row, d in zip(bits.reshape(-1, 128), scales))
    yield 41, (2 * bits - 1) * np.repeat(scales.astype("f4"), 128).reshape(bits.shape), data


def fp4_rows():
    """Floats of four bits: any codes; scales of any exponent that leaves values finite, of any byte for NVFP4."""
    own = np.random.default_rng(20257)
    for kind, scales in (Type.MXFP4, [[0, 1, 2], [127, 120, 135], [64, 200, 251]]), (
            Type.NVFP4, [[0, 1, 7, 8], [56, 127, 126, 9], [60, 33, 100, 118]]):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = own.integers(0, 256, (BLOCKS, 3 if kind == Type.MXFP4 else 1, size), dtype=np.uint8)
        if kind == Type.MXFP4:
            blocks[:, :, 0] = scales
        else:
            blocks[:, 0, :4] = scales
        data = np.ascontiguousarray(blocks.reshape(BLOCKS, -1))
        yield int(kind), quants.dequantize(data, kind), data.tobytes()


with open(sys.argv[1], "wb") as out:
    def record(kind, values, data):
        values = values.astype("<f4")
        out.write(struct.pack("<IIII", kind, *values.shape, len(data)) + data + values.tobytes())

    for kind, make in MAKE.items():
        blocks = np.ascontiguousarray(make(kind))
        record(kind, quants.dequantize(blocks, kind), blocks.tobytes())
    for rows in ternary_rows, scaled_rows, binary_rows, fp4_rows:
        for kind, values, data in rows():
            record(kind, values, data)
