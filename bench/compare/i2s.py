# SPDX-License-Identifier: LGPL-2.1-or-later
"""A ternary GGUF (TQ2_0, one scale a matrix) as bitnet.cpp and ik_llama.cpp read it: I2_S, and the name which BitNet 2B4T has there.

usage: i2s.py FROM.gguf TO.gguf
"""
import math
import struct
import sys

TQ2_0, I2_S = 35, 36
FILE_TYPE = 40                          # I2_S, by bitnet.cpp's count
ALIGNMENT = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by its GGUF type
STRING, ARRAY, UINT32 = 8, 9, 4
# A byte holds values 32 apart: TQ2_0's first in its lowest bits, I2_S's in its highest. Digits 0, 1, 2 are -1, 0, 1 in both.
TURNED = bytes((b & 3) << 6 | (b & 12) << 2 | (b & 48) >> 2 | b >> 6 for b in range(256))


class Reader:
    def __init__(self, file):
        self.file = file

    def take(self, layout):
        found = struct.unpack("<" + layout, self.file.read(struct.calcsize("<" + layout)))
        return found[0] if len(found) == 1 else found

    def string(self):
        return self.file.read(self.take("Q"))

    def skip(self, kind):
        """Past a value of that type."""
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            kind, n = self.take("IQ")
            if kind == STRING:
                for _ in range(n):
                    self.string()
            else:
                self.file.seek(SIZES[kind] * n, 1)
        else:
            self.file.seek(SIZES[kind], 1)

    def value(self, kind):
        """A value's bytes as they stand."""
        start = self.file.tell()
        self.skip(kind)
        end = self.file.tell()
        self.file.seek(start)
        return self.file.read(end - start)


def string(text):
    return struct.pack("<Q", len(text)) + text


def metadata(reader, count):
    """The keys as they are, but for the architecture's name and the file's type."""
    out = []
    for _ in range(count):
        key, kind = reader.string(), reader.take("I")
        value = reader.value(kind)
        if key == b"general.architecture" and value == string(b"bitnet"):
            value = string(b"bitnet-b1.58")
        elif key == b"general.file_type":
            kind, value = UINT32, struct.pack("<I", FILE_TYPE)
        elif key.startswith(b"bitnet."):
            key = key.replace(b"bitnet.", b"bitnet-b1.58.", 1)
        out.append(string(key) + struct.pack("<I", kind) + value)
    return b"".join(out)


def turned(data):
    """I2_S of TQ2_0's blocks: 64 bytes of digits and a half of scale for 256 values; the scale, once, comes last."""
    if len(set(data[64::66])) > 1 or len(set(data[65::66])) > 1:
        raise ValueError("a matrix has blocks of several scales: I2_S has one")
    scale = struct.unpack_from("<e", data, 64)[0]
    digits = b"".join(data[i:i + 64] for i in range(0, len(data), 66))
    return digits.translate(TURNED) + struct.pack("<f28x", scale)


def pad(n):
    return -n % ALIGNMENT


def tensors(reader, count):
    """[(name, dims, type, offset, bytes)] by offset; the last without its bytes' number, which is whatever follows."""
    infos = []
    for _ in range(count):
        name, n = reader.string(), reader.take("I")
        infos.append((name, [reader.take("Q") for _ in range(n)], *reader.take("IQ")))
    infos.sort(key=lambda info: info[3])
    ends = [*(info[3] for info in infos[1:]), None]
    return [(*info, math.prod(info[1]) // 256 * 66 if info[2] == TQ2_0 else end and end - info[3])
            for info, end in zip(infos, ends)]


def convert(source, target):
    with open(source, "rb") as file, open(target, "wb") as out:
        reader = Reader(file)
        magic, version, count, keys = reader.take("4sIQQ")
        kept = metadata(reader, keys)
        infos = tensors(reader, count)
        start = file.tell() + pad(file.tell())
        out.write(struct.pack("<4sIQQ", magic, version, count, keys) + kept)
        at = 0
        for name, dims, kind, _, length in infos:
            out.write(string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, I2_S if kind == TQ2_0 else kind, at))
            at += math.prod(dims) // 4 + 32 if kind == TQ2_0 else length or 0
            at += pad(at)
        out.write(bytes(pad(out.tell())))
        for _, _, kind, offset, length in infos:
            file.seek(start + offset)
            data = file.read(length)
            out.write(turned(data) if kind == TQ2_0 else data)
            out.write(bytes(pad(out.tell())))


if __name__ == "__main__":
    convert(*sys.argv[1:])
