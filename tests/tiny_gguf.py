# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small GGUF files, right ones and broken ones, by Python alone: for tests and for the seeds of fuzz targets."""

import math
import pathlib
import random
import struct

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
FORMATS = {U32: "I", I32: "i", F32: "f", BOOL: "B"}
ALIGN = 32


def _text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(kind, value):
    return _text(value) if kind == STRING else struct.pack("<" + FORMATS[kind], value)


def pack_key(name, kind, value):
    """A list is an array of @kind."""
    if isinstance(value, (list, tuple)):
        data = struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(_value(kind, v) for v in value)
    else:
        data = struct.pack("<I", kind) + _value(kind, value)
    return _text(name) + data


def draw(name, shape, drawn):
    """Values of a float tensor: norms around 1, decays below -1, others around 0."""
    return [-1 - drawn.random() if name.endswith("ssm_a") else drawn.uniform(-1, 1) + name.endswith("norm.weight")
            for _ in range(math.prod(shape))]


def write(path, keys, tensors, seed=5):
    """@keys: name -> (kind, value); @tensors: name -> shape, or (shape, values), None being zeros; all of them F32."""
    drawn = random.Random(seed)
    infos, data = [], bytearray()
    for name, shape in tensors.items():
        given = isinstance(shape, tuple)
        shape, values = shape if given else (shape, None)
        infos.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data)))
        if given and values is None:
            data += bytes(4 * math.prod(shape))
        else:
            values = values if given else draw(name, shape, drawn)
            data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % ALIGN)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(keys))
    head += b"".join(pack_key(name, *entry) for name, entry in keys.items()) + b"".join(infos)
    pathlib.Path(path).write_bytes(head + bytes(-len(head) % ALIGN) + data)


def add_keys(source, path, keys):
    """The file @source at @path with these keys before its own; one of its own of the same name gets another."""
    data = pathlib.Path(source).read_bytes()
    for name in keys:
        data = data.replace(_text(name), _text("x" + name[1:]), 1)
    count = struct.unpack_from("<Q", data, 16)[0] + len(keys) + 1
    added = b"".join(pack_key(name, *entry) for name, entry in keys.items())
    fill = -(len(added) + len(pack_key("test.fill", STRING, ""))) % ALIGN
    added += pack_key("test.fill", STRING, "." * fill)          # what follows is aligned as it was
    pathlib.Path(path).write_bytes(data[:16] + struct.pack("<Q", count) + added + data[24:])
