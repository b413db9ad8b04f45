# SPDX-License-Identifier: LGPL-2.1-or-later
"""Action models (docs/action-model.md) in numpy alone: a writer of GGUF files, a reader, and the head in float64. The
independent reference of engine/action: nothing here was made from its code.
"""
import math
import struct

import numpy as np

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
SIMPLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TYPES = {"F32": 0, "F16": 1, "Q8_0": 8}
ALIGN = 32


# ---- Files ----

def pack_text(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def pack_value(value):
    if isinstance(value, str):
        return struct.pack("<I", STRING) + pack_text(value)
    if isinstance(value, int):
        return struct.pack("<II", U32, value)
    if isinstance(value, float):
        return struct.pack("<If", F32, value)
    if all(isinstance(v, str) for v in value):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(pack_text, value))
    kind, form = (I32, "<i") if all(isinstance(v, int) for v in value) else (F32, "<f")
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(struct.pack(form, v) for v in value)


def pack_tensor(values, kind):
    """Its bytes in this type."""
    if kind == "F32":
        return values.astype("<f4").tobytes()
    if kind == "F16":
        return values.astype("<f2").tobytes()
    blocks = values.astype(np.float32).reshape(-1, 32)
    scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype("<f2")
    scale[scale == 0] = 1
    digits = np.clip(np.rint(blocks / scale.astype(np.float32)), -127, 127).astype(np.int8)
    return b"".join(scale[i].tobytes() + digits[i].tobytes() for i in range(len(blocks)))


def unpack_tensor(raw, kind, shape):
    n = math.prod(shape)
    if kind == 0:
        values = np.frombuffer(raw, "<f4", n).astype(np.float64)
    elif kind == 1:
        values = np.frombuffer(raw, "<f2", n).astype(np.float64)
    elif kind == 8:
        blocks = np.frombuffer(raw, np.dtype([("d", "<f2"), ("q", "i1", 32)]), n // 32)
        values = blocks["d"].astype(np.float64)[:, None] * blocks["q"]
    else:
        raise ValueError(f"type {kind}")
    return values.reshape(shape)


def write(path, keys, tensors):
    """@keys: name -> value; @tensors: name -> (array [out, in] or [n], type)."""
    infos, data = b"", b""
    for name, (values, kind) in tensors.items():
        data += b"\0" * (-len(data) % ALIGN)
        infos += pack_text(name) + struct.pack("<I", values.ndim)
        infos += b"".join(struct.pack("<Q", n) for n in reversed(values.shape)) + struct.pack("<IQ", TYPES[kind], len(data))
        data += pack_tensor(values, kind)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(pack_text(k) + pack_value(v) for k, v in keys.items()) + infos
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % ALIGN) + data)


class Reader:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.raw = file.read()
        self.at = 0
        assert self.raw[:4] == b"GGUF"
        self.at = 4
        self.take("<I")
        n_tensors, n_keys = self.take("<Q"), self.take("<Q")
        self.keys = {}
        for _ in range(n_keys):
            name = self.text()
            self.keys[name] = self.value(self.take("<I"))
        infos = []
        for _ in range(n_tensors):
            name, n = self.text(), self.take("<I")
            shape = tuple(reversed([self.take("<Q") for _ in range(n)]))
            infos.append((name, shape, self.take("<I"), self.take("<Q")))
        start = self.at + -self.at % ALIGN
        self.tensors = {name: (shape, kind, start + offset) for name, shape, kind, offset in infos}

    def take(self, form):
        value, = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.take("<Q")
        self.at += n
        return self.raw[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.take(SIMPLE[kind])
        kind, n = self.take("<I"), self.take("<Q")
        return [self.text() if kind == STRING else self.take(SIMPLE[kind]) for _ in range(n)]

    def tensor(self, name):
        shape, kind, at = self.tensors[name]
        return unpack_tensor(self.raw[at:], kind, shape)


# ---- The head ----

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "lecun_tanh": lambda x: 1.7159 * np.tanh(0.666 * x),
}


class Head:
    """One stream of decisions."""

    def __init__(self, path):
        self.file = Reader(path)
        assert self.key("general.architecture") == "tern-action"
        self.dims, self.steps = self.key("tern-action.dims"), self.key("tern-action.steps")
        self.kind = self.key("tern-action.kind")
        self.first = self.key("tern-action.time.first", 1.0)
        self.limit = self.key("tern-action.time.limit", 10.0)
        self.last = self.h = None

    def key(self, name, otherwise=None):
        return self.file.keys[name] if otherwise is None else self.file.keys.get(name, otherwise)

    def scaling(self, what, n):
        kind = self.key(f"tern-action.{what}.normalization", "none")
        if kind == "none":
            return np.zeros(n), np.ones(n)
        a, b = (np.array(self.key(f"tern-action.{what}.{k}"), np.float64)
                for k in (("mean", "std") if kind == "mean_std" else ("low", "high")))
        return (a, b) if kind == "mean_std" else ((a + b) / 2, (b - a) / 2)

    def layer(self, name, x):
        return self.file.tensor(name + ".weight") @ x + self.file.tensor(name + ".bias")

    def mlp(self, x, seconds):
        x = np.concatenate([x, [seconds, math.log1p(seconds)][:self.key("tern-action.mlp.time_features", 0)]])
        widths = self.key("tern-action.mlp.widths", [])
        skip = self.layer("mlp.skip", x) if self.key("tern-action.mlp.skip", 0) else 0
        for i in range(len(widths)):
            x = ACTIVATIONS[self.key("tern-action.mlp.activation", "relu")](self.layer(f"mlp.{i}", x))
        return self.layer(f"mlp.{len(widths)}", x) + skip

    def cfc(self, x, seconds):
        mode = self.key("tern-action.cfc.mode", "default")
        x = np.concatenate([x, self.h])
        for i in range(self.key("tern-action.cfc.backbone_layers", 1)):
            x = ACTIVATIONS[self.key("tern-action.cfc.backbone_activation", "lecun_tanh")](
                self.layer(f"cfc.backbone.{i}", x))
        f1 = self.layer("cfc.ff1", x)
        if mode == "pure":
            a, tau = self.file.tensor("cfc.a"), self.file.tensor("cfc.w_tau")
            self.h = a - a * np.exp(-seconds * (np.abs(tau) + np.abs(f1))) * f1
        else:
            f1, f2 = np.tanh(f1), np.tanh(self.layer("cfc.ff2", x))
            gate = 1 / (1 + np.exp(-(self.layer("cfc.time_a", x) * seconds + self.layer("cfc.time_b", x))))
            self.h = f1 + gate * f2 if mode == "no_gate" else f1 * (1 - gate) + gate * f2
        return self.layer("output", self.h)

    def decide(self, hidden, states, nanoseconds):
        """Actions [steps, dims]. @states: the newest, then one for each lag."""
        seconds = self.first
        if self.last is not None and 0 <= (nanoseconds - self.last) / 1e9 <= self.limit:
            seconds = (nanoseconds - self.last) / 1e9
        else:
            self.h = np.zeros(self.key("tern-action.cfc.units", 0))
        self.last = nanoseconds
        offset, scale = self.scaling("state", self.key("tern-action.state.dims"))
        states = (np.asarray(states, np.float64).reshape(-1, len(offset)) - offset) / scale if len(offset) else []
        x = np.concatenate([np.asarray(hidden, np.float64), np.ravel(states)])
        y = (self.mlp if self.kind == "mlp" else self.cfc)(x, seconds).reshape(self.steps, self.dims)
        offset, scale = self.scaling("action", self.dims)
        return np.clip(offset + scale * y, self.key("tern-action.minimum"), self.key("tern-action.maximum"))
